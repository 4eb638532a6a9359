"""The table of results stays right while it changes."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from baton_reasoning.app.batch.result_table import RIBBON_ROLE, ResultTable
from baton_reasoning.app.batch.row_order import ResultColumn, RowFilter
from baton_reasoning.core.batch.running.progress import JobGrew
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import How, Outcome, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import Conditions, JobState, ResultRow
from baton_reasoning.core.store.run_cost import RunCost, Segment
from baton_reasoning.core.thinking.events import Finish
from tests.core.batch.counting import problems


def row(job: int, arm: str = "small", outcome: Outcome | None = None, tokens: int = 0, position: int = -1) -> ResultRow:
    verdict = Verdict(outcome, How.EXACT, "The same text.") if outcome else None
    state = JobState.DONE if outcome else JobState.WAITING
    at = position if position >= 0 else job
    ribbon = (Segment(Author.SMALL, tokens),) if tokens else ()
    return ResultRow(
        job,
        "",
        arm,
        at,
        0,
        state,
        str(at) if outcome else "",
        verdict,
        "",
        Finish.END_OF_TEXT,
        RunCost(seconds=1.5, small_tokens=tokens, ribbon=ribbon),
    )


@pytest.fixture
def model(qtbot: QtBot) -> ResultTable:
    model = ResultTable()
    model.show(problems(5), [row(n) for n in range(5)])
    return model


def column(model: ResultTable, wanted: ResultColumn) -> list[str]:
    return [model.index(place, wanted).data() for place in range(model.rowCount())]


def test_a_notice_is_seen_heard_and_explained(model: ResultTable) -> None:
    conditions = Conditions(parallel=8, threads=2, other_load=0.25, paused=True)
    model.take(row(1, outcome=Outcome.CORRECT, tokens=9)._replace(notices=("It was slow.",), conditions=conditions))
    mark = model.index(1, ResultColumn.MARK)
    assert mark.data() == "✓ !"
    assert mark.data(Qt.ItemDataRole.AccessibleTextRole) == "right, with a notice"
    assert mark.data(Qt.ItemDataRole.ToolTipRole) == "The same text.\nIt was slow."
    words = "8 at once, 2 threads, 25% of the CPU used by other programs, the batch was paused meanwhile"
    assert model.index(1, ResultColumn.TIME).data(Qt.ItemDataRole.ToolTipRole) == words


def test_problems_that_begin_alike_are_shown_where_they_differ(model: ResultTable) -> None:
    opening = "Each term is the sum of the two before it. What is term "
    texts = [f"{opening}{n}, if term 1 is {n}?" for n in (12, 14)]
    model.show([Problem(str(at), text, "", {}, at + 1) for at, text in enumerate(texts)], [row(0), row(1)])
    assert column(model, ResultColumn.PROBLEM) == ["… 12, if term 1 is 12?", "… 14, if term 1 is 14?"]
    assert model.index(0, ResultColumn.PROBLEM).data(Qt.ItemDataRole.ToolTipRole) == texts[0]
    assert model.index(0, ResultColumn.PROBLEM).data(Qt.ItemDataRole.AccessibleTextRole) == texts[0]


@pytest.mark.parametrize("texts", [["Count to 1.", "Count to 2."], ["One text, twice the same." for _ in range(2)]])
def test_a_short_or_whole_opening_is_kept(model: ResultTable, texts: list[str]) -> None:
    model.show([Problem(str(at), text, "", {}, at + 1) for at, text in enumerate(texts)], [row(0), row(1)])
    assert column(model, ResultColumn.PROBLEM) == texts


def test_it_is_a_sound_model(model: ResultTable) -> None:
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.take(row(2, outcome=Outcome.CORRECT, tokens=9))
    model.sort(ResultColumn.TOKENS, Qt.SortOrder.DescendingOrder)
    model.choose(RowFilter.WRONG, None)
    assert tester.model() is model


def test_a_job_shows_what_became_of_it(model: ResultTable) -> None:
    for job, outcome in enumerate((Outcome.CORRECT, Outcome.WRONG, Outcome.UNSCORED)):
        model.take(row(job, outcome=outcome, tokens=5))
    model.take(row(3, outcome=None)._replace(state=JobState.DONE, error="The model is gone."))
    assert column(model, ResultColumn.MARK) == ["✓", "✗", "–", "error", ""]
    assert model.index(3, ResultColumn.MARK).data(Qt.ItemDataRole.ToolTipRole) == "The model is gone."


def test_a_text_that_is_written_is_seen_to_grow(model: ResultTable, qtbot: QtBot) -> None:
    with qtbot.waitSignal(model.dataChanged):
        ribbon = (Segment(Author.SMALL, 30), Segment(Author.LARGE, 10))
        model.grow(JobGrew(1, RunCost(seconds=2.0, small_tokens=30, large_tokens=10, ribbon=ribbon)))
    assert model.index(1, ResultColumn.MARK).data() == "running…"
    assert model.index(1, ResultColumn.SHARE).data() == "25%"
    assert model.index(1, ResultColumn.RIBBON).data(RIBBON_ROLE).place(1, 100) == (75, 100)


def test_sorting_turns_the_rows_and_clears_again(model: ResultTable) -> None:
    for job, tokens in enumerate((30, 10, 50, 20, 40)):
        model.take(row(job, outcome=Outcome.CORRECT, tokens=tokens))
    model.sort(ResultColumn.TOKENS, Qt.SortOrder.DescendingOrder)
    assert column(model, ResultColumn.TOKENS) == ["50", "40", "30", "20", "10"]
    model.sort(-1)
    assert column(model, ResultColumn.NUMBER) == ["1", "2", "3", "4", "5"]


def test_changes_reach_the_right_row_of_a_sorted_table(model: ResultTable) -> None:
    model.sort(ResultColumn.NUMBER, Qt.SortOrder.DescendingOrder)
    model.take(row(0, outcome=Outcome.WRONG, tokens=3))
    assert column(model, ResultColumn.MARK) == ["", "", "", "", "✗"]


def test_a_filter_keeps_one_arm(model: ResultTable) -> None:
    model.show(problems(2), [row(n, arm, position=n // 2) for n, arm in enumerate(("small", "large") * 2)])
    model.choose(RowFilter.ALL, "large")
    assert column(model, ResultColumn.ARM) == ["Large only", "Large only"]


def test_rows_of_several_seeds_are_told_apart(model: ResultTable) -> None:
    model.show(problems(1), [row(n, position=0)._replace(seed=n) for n in range(3)])
    assert column(model, ResultColumn.ARM) == ["Small only", "Small only · seed 1", "Small only · seed 2"]


def test_many_rows_are_read_only_where_they_are_seen(qtbot: QtBot) -> None:
    model = ResultTable()
    model.show(problems(5_000), [row(n, outcome=Outcome.CORRECT, tokens=n % 997 + 1) for n in range(5_000)])
    model.sort(ResultColumn.TOKENS, Qt.SortOrder.DescendingOrder)
    assert model.rowCount() == 5_000
    assert model.index(0, ResultColumn.TOKENS).data() == "997"
    model.index(0, ResultColumn.RIBBON).data(RIBBON_ROLE)
    assert len(model._layouts) == 1


def test_an_untouched_row_is_empty_but_for_its_problem(model: ResultTable) -> None:
    cells = [model.index(0, each).data() for each in ResultColumn]
    assert cells == ["1", "Count to 0.", "Small only", "", "", "", "0", "", "", ""]
