"""The report says what was measured, and every export holds it."""

from __future__ import annotations

import csv
import html
import re

import pytest

from baton_reasoning.core.batch.reporting.exports import export
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import main_tables, markdown_report, more_tables, notes, sentence
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.engines.base import Handoff, ScoredToken, Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost, StoreError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.intervals import Estimate
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
    problems,
    rest,
    small_engine,
    solution,
)
from tests.core.batch.noted import NOTES, noted_report, page_of, text_of
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


def cells(made: Report, title: str) -> list[str]:
    """The column of this title, from whichever table has it."""
    shown = [table for table in (*main_tables(made), *more_tables(made)) if title in table.headings]
    return [row[shown[0].headings.index(title)] for row in shown[0].rows]


@pytest.mark.parametrize(
    ("recipes", "expected"),
    [
        (
            ("small", "large", "baton", "random"),
            "Both together: 50% right with 0% by the large model; small alone 50%, large alone 100%, by chance 50%.",
        ),
        (("baton", "small"), "Both together: 50% right with 0% by the large model; small alone 50%."),
        (("baton", "every-step"), "Keywords: 50% right with 0% by the large model."),
        (("small", "large"), "Small alone: 50% right; large alone 100%."),
        (("large",), "Large alone: 100% right."),
    ],
)
def test_a_report_begins_with_what_was_found(store, recipes, expected):
    made = report(store, *recipes)
    assert sentence(made) == expected
    assert text_of(made).startswith(f"{expected}\n\ncounting: 6 problems, 1 seed, 2 at once; small small")
    assert f'<p class="sentence">{expected}</p>' in page_of(made)
    assert markdown_report(made).startswith(f"# counting\n\n{expected}\n")


def test_a_sentence_has_the_figures_of_the_arms(store):
    made = report(store, "small", "large", "baton", "random")
    values = {"small": 0.625, "large": 0.98, "baton": 0.996, "random as baton": 0.72}
    tokens = {"small_tokens": 72, "large_tokens": 28}
    arms = [
        arm.model_copy(update={"accuracy": Estimate(values[arm.name], 0, 1)} | (tokens if arm.is_pair else {}))
        for arm in made.arms
    ]
    assert sentence(made.model_copy(update={"arms": tuple(arms)})) == (
        "Both together: 99.6% right with 28% by the large model; small alone 63%, large alone 98%, by chance 72%."
    )


def test_a_sentence_says_what_is_not_there_yet(store):
    arms = [arm.stored() for arm in arms_of(["small", "large"], RunSettings())]
    made = Results.read(store, store.batches.create("new", {}, problems(2), arms)).report
    assert sentence(made) == "No answer yet."
    assert notes(made) == ["4 not run: resume the batch for these answers."]
    assert "No graded answer yet." in page_of(made)
    assert "Every answer is right." not in page_of(made)
    assert main_tables(made) == more_tables(made) == ()
    faults = [Fault(0, EngineLost("Gone."))]
    lost = Pair(ScriptedEngine(continue_with=small_engine().continue_with, faults=faults), large_engine())
    assert sentence(Results.read(store, solved(store, "small", pair=lost, found=problems(1))).report) == (
        "No answer yet; 1 error."
    )
    ungraded = [Problem("open", "Count to 9.", None, {}, 1)]
    made = Results.read(store, solved(store, "small", "baton", found=ungraded)).report
    assert sentence(made) == "Both together: no graded answer."
    assert [table.headings for table in main_tables(made)] == [("policy", "large share", "s/answer")]


def test_the_tables_that_matter_fit_into_80_columns_and_the_others_are_folded(store):
    made = report(store, "small", "large", "baton", "random")
    arms, differences = main_tables(made)
    assert arms.headings == ("policy", "correct (95% CI)", "large share", "s/answer", "× large")
    assert differences.title == "Difference from “Keywords”"
    assert differences.headings == ("policy", "points (95% CI)", "p", "adjusted p")
    assert [row[0] for row in differences.rows] == ["Small only", "Large only", "Random as Keywords"]
    assert all(len(line) <= 80 for table in (arms, differences) for line in table.as_text().splitlines())
    text, page, markdown = text_of(made), page_of(made), markdown_report(made)
    folded = page[page.index("<details>") :]
    for table in more_tables(made):
        assert text.count(table.title) == text.splitlines()[-1].count(table.title) == 1
        assert table.title in folded
        assert table.as_markdown() in markdown
    assert [len(table.rows) for table in more_tables(made)] == [4, 4, 6]
    assert "gap recovered" not in (title for table in more_tables(report(store, "small")) for title in table.headings)


def test_differences_are_those_of_the_other_arms_from_the_one_that_is_named(store):
    made = report(store, "small", "large")
    (row,) = main_tables(made, "small")[1].rows
    assert row == ("Large only", "+50.0 (+0.0 to +81.2)", "0.25")
    (row,) = main_tables(made, "large")[1].rows
    assert row == ("Small only", "-50.0 (-81.2 to +0.0)", "0.25")
    assert more_tables(made)[-1].rows == (
        ("Large only minus Small only", "+50.0 (+0.0 to +81.2)", "3", "0", "6", "0.25", "0.25"),
    )


def test_what_servers_charge_is_told_of_every_arm_and_row(store, tmp_path):
    pair = Pair(small_engine(), ChargingEngine(name="large", continue_with=large_engine().continue_with))
    batch = solved(store, "small", "large", pair=pair)
    made = Results.read(store, batch).report
    small, large = made.arms
    assert (small.money, small.remote_tokens, large.currency) == (0, 0, "EUR")
    assert large.money == pytest.approx(large.remote_tokens / 1_000_000)
    assert large.remote_tokens == large.large_tokens + large.large_read > 0
    assert cells(made, "money") == ["–", f"{large.money / 6:.2g} EUR"]
    export(store, batch, tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines()))
    assert sum(float(row["money"]) for row in rows) == pytest.approx(large.money)
    assert {row["currency"] for row in rows if row["arm"] == "large"} == {"EUR"}


def test_failures_and_unscored_answers_stay_out_of_the_accuracy_and_are_named(store):
    found = [*problems(3), Problem("open", "Count to 9.", None, {}, 4)]
    engine = ScriptedEngine(continue_with=small_engine().continue_with, faults=[Fault(3, EngineLost("Gone."))])
    made = Results.read(store, solved(store, "small", pair=Pair(engine), found=found)).report
    (arm,) = made.arms
    assert (arm.done, arm.failed, arm.unscored, arm.correct + arm.wrong) == (4, 1, 1, 2)
    assert notes(made) == [
        "Small only: 1 answer failed: “Gone.”",
        "1 error: resume the batch for these answers.",
        "Not graded, and in no accuracy: Small only 1. Look at them, or grade another way.",
    ]


def test_what_is_discarded_and_why_the_large_model_stepped_in_is_measured():
    small = ScriptedEngine("All is well.\n\nWait, is it so", " and on.</think>\n\nOne.")
    large = ScriptedEngine("Wait, it is not.", name="large")
    trace = Trace.of(run(Pair(small, large), QUESTION, RunSettings()))
    measured = RunCost.of(trace)
    assert [takeover.reason for takeover in measured.takeovers] == [REFLECTION.id]
    assert measured.discarded_tokens == sum(total.discarded for total in trace.totals.values()) > 0
    assert (measured.small_read, measured.large_read) == tuple(
        total.prefilled for author, total in trace.totals.items() if total.decoded
    )


def test_all_that_a_model_decoded_counts_as_its_work():
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


def test_arms_of_an_older_version_are_read_or_left_out(store):
    batch, settings = solved(store, "small"), RunSettings().model_dump(mode="json")
    older = settings | {"boundary": r"\n[ \t\r]*\n", "limits": settings["limits"] | {"early_exit": 0}}
    gone = settings | {"policy": {"policy": "oracle", "delta": 0.2}}
    for name, stored in (("older", older), ("gone", gone)):
        store.batches.add_arm(batch, StoredArm(name, {"settings": stored}), [0])
    results = Results.read(store, batch)
    assert [arm.name for arm in results.report.arms] == ["small", "older"]
    assert "gone: left out, since this version of Baton does not have its policy." in notes(results.report)
    assert {each.arm for each in results.exported()} == {"small", "older", "gone"}


@pytest.mark.parametrize("shown", [text_of, page_of, markdown_report])
def test_every_note_stands_beside_the_table(store, grader, shown):
    text = html.unescape(shown(noted_report(store, grader)))
    assert [note for note in NOTES if note not in text] == []


def test_a_pair_that_does_not_pay_is_named(store):
    arms = ("small", "large", "baton")
    wrong = Pair(ScriptedEngine(continue_with=lambda _, body: rest(solution(-1), body)), large_engine())
    made = Results.read(store, solved(store, *arms, pair=wrong, found=problems(40)))
    assert notes(made.report)[0] == (
        "Keywords: its small model alone gets next to nothing right; use the large model alone for such problems."
    )
    assert notes(report(store, *arms)) == []


def test_many_kinds_of_errors_are_summed_up(store):
    made = report(store, "small")
    errors = {f"Reason {n}.": 2 for n in range(8)}
    arm = made.arms[0].model_copy(update={"errors": errors})
    lines = notes(made.model_copy(update={"arms": (arm,)}))
    assert lines[4] == "Small only: 2 answers failed: “Reason 4.”"
    assert lines[5] == "Small only: 6 answers for other reasons (results.jsonl)"


def test_a_control_that_missed_its_large_share_is_named(store):
    made = report(store, "large").model_copy(update={"is_older": False})
    near, far = (made.arms[0].model_copy(update={"aimed_share": share}) for share in (0.99, 0.9))
    assert notes(made.model_copy(update={"arms": (near,)})) == []
    assert notes(made.model_copy(update={"arms": (far,)})) == [
        "Large only: a large share of 100.0%, 90.0% was aimed at; compare it with care."
    ]


def test_names_and_errors_are_no_markup(store):
    """Models are named by their files and servers, and an error says what a server said."""
    attack = "<img src=//x/p.png> ![p](//x/p.png)"
    large = ScriptedEngine(continue_with=large_engine().continue_with, faults=[Fault(0, EngineLost(attack))])
    made = Results.read(store, solved(store, "large", pair=Pair(small_engine(), large), name=attack)).report
    assert "<img" not in page_of(made)
    assert "<img" not in markdown_report(made)
    assert not re.search(r"(?<!\\)!\[", markdown_report(made))


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(store):
    batch = solved(store, "small", "large", name="<script>alert(1)</script>")
    page = page_of(Results.read(store, batch).report)
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=|url\(|@import", page)
    assert "(prefers-color-scheme: dark)" in page
    assert "details::details-content" in page[page.index("@media print") :], "what is folded is printed, too"
    assert 'viewBox="0 0 328' in page, "on a narrow screen the chart is drawn narrow, so that it can be read"


def test_a_formula_in_an_answer_does_not_run_in_a_spreadsheet(store, tmp_path):
    engine = ScriptedEngine(r"</think>\boxed{=HYPERLINK(1)}")
    batch = solved(store, "small", pair=Pair(engine), found=problems(1))
    export(store, batch, tmp_path / "out.csv")
    (row,) = csv.DictReader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines())
    assert row["answer"] == "'=HYPERLINK(1)"


def test_an_unknown_kind_and_a_full_place_are_told_in_words(store, tmp_path):
    batch = solved(store, "small")
    with pytest.raises(StoreError, match="no kind of file"):
        export(store, batch, tmp_path / "out.docx")
    with pytest.raises(StoreError, match="cannot be written"):
        export(store, batch, tmp_path / "missing" / "out.csv")
