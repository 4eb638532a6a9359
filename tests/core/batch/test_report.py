"""The report says what was measured, and every export holds it."""

from __future__ import annotations

import csv
import html
import re
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reporting.exports import export
from baton_reasoning.core.batch.reporting.report import Report, accuracy_of, main_arm
from baton_reasoning.core.batch.reporting.report_html import html_report
from baton_reasoning.core.batch.reporting.report_text import (
    columns,
    comparisons,
    footnotes,
    heading,
    tables,
    text_report,
)
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.statistics import holm
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.engines.base import Conversation, Handoff, ScoredToken, Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost, StoreError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.intervals import wilson
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.store.batches import StoredArm
from baton_reasoning.core.store.run_cost import RunCost
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import HandedOver, TextDiscarded, TokenWritten, Tried
from baton_reasoning.core.thinking.policies.keywords import REFLECTION
from baton_reasoning.core.thinking.trace import Trace
from tests.core.batch.counting import (
    counting_pair,
    large_engine,
    number_in,
    problems,
    rest,
    small_engine,
    solution,
)
from tests.core.batch.noted import NOTES, noted_report
from tests.fakes.charging import ChargingEngine
from tests.fakes.scripted import QUESTION, Fault, ScriptedEngine

pytestmark = pytest.mark.slow


def solved(
    store: Store,
    *recipes: str,
    pair: Pair | None = None,
    found: list[Problem] | None = None,
    name: str = "counting",
) -> str:
    pair = pair or counting_pair()
    arms = [arm.stored() for arm in arms_of(recipes, RunSettings())]
    batch = store.batches.create(name, BatchSettings(parallel=2).stored(), found or problems(6), arms)
    with Grader() as grader:
        list(Runner(store, batch, pair, grader, 2).run())
    return batch


def report(store: Store, *recipes: str) -> Report:
    return Results.read(store, solved(store, *recipes)).report


def reflective_pair() -> Pair:
    """The small model hesitates once, and the large one steps in there."""

    def small(conversation: Conversation, body: str) -> str:
        answer = f"\n\n</think>\n\nThe answer is \\boxed{{{number_in(conversation)}}}."
        return answer if "It is so." in body else "First we count.\n\nWait, is it so, or is it not?"

    return Pair(ScriptedEngine(continue_with=small), ScriptedEngine(name="large", continue_with=lambda *_: "It is so."))


def cells(made: Report, title: str) -> list[str]:
    """The column of this title, from whichever table has it."""
    (column,) = [column for table in tables(made) for column in zip(*table.rows, strict=True) if column[0] == title]
    return list(column[1:])


def test_two_arms_have_accuracies_with_intervals_and_are_compared_on_the_same_problems(store: Store) -> None:
    made = report(store, "small", "large")
    small, large = made.arms
    assert small.accuracy is not None
    assert (small.accuracy.value, small.accuracy.interval) == (0.5, wilson(3, 6))
    assert (large.correct, large.wrong, accuracy_of(large)) == (6, 0, 1.0)
    (comparison,) = made.comparisons
    assert (comparison.first, comparison.second) == ("small", "large")
    assert (comparison.better_first, comparison.better_second, comparison.p) == (0, 3, 0.25)
    assert heading(made).startswith("counting: 6 problems, 1 seed, 2 at once; small small")
    (words,) = comparisons(made)
    assert words.startswith("Large only minus Small only: +50.0 points")
    assert "worse on 0 of 6 problems, p = 0.25" in words
    for arm in made.arms:
        assert arm.speed is not None
        assert arm.speed.interval.low <= arm.tokens_per_second <= arm.speed.interval.high
    assert "Conditions: " in footnotes(made)


def test_what_servers_charge_is_told_of_every_arm_and_row(store: Store, tmp_path: Path) -> None:
    pair = Pair(small_engine(), ChargingEngine(name="large", continue_with=large_engine().continue_with))
    batch = solved(store, "small", "large", pair=pair)
    made = Results.read(store, batch).report
    small, large = made.arms
    assert (small.money, small.remote_tokens, large.currency) == (0, 0, "EUR")
    assert large.money == pytest.approx(large.remote_tokens / 1_000_000)
    assert large.remote_tokens == large.large_tokens + large.large_read > 0
    assert cells(made, "money") == ["–", f"{large.money / 6:.2g} EUR"]
    assert f"Large only: {large.remote_tokens} tokens read and written by servers" in footnotes(made)
    export(store, batch, tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines()))
    assert sum(float(row["money"]) for row in rows) == pytest.approx(large.money)
    assert {row["currency"] for row in rows if row["arm"] == "large"} == {"EUR"}


def test_failures_and_unscored_answers_stay_out_of_the_accuracy_and_are_named(store: Store) -> None:
    found = [*problems(3), Problem("open", "Count to 9.", None, {}, 4)]
    engine = ScriptedEngine(continue_with=small_engine().continue_with, faults=[Fault(3, EngineLost("Gone."))])
    made = Results.read(store, solved(store, "small", pair=Pair(engine), found=found)).report
    (arm,) = made.arms
    assert (arm.done, arm.failed, arm.unscored, arm.correct + arm.wrong) == (4, 1, 1, 2)
    assert footnotes(made).splitlines()[0] == "Small only: 1 unscored, 1 error, 0 not run"


def test_what_is_discarded_and_why_the_large_model_stepped_in_is_measured() -> None:
    small = ScriptedEngine("All is well.\n\nWait, is it so", " and on.</think>\n\nOne.")
    large = ScriptedEngine("Wait, it is not.", name="large")
    trace = Trace.of(run(Pair(small, large), QUESTION, RunSettings()))
    measured = RunCost.of(trace)
    assert [takeover.reason for takeover in measured.takeovers] == [REFLECTION.id]
    assert measured.discarded_tokens == sum(total.discarded for total in trace.totals.values()) > 0
    assert (measured.small_read, measured.large_read) == tuple(
        total.prefilled for author, total in trace.totals.items() if total.decoded
    )


def test_all_that_a_model_decoded_counts_as_its_work() -> None:
    """Two tokens, one discarded; a trial of two; and a token by the large model, after three rejected drafts."""
    tried = tuple(ScoredToken(None, text, 0.0) for text in "xy")
    trace = Trace.of(
        [
            HandedOver(0.0, Author.SMALL, Handoff(0, 7, 0.0)),
            TokenWritten(0.0, Author.SMALL, 1, "a"),
            TokenWritten(0.0, Author.SMALL, 2, "b"),
            TextDiscarded(0.0, 1, "b", 1),
            Tried(0.0, Author.SMALL, 1, tried, Stop.LIMIT, Handoff(7, 1, 0.0)),
            HandedOver(0.0, Author.LARGE, Handoff(0, 9, 0.0)),
            TokenWritten(0.0, Author.LARGE, 3, "c", drafted=True, rejected_drafts=3),
        ]
    )
    cost = RunCost.of(trace)
    assert (cost.small_read, cost.small_reread, cost.small_decoded) == (8, 1, 2 + 2 + 4)
    assert (cost.large_read, cost.large_reread, cost.large_decoded) == (9, 0, 1 + 3)


def test_columns_that_do_not_fit_follow_below() -> None:
    rows = [("policy", "correct", "share"), ("Small only", "50.0%", "0.0%")]
    assert columns(rows, 26) == "policy      correct  share\nSmall only    50.0%   0.0%"
    below = "policy      correct\nSmall only    50.0%\n\npolicy      share\nSmall only   0.0%"
    assert columns(rows, 25) == columns(rows, 5) == below


def test_each_table_has_a_line_for_each_arm_and_no_column_that_says_nothing_of_any(store: Store) -> None:
    made = tables(report(store, "small", "large"))
    for table in made:
        lines = columns(table.rows).splitlines()
        assert [line.split("  ")[0] for line in lines] == ["policy", "Small only", "Large only"]
        assert len({len(line) for line in lines}) == 1
    both = {title for table in made for title in table.rows[0]}
    alone = {title for table in tables(report(store, "small")) for title in table.rows[0]}
    assert both - alone == {"gap recovered", "mean / large"}
    assert {"answer p50", "answer p95", "end p50", "end p95", "first read", "read again"} <= alone
    assert "money" not in both


def test_arms_of_an_older_version_are_read_or_left_out(store: Store) -> None:
    batch, settings = solved(store, "small"), RunSettings().model_dump(mode="json")
    older = settings | {"boundary": r"\n[ \t\r]*\n", "limits": settings["limits"] | {"early_exit": 0}}
    gone = settings | {"policy": {"policy": "oracle", "delta": 0.2}}
    for name, stored in (("older", older), ("gone", gone)):
        store.batches.add_arm(batch, StoredArm(name, {"settings": stored}), [0])
    results = Results.read(store, batch)
    assert [arm.name for arm in results.report.arms] == ["small", "older"]
    assert "gone: left out, since this version of Baton does not have its policy" in footnotes(results.report)
    assert {each.arm for each in results.exported()} == {"small", "older", "gone"}


def test_p_values_are_adjusted_and_of_many_comparisons_a_terminal_shows_those_with_the_main_arm(store: Store) -> None:
    made = report(store, "small", "large", "baton")
    assert [each.adjusted_p for each in made.comparisons] == holm([each.p for each in made.comparisons])
    assert sum(", adjusted p = " in line for line in comparisons(made)) == 3
    few = text_report(made)
    assert "Large only minus Small only" in few
    assert "The other" not in few
    many = made.model_copy(update={"comparisons": made.comparisons * 6})
    main = main_arm(made)
    assert main
    with_main = [each for each in many.comparisons if main.name in (each.first, each.second)]
    text = text_report(many)
    assert text.count(" points (") == len(with_main) == 12
    assert "The other 6 comparisons are in report.html." in text
    assert html_report(many).count(" points (") == 18


@pytest.mark.parametrize("shown", [text_report, html_report])
def test_every_note_stands_beside_the_table(store: Store, grader: Grader, shown: Callable[[Report], str]) -> None:
    text = html.unescape(shown(noted_report(store, grader)))
    assert [note for note in NOTES if note not in text] == []
    assert text.count("adjusted p = ") == 3


def test_one_problem_has_no_spread_of_speed_and_no_plural(store: Store) -> None:
    made = Results.read(store, solved(store, "small", "large", found=problems(1))).report
    assert heading(made).startswith("counting: 1 problem, 1 seed")
    assert "of 1 problem, p = 1" in comparisons(made)[0]
    shown = cells(made, "tok/s")
    assert all(re.fullmatch(r"[\d,]+", each) for each in shown), shown


@pytest.mark.parametrize("shown", [text_report, html_report, footnotes])
def test_a_pair_that_does_not_pay_is_named(store: Store, shown: Callable[[Report], str]) -> None:
    arms = ("small", "large", "baton")
    wrong = Pair(ScriptedEngine(continue_with=lambda _, body: rest(solution(-1), body)), large_engine())
    made = Results.read(store, solved(store, *arms, pair=wrong, found=problems(40)))
    sentence = "Keywords: its small model alone gets next to nothing right; use the large model alone for such problems"
    assert sentence in shown(made.report)
    assert sentence not in shown(report(store, *arms))


def test_many_kinds_of_errors_are_summed_up(store: Store) -> None:
    made = report(store, "small")
    errors = {f"Reason {n}.": 2 for n in range(8)}
    arm = made.arms[0].model_copy(update={"errors": errors})
    lines = footnotes(made.model_copy(update={"arms": (arm,)})).splitlines()
    assert lines[4] == "Small only: 2 answers failed: “Reason 4.”"
    assert lines[5] == "Small only: 6 answers for other reasons (results.jsonl)"


def test_speeds_taken_under_different_conditions_are_not_ranked(store: Store) -> None:
    sentence = "Other programs used 60% of the CPU during large."
    made = report(store, "small", "large").model_copy(update={"not_comparable": sentence})
    assert "Seconds were taken under different conditions and are not ranked." in html_report(made)
    assert "Speeds cannot be compared, and are not ranked: Other programs" in footnotes(made)


def test_the_curves_hold_what_the_rows_say(store: Store) -> None:
    found = Results.read(store, solved(store, "small", "large"))
    rows = [row for row in found.rows if row.arm == "large"]
    for limit, accuracy in zip(found.report.time_budgets, found.report.arms[1].accuracy_in_time, strict=True):
        right = [row.outcome is Outcome.CORRECT and row.cost.seconds <= limit for row in rows]
        assert accuracy.value == sum(right) / len(rows)


def test_the_report_adds_up_what_the_rows_say_of_steps_handoffs_and_reading(store: Store) -> None:
    found = Results.read(store, solved(store, "small", "baton", pair=reflective_pair()))
    arm, rows = found.report.arms[1], [row for row in found.exported() if row.arm == "baton"]
    assert arm.involvement.steps
    assert arm.involvement.handoffs
    assert arm.seconds_to_answer
    assert arm.seconds_to_end
    steps = [len({span.step for span in row.spans if span.author == "large"}) for row in rows]
    assert [row.large_steps for row in rows] == steps
    assert arm.involvement.steps.value == pytest.approx(sum(steps) / sum(row.steps for row in rows))
    assert arm.involvement.handoffs.value == pytest.approx(sum(row.handoffs for row in rows) / len(rows))
    assert (arm.small_reread, arm.large_reread) == tuple(
        sum(each) for each in zip(*((row.small_reread, row.large_reread) for row in rows), strict=True)
    )
    assert 0 < arm.small_reread < arm.small_read
    assert all(row.seconds_to_answer and 0 < row.seconds_to_answer <= row.seconds for row in rows)
    assert arm.seconds_to_end.p50.value == pytest.approx(statistics.median(row.seconds for row in rows), abs=1e-6)


def test_names_and_errors_are_no_markup(store: Store) -> None:
    """Models are named by their files and servers, and an error says what a server said."""
    attack = "<img src=//x/p.png> ![p](//x/p.png)"
    large = ScriptedEngine(continue_with=large_engine().continue_with, faults=[Fault(0, EngineLost(attack))])
    made = Results.read(store, solved(store, "large", pair=Pair(small_engine(), large), name=attack)).report
    assert "<img" not in html_report(made)


def test_a_batch_without_an_answer_has_a_chart_that_says_so(store: Store) -> None:
    arms = [arm.stored() for arm in arms_of(["small"], RunSettings())]
    made = Results.read(store, store.batches.create("new", {}, problems(2), arms)).report
    assert "No right answer yet." in html_report(made)
    assert tables(made)[0].rows == [("policy", "large share"), ("Small only", "0.0%")]


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(store: Store) -> None:
    batch = solved(store, "small", "large", name="<script>alert(1)</script>")
    page = html_report(Results.read(store, batch).report)
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=|url\(|@import", page)
    assert page.count("<svg") >= 1


def test_a_formula_in_an_answer_does_not_run_in_a_spreadsheet(store: Store, tmp_path: Path) -> None:
    engine = ScriptedEngine(r"</think>\boxed{=HYPERLINK(1)}")
    batch = solved(store, "small", pair=Pair(engine), found=problems(1))
    export(store, batch, tmp_path / "out.csv")
    (row,) = csv.DictReader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines())
    assert row["answer"] == "'=HYPERLINK(1)"


def test_an_unknown_kind_and_a_full_place_are_told_in_words(store: Store, tmp_path: Path) -> None:
    batch = solved(store, "small")
    with pytest.raises(StoreError, match="no kind of file"):
        export(store, batch, tmp_path / "out.docx")
    with pytest.raises(StoreError, match="cannot be written"):
        export(store, batch, tmp_path / "missing" / "out.csv")
