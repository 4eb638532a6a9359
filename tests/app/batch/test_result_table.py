"""The table of a batch stays right while it changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester, QSignalSpy

from baton_reasoning.app.batch.result_table import (
    FIRST_ARM,
    RIBBON_ROLE,
    Figure,
    ResultColumn,
    ResultTable,
    RowFilter,
    plain_answer,
)
from baton_reasoning.core.analysis.run_cost import RunCost, Segment
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.thinking.events import Finish
from tests.core.batch.counting import problems

ARMS = [arm.stored() for arm in arms_of(("small", "large", "baton", "random"), RunSettings())]
RIBBON = (Segment(Author.SMALL, 30), Segment(Author.LARGE, 10))
RIGHT, WRONG, UNSCORED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNSCORED
FALLING = Qt.SortOrder.DescendingOrder


def row(job, outcome=None, answer="", seed=0):
    """A result of four arms on the same problems: job 6 is the third arm on the second problem."""
    verdict = Verdict(outcome, GradingMethod.EXACT, "The same text.") if outcome else None
    state = JobState.DONE if outcome else JobState.WAITING
    cost = RunCost(seconds=1.5, small_tokens=30, large_tokens=10, ribbon=RIBBON) if outcome else RunCost()
    return ResultRow(job, "", ARMS[job % 4].name, job // 4, seed, state, answer, verdict, "", Finish.END_OF_TEXT, cost)


def table_of(rows, shown=None):
    model = ResultTable()
    model.show(shown or problems(5), ARMS, rows)
    return model


@pytest.fixture
def model(qtbot):
    """Five problems under four arms; nothing is written yet."""
    return table_of([row(job) for job in range(20)])


def cells(model, place, role=Qt.ItemDataRole.DisplayRole):
    """What the four policies say of the problem at this place."""
    return [model.index(place, FIRST_ARM + arm).data(role) for arm in range(4)]


def numbers(model):
    return [int(model.index(place, ResultColumn.NUMBER).data()) for place in range(model.rowCount())]


RESULTS = st.tuples(st.integers(0, 19), st.sampled_from([None, RIGHT, WRONG, UNSCORED]), st.sampled_from("abc"))


@pytest.mark.scaled
@given(st.lists(RESULTS), st.integers(-1, FIRST_ARM + 3), st.booleans(), st.sampled_from(RowFilter))
def test_a_table_that_changed_is_like_one_that_is_read_anew(qapp, results, column, falls, wanted):
    """And its filters and the way to the next failure are what a naive look at the rows says."""
    rows = {job: row(job) for job in range(20)}
    changed = table_of(rows.values())
    changed.sort(column, FALLING if falls else Qt.SortOrder.AscendingOrder)
    for job, outcome, answer in results:
        rows[job] = row(job, outcome, answer)
        changed.take(rows[job])
    anew = table_of(rows.values())
    for each in (changed, anew):
        each.sort(column, FALLING if falls else Qt.SortOrder.AscendingOrder)
        each.choose(wanted)
    assert numbers(changed) == numbers(anew)
    roles = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole)
    for place in range(anew.rowCount()):
        assert [cells(changed, place, role) for role in roles] == [cells(anew, place, role) for role in roles]

    outcomes = [[rows[4 * problem + arm].verdict for arm in range(4)] for problem in range(5)]
    found = [[verdict and verdict.outcome for verdict in of_problem] for of_problem in outcomes]
    wrong = {number for number in range(5) if found[number][2] in (WRONG, UNSCORED)}
    different = {number for number in range(5) if {RIGHT, WRONG} <= set(found[number])}
    assert (changed.wrong, changed.different) == (wrong, different), "the pair is what the batch is about"
    kept = {RowFilter.ALL: set(range(5)), RowFilter.WRONG: wrong, RowFilter.DIFFERENT: different}[wanted]
    assert sorted(numbers(changed)) == sorted(number + 1 for number in kept)
    if column == -1:
        assert numbers(changed) == sorted(numbers(changed))
    else:
        texts = [str(changed.index(place, column).data()) for place in range(changed.rowCount())]
        ranks = {"✓": 0, "✗": 1, "–": 2, "": 3}
        keys = [ranks[text[:1]] if column >= FIRST_ARM else text for text in texts]
        assert keys == sorted(keys, reverse=falls)

    failures = [place for place, number in enumerate(numbers(changed)) if number - 1 in wrong]
    for step, expected in ((1, failures), (-1, failures[::-1])):
        index, places = changed.index(-1 if step > 0 else changed.rowCount() - 1, FIRST_ARM + 2), list[int]()
        if step < 0 and index.row() in failures:
            places.append(index.row())
        while (index := changed.next_failed(index, step)).isValid():
            places.append(index.row())
            assert index.column() == FIRST_ARM + 2
        assert places == expected


def test_a_problem_is_one_row_with_a_column_for_each_policy(model):
    titles = [model.headerData(each, Qt.Orientation.Horizontal) for each in range(model.columnCount())]
    assert titles == ["#", "Seed", "Problem", "Expected", "small", "large", "baton · Keywords", "random"]
    tips = [model.headerData(each, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole) for each in (0, FIRST_ARM)]
    assert (tips[0], tips[1].splitlines()[0], "✗ wrong" in tips[1]) == (None, "small", True)
    assert model.rowCount() == 5
    assert [model.index(1, each).data() for each in ResultColumn] == ["2", "0", "Count to 1.", "1"]
    assert cells(model, 1) == [""] * 4
    assert not model.next_failed(model.index(0, FIRST_ARM), -1).isValid()


def test_a_pair_rescues_or_spoils_what_its_small_model_does_alone(model):
    for job, outcome in enumerate((WRONG, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, WRONG, WRONG)):
        model.take(row(job, outcome, "7"))
    assert cells(model, 0) == ["✗ 7", "✓", "✓ rescued", "✓"], "neither the large model alone nor chance is a pair"
    assert cells(model, 1) == ["✓", "✓", "✗ 7 spoiled", "✗ 7"]
    assert cells(model, 0, Qt.ItemDataRole.AccessibleTextRole)[2] == "baton: right, rescued, 25% by the large model"
    ribbons = [layout and layout.place(1, 100) for layout in cells(model, 0, RIBBON_ROLE)]
    assert ribbons == [None, None, (75, 100), None]


def test_each_outcome_has_its_sign_and_its_reason(model, qtbot):
    model.take(row(0, UNSCORED, "7"))
    model.take(row(1)._replace(state=JobState.DONE, error="The model is gone."))
    with qtbot.waitSignal(model.dataChanged):
        model.take(row(2, RIGHT)._replace(state=JobState.CLAIMED))
    model.take(row(3, RIGHT, "7")._replace(notices=("It was slow.",)))
    assert cells(model, 0) == ["– 7", "error", "writing…", "✓ !"]
    assert cells(model, 0, RIBBON_ROLE)[2] is not None, "a text that is written is seen to grow"
    tips = cells(model, 0, Qt.ItemDataRole.ToolTipRole)
    assert tips[1] == "large\nThe model is gone."
    assert tips[3] == "random: 7\nThe same text.\nIt was slow."


def test_several_seeds_are_rows_of_their_own_and_named_in_the_tip(qtbot):
    model = table_of([row(job, RIGHT, seed=seed)._replace(job=4 * seed + job) for seed in (0, 1) for job in range(4)])
    assert [model.index(place, ResultColumn.SEED).data() for place in (0, 1)] == ["0", "1"]
    assert str(cells(model, 1, Qt.ItemDataRole.ToolTipRole)[3]).startswith("random · seed 1")


def test_what_differs_between_problems_is_shown_and_the_whole_text_in_the_tip(qtbot):
    texts = [f"In the sequence where each term is the sum of all before it, what is term {n}?" for n in (12, 14)]
    shown = [Problem(f"p{at}", text, "", {}, at + 1) for at, text in enumerate(texts)]
    model = table_of([row(job) for job in range(8)], shown)
    assert [model.index(place, ResultColumn.PROBLEM).data() for place in (0, 1)] == ["In the … 12?", "In the … 14?"]
    first = model.index(0, ResultColumn.PROBLEM)
    assert first.data(Qt.ItemDataRole.ToolTipRole) == f"p0\n{texts[0]}"
    assert first.data(Qt.ItemDataRole.AccessibleTextRole) == texts[0]


def test_figures_stand_beside_each_policy_and_are_sorted_as_numbers(model):
    for job, tokens in ((0, 9), (4, 1000), (8, 30)):
        model.take(row(job, RIGHT)._replace(cost=RunCost(seconds=tokens / 10, small_tokens=tokens)))
    model.show_figures([Figure.TOKENS, Figure.SECONDS])
    tokens = FIRST_ARM + 1
    model.sort(tokens, FALLING)
    assert [model.index(place, tokens).data() for place in range(4)] == ["1,000", "30", "9", ""]
    assert [model.index(0, tokens + each).data() for each in (-1, 1)] == ["✓", "100.0"]
    assert model.arm_cell(model.index(0, tokens)).column() == FIRST_ARM, "the answer is that of the result beside it"
    model.show_figures([])
    assert numbers(model) == [1, 2, 3, 4, 5]


def test_it_is_a_sound_model_that_tells_of_the_changed_row_alone_which_stays_until_the_next_choice(model):
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.take(row(2, WRONG))
    model.take(row(6, WRONG))
    model.sort(FIRST_ARM, FALLING)
    model.choose(RowFilter.WRONG)
    changes, layouts = QSignalSpy(model.dataChanged), QSignalSpy(model.layoutChanged)
    model.take(row(6, RIGHT))
    assert numbers(model) == [1, 2]
    assert (changes.count(), layouts.count()) == (1, 0)
    first, last = changes.at(0)[:2]
    assert first.row() == last.row() == 1
    assert tester.model() is model


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"\left( 3, \frac{\pi}{2} \right)", "(3, π/2)"),
        (r"3\sqrt{13}", "3√13"),
        (r"\frac{1 + \sqrt{5}}{2}", "(1 + √5)/2"),
        (r"90^\circ", "90°"),
        (r"\text{Evelyn}", "Evelyn"),
        (r"(-\infty, 2) \cup (3, \infty)", "(-∞, 2) ∪(3, ∞)"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        ("", ""),
    ],
)
def test_what_has_a_sign_is_shown_by_it_and_the_rest_as_it_is_written(latex, plain):
    assert plain_answer(latex) == plain
