"""The table of results stays right while it changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester, QSignalSpy

from baton_reasoning.app.batch.result_table import (
    FIRST_ARM,
    RIBBON_ROLE,
    ResultColumn,
    ResultTable,
    RowFilter,
    distinguishing_parts,
    plain_answer,
)
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import How, Outcome, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.store.run_cost import RunCost, Segment
from baton_reasoning.core.thinking.events import Finish
from tests.core.batch.counting import problems

ARMS = ("small", "large", "baton", "random")
RIBBON = (Segment(Author.SMALL, 30), Segment(Author.LARGE, 10))
RIGHT, WRONG = Outcome.CORRECT, Outcome.WRONG


def row(job: int, outcome: Outcome | None = None, answer: str = "", seed: int = 0) -> ResultRow:
    """A result of four arms on the same problems: job 6 is the third arm on the second problem."""
    verdict = Verdict(outcome, How.EXACT, "The same text.") if outcome else None
    state = JobState.DONE if outcome else JobState.WAITING
    cost = RunCost(seconds=1.5, small_tokens=30, large_tokens=10, ribbon=RIBBON) if outcome else RunCost()
    arm, position = ARMS[job % 4], job // 4
    return ResultRow(job, "", arm, position, seed, state, answer, verdict, "", Finish.END_OF_TEXT, cost)


@pytest.fixture
def model(qtbot):
    """Five problems under four arms; nothing is written yet."""
    model = ResultTable()
    show(model, [row(job) for job in range(20)], problems(5))
    return model


def show(model: ResultTable, rows: list[ResultRow], shown: Sequence[Problem]) -> None:
    arms = [arm.stored() for arm in arms_of(ARMS, RunSettings())]
    assert tuple(arm.name for arm in arms[:3]) == ARMS[:3]
    renamed = {"random": arms[3].name}
    model.show(shown, arms, [each._replace(arm=renamed.get(each.arm, each.arm)) for each in rows])


def take(model: ResultTable, each: ResultRow) -> None:
    model.take(each._replace(arm=model.arms[ARMS.index(each.arm)]))


def cells(model: ResultTable, place: int, role: int = Qt.ItemDataRole.DisplayRole) -> list[object]:
    """What the four policies say of the problem at this place."""
    return [model.index(place, FIRST_ARM + arm).data(role) for arm in range(4)]


def numbers(model: ResultTable) -> list[str]:
    return [model.index(place, ResultColumn.NUMBER).data() for place in range(model.rowCount())]


def test_a_problem_is_one_row_with_a_column_for_each_policy(model):
    titles = [model.headerData(each, Qt.Orientation.Horizontal) for each in range(model.columnCount())]
    assert titles == ["#", "Seed", "Problem", "Expected", "Small only", "Large only", "Keywords", "Random as Keywords"]
    assert model.rowCount() == 5
    assert [model.index(1, each).data() for each in ResultColumn] == ["2", "0", "Count to 1.", "1"]
    assert cells(model, 1) == [""] * 4


def test_a_pair_rescues_or_spoils_what_its_small_model_does_alone(model):
    for job, outcome in enumerate((WRONG, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, WRONG, WRONG)):
        take(model, row(job, outcome, "7"))
    assert cells(model, 0) == ["✗ 7", "✓", "✓ rescued", "✓"], "neither the large model alone nor chance is a pair"
    assert cells(model, 1) == ["✓", "✓", "✗ 7 spoiled", "✗ 7"]
    assert cells(model, 0, Qt.ItemDataRole.AccessibleTextRole)[2] == "Keywords: right, rescued, 25% by the large model"
    ribbons = [layout and layout.place(1, 100) for layout in cells(model, 0, RIBBON_ROLE)]  # type: ignore[attr-defined]
    assert ribbons == [None, None, (75, 100), None]


def test_each_outcome_has_its_sign_and_its_reason(model):
    take(model, row(0, Outcome.UNSCORED, "7"))
    take(model, row(1)._replace(state=JobState.DONE, error="The model is gone."))
    take(model, row(2)._replace(state=JobState.CLAIMED))
    take(model, row(3, RIGHT, "7")._replace(notices=("It was slow.",)))
    assert cells(model, 0) == ["– 7", "error", "writing…", "✓ !"]
    tips = cells(model, 0, Qt.ItemDataRole.ToolTipRole)
    assert tips[1] == "Large only\nThe model is gone."
    assert tips[3] == "Random as Keywords: 7\nThe same text.\nIt was slow."


def test_several_seeds_are_rows_of_their_own_and_named_in_the_tip(model):
    rows = [row(job, RIGHT)._replace(job=4 * seed + job, seed=seed) for seed in (0, 1) for job in range(4)]
    show(model, rows, problems(1))
    assert [model.index(place, ResultColumn.SEED).data() for place in (0, 1)] == ["0", "1"]
    assert str(cells(model, 1, Qt.ItemDataRole.ToolTipRole)[3]).startswith("Random as Keywords · seed 1")


def test_a_text_that_is_written_is_seen_to_grow(model, qtbot):
    with qtbot.waitSignal(model.dataChanged):
        take(model, row(6, RIGHT)._replace(state=JobState.CLAIMED))
    assert cells(model, 1)[2] == "writing…"
    assert cells(model, 1, RIBBON_ROLE)[2] is not None


def test_only_what_differs_between_problems_is_shown_and_the_whole_text_in_the_tip(model):
    opening, ending = "In the sequence where each term is the sum of all before it, what is term ", ", in five digits?"
    texts = [f"{opening}{n}{ending}" for n in (12, 14)]
    shown = [Problem(f"p{at}", text, "", {}, at + 1) for at, text in enumerate(texts)]
    show(model, [row(job) for job in range(8)], shown)
    assert [model.index(place, ResultColumn.PROBLEM).data() for place in (0, 1)] == ["12", "14"]
    first = model.index(0, ResultColumn.PROBLEM)
    assert first.data(Qt.ItemDataRole.ToolTipRole) == f"p0\n{texts[0]}"
    assert first.data(Qt.ItemDataRole.AccessibleTextRole) == texts[0]


@pytest.mark.parametrize("texts", [["Count to 1.", "Count to 2."], ["One text, twice the same." for _ in range(2)], []])
def test_a_short_or_whole_opening_is_kept(texts):
    assert distinguishing_parts(texts) == texts


def test_rows_are_sorted_by_a_column_and_as_at_first(model):
    for job, outcome in ((0, RIGHT), (4, WRONG), (8, RIGHT), (12, Outcome.UNSCORED)):
        take(model, row(job, outcome, str(9 - job)))
    model.sort(FIRST_ARM, Qt.SortOrder.DescendingOrder)
    assert numbers(model) == ["5", "4", "2", "1", "3"]
    model.sort(ResultColumn.NUMBER, Qt.SortOrder.DescendingOrder)
    take(model, row(0, WRONG, "3"))
    assert cells(model, 4)[0] == "✗ 3", "a change reaches its row wherever that is"
    model.sort(-1)
    assert numbers(model) == ["1", "2", "3", "4", "5"]


def test_filters_keep_what_went_wrong_and_where_policies_differ(model):
    for job, outcome in ((0, WRONG), (1, WRONG), (2, WRONG), (4, WRONG), (6, RIGHT), (10, RIGHT)):
        take(model, row(job, outcome))
    model.choose(RowFilter.WRONG)
    assert numbers(model) == ["1"], "the pair is what the batch is about"
    model.choose(RowFilter.DIFFERENT)
    assert numbers(model) == ["2"]
    take(model, row(4, RIGHT))
    assert numbers(model) == ["2"], "a row stays until the next choice"
    assert model.different == set()


def test_the_next_failure_is_of_the_same_policy(model):
    for job, outcome in ((0, WRONG), (2, WRONG), (6, WRONG), (8, WRONG), (14, WRONG)):
        take(model, row(job, outcome))
    places = []
    index = model.index(0, ResultColumn.PROBLEM)
    while (index := model.next_failed(index, 1)).isValid():
        places.append((index.row(), index.column()))
    assert places == [(1, FIRST_ARM + 2), (3, FIRST_ARM + 2)]
    assert model.next_failed(model.index(2, FIRST_ARM), -1).row() == 0
    assert not model.next_failed(model.index(0, FIRST_ARM), -1).isValid()


def test_it_is_a_sound_model(model):
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    take(model, row(2, RIGHT))
    model.sort(FIRST_ARM, Qt.SortOrder.DescendingOrder)
    model.choose(RowFilter.WRONG)
    assert tester.model() is model


def test_a_change_among_5000_rows_tells_of_its_own_row_only(qtbot):
    model = ResultTable()
    show(model, [row(job, WRONG if job % 7 else RIGHT, str(job)) for job in range(20_000)], problems(5_000))
    model.sort(FIRST_ARM, Qt.SortOrder.DescendingOrder)
    changes, layouts = QSignalSpy(model.dataChanged), QSignalSpy(model.layoutChanged)
    take(model, row(402, RIGHT))
    assert (changes.count(), layouts.count()) == (1, 0)
    first, last = changes.at(0)[:2]
    assert first.row() == last.row()
    assert model.index(first.row(), ResultColumn.NUMBER).data() == "101"


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"\left( 3, \frac{\pi}{2} \right)", "(3, π/2)"),
        (r"\frac{14}{3}", "14/3"),
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
