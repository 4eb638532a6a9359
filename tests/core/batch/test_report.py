"""The report says what was measured, in a sentence, tables, notes and charts, as text, Markdown and a page."""

import html
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from baton_reasoning.core.analysis.run_cost import RunCost
from baton_reasoning.core.batch.reporting.baselines import FALLS_SHORT, against_baselines, change_by_pair
from baton_reasoning.core.batch.reporting.charts import share_chart, shares_in_words
from baton_reasoning.core.batch.reporting.figures import points
from baton_reasoning.core.batch.reporting.report import ArmReport, Report, why_not_comparable
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import main_tables, markdown_report, more_tables, notes, sentence
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, ModelSummary, Provenance
from baton_reasoning.core.charts import MARKER_WIDTH
from baton_reasoning.core.demo_pair import MEASURED_COST, MEASURED_RATIO
from baton_reasoning.core.engines.base import Handoff, ScoredToken, Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.grading.verdict import GradingMethod, Verdict
from baton_reasoning.core.intervals import Estimate, wilson
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.thinking.events import HandedOver, TextDiscarded, TokenWritten, Tried
from baton_reasoning.core.thinking.trace import Trace
from tests.core.batch.counting import (
    DEMO,
    NOTES,
    large_engine,
    noted_report,
    page_of,
    problems,
    small_engine,
    solved,
    text_of,
)
from tests.fakes.scripted import ChargingEngine, Fault


def report(store, *recipes, **more):
    return Results.read(store, solved(store, *recipes, **more)).report


def test_a_report_begins_with_what_was_found_and_its_tables_fit_into_80_columns_or_are_folded(store):
    made = report(store, "small", "large", "baton", "random")
    arms, differences = main_tables(made)
    assert arms.headings == ("arm", "correct (95% CI)", "large share", "s/answer", "× large")
    assert differences.title == "Difference from “baton”"
    assert differences.headings == ("arm", "points (95% CI)", "p", "adjusted p")
    assert [row[0] for row in differences.rows] == ["small", "large", "random"]
    assert all(len(line) <= 80 for table in (arms, differences) for line in table.as_text().splitlines())
    text, page, markdown = text_of(made), page_of(made), markdown_report(made)
    assert text.startswith(f"{sentence(made)}\n\ncounting: 6 problems, 1 seed, 2 at once; small small")
    assert f'<p class="sentence">{sentence(made)}</p>' in page
    assert markdown.startswith(f"# counting\n\n{sentence(made)}\n")
    folded = page[page.index("<details>") :]
    for table in more_tables(made):
        assert text.count(table.title) == text.splitlines()[-1].count(table.title) == 1
        assert table.title in folded
        assert table.as_markdown() in markdown
    assert [len(table.rows) for table in more_tables(made)] == [4, 4, 6]
    other = report(store, "baton", "every-step")
    assert sentence(other) == "baton: 3 of 6 right."
    assert "gap recovered" not in (title for table in more_tables(other) for title in table.headings)


@pytest.mark.parametrize(
    ("file", "quantisation", "label"),
    [
        ("Qwen3-1.7B-Q4_K_M.gguf", "Q4_K_M", "Qwen3-1.7B-Q4_K_M"),
        ("mine.gguf", "Q8_0", "mine Q8_0"),
        ("", "", "Qwen3 1.7B"),
        ("", "Q4_K_M", "Qwen3 1.7B Q4_K_M"),
    ],
)
def test_a_model_is_called_by_its_file_and_quantisation(file, quantisation, label):
    assert ModelSummary(name="Qwen3 1.7B", file=file, quantisation=quantisation).label == label


def counted_up(report, jobs=50, **right):
    """The report once each arm has so many jobs; `right`: right answers and graded ones of an arm, and what is more."""
    arms = []
    for arm in report.arms:
        correct, graded, *more = right[arm.name.partition(" ")[0]]
        figures = {"jobs": jobs, "done": jobs, "correct": correct, "wrong": graded - correct}
        figures |= {"accuracy": wilson(correct, graded) if graded else None, **dict(*more)}
        arms.append(arm.model_copy(update=figures | ({"small_tokens": 71, "large_tokens": 29} if arm.is_pair else {})))
    return report.model_copy(update={"arms": tuple(arms)})


def test_a_sentence_says_of_how_many_answers_it_speaks_and_compares_no_few(store):
    made = report(store, "small", "large", "baton", "random")
    right = {"small": (27, 50), "large": (49, 50), "baton": (46, 50), "random": (37, 50)}
    assert sentence(counted_up(made, **right)) == (
        "Both together: 46 of 50 right (92%) with 29% by the large model; small alone 27 of 50, large alone 49 of 50, "
        "by chance 37 of 50."
    )
    running = right | {"small": (6, 30), "large": (7, 9, {"done": 9}), "baton": (15, 29, {"done": 29})}
    assert sentence(counted_up(made, **running)) == (
        "So far: both together 15 of 29 right (52%) with 29% by the large model; small alone 6 of 30, by chance 37 of "
        "50."
    )
    few = right | {"baton": (8, 9, {"done": 9})}
    assert sentence(counted_up(made, **few)) == "So far: 9 graded answers by both together, too few to compare."
    one = right | {"baton": (1, 1)}
    assert sentence(counted_up(made, **one)) == "Both together: 1 graded answer, too few to compare."
    none = right | {"baton": (0, 0, {"done": 0})}
    assert sentence(counted_up(made, **none)) == "So far: no answer by both together."
    small = {"small": (2, 4), "large": (4, 4), "baton": (3, 4), "random": (0, 1, {"done": 1})}
    assert sentence(counted_up(made, jobs=4, **small)) == (
        "So far: both together 3 of 4 right; small alone 2 of 4, large alone 4 of 4, by chance 0 of 1."
    )
    two = report(store, "baton", "every-step")
    running = counted_up(two, baton=(15, 29), **{"every-step": (0, 0, {"done": 0})})
    assert sentence(running) == "So far: “baton” 15 of 29 right (52%) with 29% by the large model."


def test_a_sentence_says_where_more_than_a_twentieth_of_the_answers_were_cut_off(store):
    made = report(store, "small", "large", "baton")

    def said(**cut_off):
        right = {name: (30, 60, {"jobs": 60, "done": 60, "cut_off": number}) for name, number in cut_off.items()}
        return sentence(counted_up(made, **right)).partition("30 of 60.")[2]

    assert said(small=3, large=0, baton=3) == ""
    assert said(small=31, large=3, baton=4) == " Cut off at a limit: both together 4 of 60, small alone 31 of 60."


def test_a_sentence_says_what_is_not_there_yet(store):
    arms = [arm.stored() for arm in arms_of(["small", "large"], RunSettings())]
    made = Results.read(store, store.batches.create("new", {}, problems(2), arms)).report  # it has not begun
    assert sentence(made) == "No answer yet."
    assert notes(made) == ["4 not run: resume the batch for these answers."]
    assert "No graded answer yet." in page_of(made)
    assert "Every answer is right." not in page_of(made)
    assert main_tables(made) == more_tables(made) == ()
    lost = Pair(small_engine(faults=[Fault(0, EngineLost("Gone."))]), large_engine())
    assert sentence(report(store, "small", pair=lost, found=problems(1))) == "No answer yet; 1 error."
    made = report(store, "small", "baton", found=[Problem("open", "Count to 9.", None, {}, 1)])
    assert sentence(made) == "Both together: no graded answer."
    assert main_tables(made)[0].headings == ("arm", "large share", "s/answer")


def test_differences_are_those_of_the_other_arms_from_the_one_that_is_named(store):
    made = report(store, "small", "large")
    assert sentence(made) == "Small alone: 3 of 6 right; large alone 6 of 6."
    (row,) = main_tables(made.model_copy(update={"main": "small"}))[1].rows
    assert row == ("large", "+50.0 (+0.0 to +81.2)", "0.25")
    (row,) = main_tables(made.model_copy(update={"main": "large"}))[1].rows
    assert row == ("small", "-50.0 (-81.2 to +0.0)", "0.25")
    assert more_tables(made)[-1].rows == (
        ("large minus small", "+50.0 (+0.0 to +81.2)", "3", "0", "6", "0.25", "0.25"),
    )
    assert points(Estimate(-0.0004, -0.5, 0.0004)) == "+0.0 (-50.0 to +0.0)", "nothing is no loss"


def test_what_servers_charge_is_told_of_every_arm(store):
    pair = Pair(small_engine(), ChargingEngine(name="large", continue_with=large_engine().continue_with))
    made = report(store, "small", "large", pair=pair)
    small, large = made.arms
    assert (small.money, small.remote_tokens, large.currency) == (0, 0, "EUR")
    assert large.money == pytest.approx(large.remote_tokens / 1_000_000)
    assert large.remote_tokens == large.large_tokens + large.large_read > 0
    assert [row[-1] for row in main_tables(made)[0].rows] == ["–", f"{large.money / 6:.2g} EUR"]


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
    assert (cost.small_read, cost.small_recomputed, cost.small_decoded) == (8, 1, 2 + 2 + 4)
    assert (cost.large_read, cost.large_recomputed, cost.large_decoded) == (9, 0, 1 + 3)


def test_every_note_stands_beside_the_table(store, grader):
    made = noted_report(store, grader)
    for shown in (text_of, page_of, markdown_report):
        text = html.unescape(shown(made))
        assert [note for note in NOTES if note not in text] == []


def test_notes_sum_up_many_errors_and_name_what_does_not_pay_or_misses_its_share(store):
    made = report(store, "large")
    (arm,) = made.arms

    def noted(**figures):
        return notes(made.model_copy(update={"arms": (arm.model_copy(update=figures),)}))

    assert noted() == noted(aimed_share=0.99) == []
    assert noted(advice="use the large model alone") == ["large: use the large model alone."]
    assert noted(aimed_share=0.9) == ["large: a large share of 100.0%, 90.0% was aimed at; compare it with care."]
    lines = noted(errors={f"Reason {n}.": 2 for n in range(8)})
    more = "large: 6 answers for other reasons (results.jsonl)"
    assert lines[4:] == ["large: 2 answers failed: “Reason 4.”", more]


ARMS = arms_of(["small", "large", "drafted", "baton"], RunSettings())
SMALL_ARM, LARGE_ARM, DRAFTED, BATON = ARMS


def answers(arm, signs):
    """`signs`: of each problem, + or -, and ? for an answer without a verdict."""
    verdicts = (Verdict.of({"+": True, "-": False, "?": None}[sign], GradingMethod.AUTO, "") for sign in signs)
    return [
        ResultRow(*(0, "", arm, problem, 0, JobState.DONE, "", verdict, "", None), RunCost(seconds=1.0))
        for problem, verdict in enumerate(verdicts)
    ]


@pytest.mark.parametrize(
    ("small", "baton", "large", "advice"),
    [(0, 4, 30, FALLS_SHORT), (8, 8, 30, FALLS_SHORT), (8, 9, 30, ""), (0, 22, 30, ""), (8, 6, 12, "")],
)
def test_it_is_said_where_the_large_model_alone_is_better_than_a_pair(small, baton, large, advice):
    right = {SMALL_ARM: small, LARGE_ARM: large, DRAFTED: large, BATON: baton}
    results = {arm.name: answers(arm.name, count * "+" + (40 - count) * "-") for arm, count in right.items()}
    found = {name: each.advice for name, each in against_baselines(ARMS, results).items()}
    assert found == {arm.name: advice if arm is BATON else "" for arm in ARMS}
    control = BATON.model_copy(update={"equal_share_of": "other"})
    of_control = against_baselines([SMALL_ARM, LARGE_ARM, control], results)[BATON.name]
    assert of_control.advice == "", "nobody means to use a control"


def test_a_pair_rescues_or_spoils_an_answer_of_its_small_model():
    pairs = zip(answers("small", "-++-?-"), answers("baton", "+-+-+?"), strict=True)
    assert [change_by_pair(*pair) for pair in pairs] == ["rescued", "spoiled", "", "", "", ""]


def test_it_is_said_why_the_seconds_of_two_arms_cannot_be_compared():
    found = why_not_comparable({"a": [(16, 2, 4)], "b": [(2, 2, 4)]})
    assert re.search("100% of the answers.* at once with 2 threads", found)
    assert why_not_comparable({"a": [(16, 1, 4)], "b": [(16, 0, 4)], "unknown": []}) == ""


def test_names_and_errors_are_no_markup_and_the_page_needs_nothing_from_elsewhere(store):
    attack = "<script>alert(1)</script> <img src=//x/p.png> ![p](//x/p.png)"
    large = large_engine(faults=[Fault(0, EngineLost(attack))])
    made = report(store, "large", pair=Pair(small_engine(), large), name=attack)
    page, markdown = page_of(made), markdown_report(made)
    for shown in (page, markdown):
        assert "<img" not in shown
        assert "<script" not in shown
    assert not re.search(r"(?<!\\)!\[", markdown)
    assert not re.search(r"<[^>]*(?:src|href)=|url\(|@import", page)
    assert "(prefers-color-scheme: dark)" in page
    assert "details::details-content" in page[page.index("@media print") :], "what is folded is printed, too"


# The demo pair: both models are equally fast, so that a line says what was measured instead of seconds


def test_no_seconds_are_shown_of_the_demo_pair_but_what_was_measured_at_a_real_cost(store):
    made = report(store, "small", "large")
    demo = made.model_copy(update={"is_demo": True})
    (note,) = notes(demo)
    assert f"1 to {MEASURED_COST}, one answer at a time" in note
    assert f"the pair takes {MEASURED_RATIO:.2f} of the time of the large model alone" in note
    assert notes(made) == []
    seconds = re.compile("Second|answer p50|end p95|tok/s|mean / large|s/answer|× large")
    for show in (text_of, markdown_report):
        assert seconds.findall(show(demo)) == []
        assert seconds.findall(show(made))


def test_a_batch_is_the_demos_if_no_other_model_writes_in_it():
    small, large = (ModelSummary(name="demo", source=str(source)) for source in DEMO)
    other = ModelSummary(name="other", source="large.gguf")
    named = Provenance(small="demo:small", large="demo:large")
    for is_demo, settings in (
        (True, BatchSettings(small=small, large=large)),
        (True, BatchSettings(small=small)),  # the arm of the small model alone needs no other
        (False, BatchSettings(small=small, large=other)),
        (False, BatchSettings(small=small, large=large, other_larges={"large.gguf": other})),
        (True, BatchSettings(provenance=named)),  # before it begins, the names tell
        (False, BatchSettings(provenance=named.model_copy(update={"large": "large.gguf"}))),
        (False, BatchSettings(small=other, provenance=named)),  # it was resumed with others
    ):
        assert settings.is_demo is is_demo, settings


def test_the_measured_ratio_is_that_of_the_documented_experiment():
    page = Path(__file__).parents[3].joinpath("docs", "evidence.md").read_text(encoding="utf-8")
    assert f"`baton evidence --cost {MEASURED_COST} " in page
    (row,) = re.findall(r"^\| baton \|.*\| (\d\.\d\d) \(", page, re.MULTILINE)
    assert float(row) == MEASURED_RATIO


# Charts: a legend names each arm by the marker at its place, and the lines behind the arms


def arm_report(name, large_tokens, right, policy="keywords"):
    """An arm of 20 answers and 1,000 tokens."""
    fields = {
        "name": name,
        "settings": {"settings": {"policy": {"policy": policy}}},
        "accuracy": wilson(right, 20),
        "correct": right,
        "wrong": 20 - right,
        "small_tokens": 1_000 - large_tokens,
        "large_tokens": large_tokens,
        "takeovers": {},
    }
    return ArmReport.model_construct(**fields)


def report_of(*arms):
    fields: dict[str, Any] = {"arms": arms}
    return Report.model_construct(**fields)


SMALL, LARGE = arm_report("small", 0, 12, "never"), arm_report("large", 1_000, 19, "always")


class Drawing:
    """What one sees in the SVG of a chart."""

    def __init__(self, svg):
        self.root = ElementTree.fromstring(svg.replace(' xmlns="http://www.w3.org/2000/svg"', ""))
        elements = list(self.root)
        samples = [at for at, each in enumerate(elements) if each.tag == "g"]
        self.legend = {elements[at + 1].text: elements[at][0] for at in samples}
        """Samples by their name, in reading order."""

    def place(self, share, percent):
        """Where one would look for a point, by the first and the last number at each axis."""
        found = []
        for anchor, side, value in (("middle", "x", share), ("end", "y", percent)):
            texts = [each for each in self.root if each.get("text-anchor") == anchor and (each.text or "").isdigit()]
            (first, start), *_, (last, end) = ((float(each.text or ""), float(each.attrib[side])) for each in texts)
            found.append(start + (end - start) * (value - first) / (last - first))
        return pytest.approx((found[0], found[1] - 4), abs=0.2)

    def places(self, name):
        """The points that are drawn as the legend's sample of this name."""
        sample = self.legend[name]
        alike = [each for each in self.root if each.tag == sample.tag and look(each) == look(sample)]
        numbers = (re.findall(r"-?[\d.]+", each.get("transform") or each.attrib["points"]) for each in alike)
        return [tuple(map(float, found)) for found in numbers]


def look(element):
    return {key: value for key, value in element.attrib.items() if key not in ("transform", "points")}


def test_each_arm_has_its_marker_at_its_place_and_lines_of_chance_lead_from_small_to_large():
    larger = arm_report("large, 32B", 900, 20, "always")
    both, beside = (arm_report(name, 280, 19) for name in ("c = 3", "c = 4"))
    drawing = Drawing(share_chart(report_of(SMALL, LARGE, larger, both, beside)))
    named = {"small": (0, 60), "large": (100, 95), "large, 32B": (90, 100), "c = 3": (28, 95)}
    by_chance = [f"By chance, from small to {name}" for name in ("large", "large, 32B")]
    assert list(drawing.legend) == [*named, "c = 4", *by_chance]
    for name, (share, percent) in named.items():
        assert drawing.places(name) == [drawing.place(share, percent)]
    ((x, y),), ((other_x, other_y),) = map(drawing.places, ("c = 3", "c = 4"))
    assert (abs(other_x - x) >= MARKER_WIDTH, other_y) == (True, y), "no marker hides another"
    lines = [(line[:2], line[2:]) for line in drawing.places(by_chance[0])]
    assert lines == [(drawing.place(0, 60), drawing.place(100, 95)), (drawing.place(0, 60), drawing.place(90, 100))]
    *_, across, down = map(float, drawing.root.attrib["viewBox"].split())
    words = [(float(each.attrib["x"]), float(each.attrib["y"])) for each in drawing.root.findall("text")]
    assert all(0 <= at <= across and 0 <= up <= down for at, up in words)
    drafted = arm_report("drafted", 1_000, 19, "drafted")
    lone = share_chart(report_of(SMALL, drafted, arm_report("silent", 0, 12)))
    assert "By chance" not in lone, "an arm that drafts, or whose large model never stepped in, is no model alone"


def test_names_in_a_chart_are_text_and_without_an_answer_it_says_so():
    name = "<script>alert(1)</script>"
    assert list(Drawing(share_chart(report_of(arm_report(name, 280, 19)))).legend) == [name]
    assert shares_in_words(report_of(SMALL, LARGE)) == "small 60% of 20 at 0.0%; large 95% of 20 at 100.0%"
    silent = report_of(SMALL.model_copy(update={"accuracy": None}))
    assert "No graded answer yet." in share_chart(silent)
    assert shares_in_words(silent) == "No graded answer yet."
