"""What is read from a batch: results and reports for other tools, failures by what went wrong, reviews of answers."""

import csv
import hashlib
import json
import os
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from itertools import product

import msgspec
import pytest

from baton_reasoning.core.analysis.opinion import Opinion
from baton_reasoning.core.analysis.value_estimator import ValueEstimator, ValueOptions
from baton_reasoning.core.analysis.values import takeover_spans
from baton_reasoning.core.batch.reporting.exports import EXPORTS, NOT_IN_CSV, export, html_report, safe_cell
from baton_reasoning.core.batch.reporting.failures import (
    Divergence,
    FailureKind,
    TakeoverOutcomes,
    analyse,
    failure_table,
    kind_of,
    takeover_table,
)
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import ExportedResult, Results
from baton_reasoning.core.batch.reporting.tables import main_tables
from baton_reasoning.core.batch.reporting.worth import MeanWorth, TakeoverKind, worth_of
from baton_reasoning.core.batch.running.arms import Arm, OtherModels, arms_of
from baton_reasoning.core.batch.running.batch import Provenance, create_batch
from baton_reasoning.core.engines.abilities import USUAL
from baton_reasoning.core.engines.base import Alternative, ScoredToken
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import ContextFull, EngineLost, EngineRefused, SettingsError
from baton_reasoning.core.export.formats import write_file
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Verdict
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.reviews import (
    Answer,
    Opinions,
    Reviews,
    ReviewsProgress,
    Values,
    answers_of,
    sample_answers,
    wrong_answers,
)
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.runs import DAMAGED
from baton_reasoning.core.thinking.events import Finish, OpinionGiven, ValuesEstimated
from baton_reasoning.core.thinking.policies.alone import Always, Never
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.trace import Trace
from tests.core.batch.counting import (
    AFTER_WAIT,
    AFTER_YES,
    START,
    damage,
    known_batch,
    known_pair,
    large_engine,
    problems,
    read,
    rows_of,
    run_batch,
    small_draws,
    small_engine,
    solved,
)
from tests.core.store.made import concluded, tokens
from tests.fakes.scripted import Fault, ScriptedEngine


def run(store, *recipes, pair=None, found=None):
    return solved(store, *recipes, pair=pair, found=found or problems(4), seeds=(3, 4), how=GradingMethod.EXACT)


def exported(store, batch, path):
    export(store, batch, path)
    text = path.read_text("utf-8")
    return [json.loads(text)] if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def test_results_and_report_are_read_back_as_they_were_written(store, tmp_path):
    lost = EngineLost("The model's process ended.", "Open it again.")
    pair = Pair(small_engine(faults=[Fault(40, lost)]), large_engine())
    batch = run(store, "small", "large", "baton", pair=pair)
    results = Results.read(store, batch)
    lines = exported(store, batch, tmp_path / "results.jsonl")
    assert [ExportedResult.model_validate(line) for line in lines] == list(results.exported())
    assert Counter(line["outcome"] for line in lines)["error"] == 1
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert Report.model_validate(report) == results.report
    policies = [arm["settings"]["settings"]["policy"]["policy"] for arm in report["arms"]]
    assert policies == ["never", "always", "keywords"]
    assert (report["seed_numbers"], report["grading"], report["parallel"]) == ([3, 4], "exact", 2)
    assert all(report["provenance"][version] for version in ("baton", "llama_cpp_python", "python"))


def test_a_result_holds_the_text_who_wrote_what_how_it_was_graded_and_its_problem(store, tmp_path):
    batch = run(store, "baton", found=[Problem("a", "Count to 2.", "2", {"level": "5"}, 1, "set.jsonl")])
    lines = exported(store, batch, tmp_path / "results.jsonl")
    for line in lines:
        trace = store.runs.trace(line["run"])
        assert line["text"] == trace.text
        assert line["text"][line["answer_start"] :] == trace.answer
        assert [span["start"] for span in line["spans"]] == [0, *(span["end"] for span in line["spans"])][:-1]
        assert line["spans"][-1]["end"] == len(trace.text)
        assert line["small_tokens"] == sum(each["tokens"] for each in line["spans"] if each["author"] == "small")
        assert (line["id"], line["answer"], line["outcome"], line["graded_by"]) == ("a", "2", "correct", "exact")
        assert (line["source"], line["line"], line["metadata"]) == ("set.jsonl", 1, {"level": "5"})
        assert line["started"] < line["ended"]
        assert line["conditions"]["parallel"] == 2
        assert "" not in (line["finish"], line["reason"])
    assert [line["seed"] for line in lines] == [3, 4]


def test_a_report_says_what_was_run_of_which_files_and_how_many_at_once_the_last_run_had(store, tmp_path):
    found = read(tmp_path, "sums.csv", "id,question,answer\nx,Count to 1?,1\ny,Count to 2?,2\n")
    provenance = Provenance.of_this_machine(problems=found.origin)
    batch = create_batch(store, "sums", found.problems, arms_of(["small"], RunSettings()), provenance=provenance)
    small = small_engine().with_card(path=tmp_path / "sums.csv", quantisation="Q4")
    run_batch(store, batch, Pair(small), parallel=3)
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert report["problem_ids"] == ["x", "y"]
    sha256 = hashlib.sha256((tmp_path / "sums.csv").read_bytes()).hexdigest()
    assert report["provenance"]["problems"] == {"data_set": "", "files": [{"name": "sums.csv", "sha256": sha256}]}
    size = (tmp_path / "sums.csv").stat().st_size
    told = {"name": "small", "file": "sums.csv", "bytes": size, "sha256": sha256, "quantisation": "Q4"}
    assert report["small"].items() >= told.items()
    assert report["parallel"] == 3
    assert [parallel for parallel, *_ in report["arms"][0]["setups"]] == [3]
    kept = Provenance.of_this_machine(["baton", "--large", "https://me:secret@host:1"], "", "https://me:secret@host:1")
    assert "secret" not in kept.model_dump_json()
    assert (kept.command[2], kept.large) == ("https://…@host:1",) * 2


def test_half_a_character_in_a_problem_or_an_answer_blocks_no_export_and_results_are_read_once(store, tmp_path):
    half = {"id": "\ud800", "problem": "Why \ud800?", "answer": "\udfff", "\ud800": "\ud800"}
    found = read(tmp_path, "p.jsonl", json.dumps(half))
    engine = ScriptedEngine(continue_with=lambda *_: ["It is so.</think>", "\\boxed{", b"\xf0\x9f", "}"])
    results = Results.read(store, run(store, "small", pair=Pair(engine), found=list(found.problems)))
    report = results.report
    for ending in EXPORTS:
        write_file(tmp_path / f"out{ending}", EXPORTS, results)
        assert (tmp_path / f"out{ending}").read_text("utf-8")
    assert results.report is report
    if os.name == "posix":  # Windows has other permissions
        modes = {file.stat().st_mode & 0o777 for file in tmp_path.glob("out*")}
        assert modes == {0o600}, "only the owner may read them"


def test_no_export_holds_what_steers_a_terminal_or_turns_text_around_and_json_loses_nothing(store, tmp_path):
    attack, emoji = "\x1b]52;c;cm0=\x07\x9b2J\x7f\u202eevil\u2066", "👩\u200d🔬 می\u200cخواهم עברית e\u0301"
    found = [Problem("p", f"{attack}{emoji} Count to 1.", attack, {}, 1)]
    engine = ScriptedEngine(f"</think>{attack}\\boxed{{{attack}}}", name=f"small{attack}")
    batch = solved(store, "small", pair=Pair(engine), found=found, name=f"counting{attack}")
    (line,) = exported(store, batch, tmp_path / "out.jsonl")
    for ending in EXPORTS:
        export(store, batch, tmp_path / f"out{ending}")
        text = (tmp_path / f"out{ending}").read_text("utf-8")
        assert not set(text) & set("\x1b\x07\x9b\x7f\u202e\u2066\r"), ending
    assert line["problem"].startswith(f"{attack}{emoji}")
    assert "␛]52;c;cm0=␇\ufffd2J␡\ufffdevil\ufffd" in (tmp_path / "out.md").read_text("utf-8")
    assert emoji in (tmp_path / "out.jsonl").read_text("utf-8")


def test_an_answer_that_is_damaged_is_exported_up_to_there(store, path, tmp_path):
    batch = run(store, "small", found=problems(1))
    damage(path)
    for line in exported(store, batch, tmp_path / "results.jsonl"):
        assert (line["text"], line["outcome"], line["notices"]) == ("", "correct", [DAMAGED])
        assert line["small_tokens"] > 0


def test_a_row_has_every_field_of_its_result_but_texts_and_lists(store, tmp_path):
    engine = ScriptedEngine(r"</think>\boxed{=HYPERLINK(1)}")
    found = [Problem('He said "Größe"\nand left', "Count to 1.", "1", {}, 1)]
    batch = run(store, "small", pair=Pair(engine), found=found)
    lines = exported(store, batch, tmp_path / "results.jsonl")
    path = tmp_path / "results.csv"
    export(store, batch, path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "without it, Excel takes the text for another encoding"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(rows_of(store, batch)) == 2
    for row, line in zip(rows, lines, strict=True):
        assert line.keys() - row.keys() == {"schema", *NOT_IN_CSV} - {"schema_version"}
        told = {name: str(line[name]) for name in row if line[name] not in ("", None, [])}
        assert {name: cell for name, cell in row.items() if cell} == told | {"answer": "'=HYPERLINK(1)"}


@pytest.mark.parametrize(
    ("cell", "at"),
    [
        *((cell, 0) for cell in ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1")),
        *((cell, 0) for cell in ("-inf", "-x", "-5\n=1", "+1_000", " =1", "\ufeff=1", "\u200b\u00a0@SUM(A1)", "=1;2")),
        *((f"{unseen}=1", 0) for unseen in "\x00\x7f\u034f\u061c\u115f\u180e\u2800\u3164\ufe0f\ufff9\U000e0020"),
        # A semicolon parts cells in half of Europe.
        *((cell, 2) for cell in ("a;=cmd", "a; \u200b@SUM(A1)", "a;-cmd|' /C calc'!A0;b")),
        *((cell, None) for cell in (-5, 3.5, True, None, "-5", "+5", "-1.5e-3", "-.5", "x = 1", "", "5-3")),
        *((cell, None) for cell in (r"\boxed{-5}", "(1;-2)", "a; b", "[0;+1]")),
    ],
)
def test_text_that_could_run_gets_an_apostrophe_and_numbers_and_plain_text_stay(cell, at):
    assert safe_cell(cell) == (cell if at is None else f"{cell[:at]}'{cell[at:]}")
    assert safe_cell("=1;=2") == "'=1;'=2"


# Failures, and the large model's opinions of them


def pair(**card):
    """The counting pair; where the small model says 2, the large one expects 1."""
    expects = card.pop("expects", lambda _before, token: "1" if token == "2" else token)
    return Pair(small_engine(), large_engine(expects=expects).with_card(**card))


@pytest.fixture
def batch(store):
    """Three of six answers of the small model are wrong, the last to a long problem; in the arm “short” none ends."""
    *found, last = problems(6)
    found.append(replace(last, text=f"{last.text} {'Look at it. ' * 50}"))
    settings = (RunSettings(policy=Never.Settings(), max_tokens=most) for most in (300, 4))
    arms = [Arm(name=name, settings=each) for name, each in zip(("small", "short"), settings, strict=True)]
    batch = create_batch(store, "sums", found, arms)
    run_batch(store, batch, pair(), parallel=1)
    return batch


NAMED = OtherModels("other.gguf", "other.gguf")


def opinions(store, batch, by):
    """The second opinions that are missing of answers of the small model."""
    opened = store.batches.open(batch)
    wrong = answers_of(store, opened, wrong_answers(store, opened, ["small"]))
    return Reviews(Opinions(), Opinions().missing(wrong), opens(by))


def opens(pair):
    return lambda _wanted: nullcontext(pair)


def progress_in(reviews):
    return [item for item in reviews.run() if isinstance(item, ReviewsProgress)]


def test_answers_are_grouped_by_what_went_wrong(store, batch, tmp_path):
    found = analyse(store, batch)
    assert (found.answers, list(found.groups.items())) == (12, [(FailureKind.LIMIT, 6), (FailureKind.WRONG, 3)])
    assert [failure.problem.id for failure in found.failures[6:]] == ["p1", "p3", "p5"]
    assert found.failures[0].detail == "no answer, expected 0 · max tokens"
    table = failure_table(found.failures, 8)
    assert table.rows[0][:4] == ("p0", "short", "0", "Cut off at a limit")
    assert (len(table.rows), table.notes) == (8, ("1 more are in results.jsonl.",))
    assert failure_table(found.failures).notes == ()
    export(store, batch, tmp_path / "r.html")
    assert "Wrong answer: 3" in (tmp_path / "r.html").read_text(encoding="utf-8")
    done = next(store.batches.results(batch))
    for changes, kind in (
        ({"error": "Gone."}, FailureKind.ERROR),
        ({"finish": Finish.REPETITION}, FailureKind.REPETITION),
        ({"finish": Finish.TIME}, FailureKind.LIMIT),
        ({"answer": ""}, FailureKind.NO_ANSWER),
        ({"verdict": Verdict.of(None, GradingMethod.AUTO, "")}, FailureKind.UNSCORED),
    ):
        assert kind_of(done._replace(**changes), None) is kind


def test_answers_that_were_cut_off_and_those_without_an_answer_are_counted_in_every_report(store, batch, tmp_path):
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert [(arm["cut_off"], arm["no_answer"]) for arm in report["arms"]] == [(0, 0), (6, 6)]
    table, _ = main_tables(Results.read(store, batch).report)
    assert table.headings[1:4] == ("correct (95% CI)", "cut off", "no answer")
    assert [row[2:4] for row in table.rows] == [("0", "0"), ("6", "6")]
    for ending in (".html", ".md"):
        export(store, batch, tmp_path / f"report{ending}")
        assert "cut off" in (tmp_path / f"report{ending}").read_text("utf-8")
    without = main_tables(Results.read(store, solved(store, "small")).report)[0]
    assert {"cut off", "no answer"}.isdisjoint(without.headings)


def test_takeovers_are_counted_by_reason_cue_and_outcome(store, grader):
    batch = known_batch(store, grader, answers=6)
    outcomes = {"wait": Counter[Outcome](), "yes": Counter[Outcome]()}
    for row in store.batches.results(batch, "both"):
        cue = "wait" if store.runs.trace(row.run).text.startswith("One") else "yes"
        outcomes[cue][row.outcome] += 1
    found = analyse(store, batch, "both").takeovers
    assert {group.cue: (group.takeovers, group.right, group.wrong) for group in found} == {
        cue: (each.total(), each[Outcome.CORRECT], each[Outcome.WRONG]) for cue, each in outcomes.items()
    }
    assert analyse(store, batch, "small").takeovers == ()
    shown = [TakeoverOutcomes("Reflection", "wait", 1, 1, 0, 0), TakeoverOutcomes("Random", "", 1, 0, 0, 1)]
    table = takeover_table(shown)
    assert table.headings == ("reason", "cue", "takeovers", "right", "wrong", "% right")
    assert table.rows == (("Reflection", "wait", "1", "1", "0", "100%"), ("Random", "–", "1", "0", "0", "–"))


def test_only_what_a_policy_of_both_models_hands_over_counts_as_a_takeover_unless_another_arm_is_named(store, grader):
    settings = RunSettings(policy=RandomTakeover.Settings(n1=5), max_tokens=100)
    control = Arm(name="chance", settings=settings, equal_share_of="both")
    alone = Arm(name="large", settings=settings.model_copy(update={"policy": Always.Settings()}))
    batch = store.batches.open(known_batch(store, grader, answers=6, more=[control, alone]))
    reasons = {arm.name: set(arm.takeovers) for arm in Results.read(store, batch.id).report.arms}
    assert reasons == {"both": {"reflection", "affirmation"}, "small": set(), "chance": {"random"}, "large": set()}
    assert analyse(store, batch.id).takeovers == analyse(store, batch.id, "both").takeovers
    assert [each.reason for each in analyse(store, batch.id, "chance").takeovers] == ["Drawn by chance"]
    assert {row.arm for row in sample_answers(store, batch)} == {"both"}
    assert {row.arm for row in sample_answers(store, batch, ["chance"])} == {"chance"}
    for none in ("large", "small"):
        with pytest.raises(SettingsError, match="contains a takeover"):
            sample_answers(store, batch, [none])
    (row, *_) = rows_of(store, batch.id, "large")
    trace = store.runs.trace(row.run)
    assert (list(takeover_spans(trace)), trace.takeovers) == ([], 0)


def test_an_opinion_names_the_first_strong_disagreement_in_every_wrong_answer_and_changes_no_summary(store, batch):
    rows = list(store.batches.results(batch, "small"))
    before = [concluded(store, row.run) for row in rows]
    *_, last = opinions(store, batch, pair()).run()
    assert last.done == last.total == 3
    assert [concluded(store, row.run) for row in rows] == before
    assert [bool(store.runs.trace(row.run).opinion) for row in rows] == [False, True] * 3, "right ones are not read"
    (slip,) = (failure for failure in analyse(store, batch, "small").failures if failure.problem.id == "p1")
    position = store.runs.trace(slip.row.run).text.index("2")
    assert (slip.kind, slip.divergence) == (FailureKind.DIVERGED, (4, position, "2", "1"))
    assert slip.detail == "2, expected 1 · step 5: 2 instead of 1"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (" ", "\\"),
        ("\n\n", " Then"),
        ("2", " 2"),
        ("**2", "$2"),
        ("{", "("),
        (".\n\n", "."),
        ("`x`", "x"),
        ("## So", "So"),
    ],
)
def test_a_difference_of_white_space_or_markup_is_no_disagreement(written, expected):
    def token(text, wanted):
        return ScoredToken(None, text, -5.0, (Alternative(None, wanted, -0.1),))

    trace = Trace.of(tokens(Author.SMALL, ["It is ", written, "3"]))
    assert Divergence.of(trace) is None
    read = (ScoredToken(None, "It is ", -0.1), token(written, expected))
    trace.apply(OpinionGiven(0.0, "large", trace.length, read))
    opinion = Opinion.of(trace)
    assert opinion
    assert opinion.strong
    assert Divergence.of(trace) is None
    trace.apply(OpinionGiven(0.0, "large", trace.length, (*read, token("3", "-3"))))
    found = Divergence.of(trace)
    assert found
    assert found[1:] == (trace.length - 1, "3", "-3")


def test_answers_are_read_once_by_each_model(store, batch):
    first = opinions(store, batch, pair())
    list(first.run())
    again = opinions(store, batch, pair())
    assert [(item.done, item.total) for item in progress_in(again)] == [(0, 0)]
    assert (again.answers, again.is_whole) == ([], True)
    stopped = Reviews(Opinions(), first.answers, opens(pair(name="other")), given=NAMED)
    stopped.stop()
    assert ([item.done for item in progress_in(stopped)], stopped.is_whole) == ([0], False)
    for name, reads_again in (("large", False), ("other", True)):
        named = pair(name=name)
        list(Reviews(Opinions(), first.answers, opens(named), given=NAMED).run())
        assert bool(named.large.sessions) is reads_again


def test_no_other_pair_reviews_an_answer_than_that_which_wrote_it_unless_it_is_named(store, batch):
    told = r"The large model of this answer is large, not other\. Load that one, so that no other model is taken for it"
    other = pair(name="other")
    with pytest.raises(SettingsError, match=told):
        list(opinions(store, batch, other).run())
    assert not other.large.sessions
    assert not any(store.runs.trace(row.run).opinion for row in store.batches.results(batch))


def test_each_answer_is_reviewed_by_the_pair_of_its_arm(store):
    arms = arms_of(["small"], RunSettings(), larges=["big.gguf"], smalls=["tiny.gguf"])
    batch = create_batch(store, "two", problems(2), arms, provenance=Provenance(small="a.gguf", large="b.gguf"))
    for small, large in product(("", "tiny.gguf"), ("", "big.gguf")):
        run_batch(store, batch, models=OtherModels(small, large))
    asked = list[tuple[str, str]]()

    def opened(wanted):
        asked.append((wanted.small, wanted.large))
        return nullcontext(pair())

    rows = [row for row in store.batches.results(batch) if row.position == 1]
    list(Reviews(Opinions(), answers_of(store, store.batches.open(batch), rows), opened).run())
    assert sorted(set(asked)) == sorted(asked), "each pair is opened once"
    assert ("a.gguf", "b.gguf") in asked
    assert ("tiny.gguf", "b.gguf") in asked


def test_a_large_model_that_cannot_score_is_refused_and_one_that_dies_leaves_what_was_read(store, batch):
    def dies(_, token):
        if token == "4":
            raise EngineLost("Gone.", "Start it.")
        return token

    def read():
        return [row for row in store.batches.results(batch) if store.runs.trace(row.run).opinion]

    with pytest.raises(EngineRefused, match="vLLM"):
        list(opinions(store, batch, pair(abilities=USUAL)).run())
    assert read() == []
    with pytest.raises(EngineLost):
        list(opinions(store, batch, pair(expects=dies)).run())
    assert [row.answer for row in read()] == ["2"]


def test_an_answer_that_does_not_fit_or_has_no_text_is_left_out_and_the_others_are_read(store, batch):
    reading = opinions(store, batch, pair(context=100))
    *_, last = progress_in(reading)
    assert last.done == last.total
    (too_long,) = (each.row for each in reading.too_long if each.row)
    assert too_long.position == 5
    assert reading.remarks == ["1 answer did not fit into the context. Load the models with a larger one."]
    with pytest.raises(ContextFull):  # an answer that is read by itself
        list(Reviews(Opinions(), [Answer.stored(store, too_long.run)], opens(pair(context=100))).run())
    reading = Reviews(Opinions(), [Answer(Trace, Trace().apply, row=too_long)], opens(pair()))
    list(reading.run())
    assert reading.is_whole


# What takeovers were worth, by cue, from values of a sample of the answers

OPTIONS = ValueOptions(only_takeovers=True)
WAIT, YES = TakeoverKind("Reflection", "wait"), TakeoverKind("Affirmation", "yes")


@pytest.fixture
def valued(store, grader):
    return known_batch(store, grader)


def values(store, batch, grader, rows, by):
    return Reviews(Values(OPTIONS, grader), answers_of(store, store.batches.open(batch), rows), opens(by))


def missing(store, batch, grader, sample):
    """The sampled answers that have no values yet."""
    opened = store.batches.open(batch)
    answers = answers_of(store, opened, sample_answers(store, opened, size=sample))
    return [answer.row for answer in Values(OPTIONS, grader).missing(answers) if answer.row]


@pytest.mark.slow
def test_the_worth_of_each_cue_is_the_known_difference(store, valued, grader):
    rows = missing(store, valued, grader, 50)
    steps = progress_in(values(store, valued, grader, rows, known_pair()))
    assert (steps[-1].done, steps[0].share, steps[-1].share) == (24, 0.0, 1.0)
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    worth = worth_of(store, rows, "small")
    assert worth.start
    assert worth.start.low <= START <= worth.start.high
    assert worth.all
    assert (worth.answers, worth.all.takeovers, worth.all.problems) == (24, 24, len({row.position for row in rows}))
    for kind, known in ((WAIT, AFTER_WAIT - START), (YES, AFTER_YES - START)):
        mean = worth.kinds[kind].mean
        assert mean.low <= known <= mean.high
        assert mean.value == pytest.approx(known, abs=0.1)
        assert mean.high - mean.low < 0.3
    waits, yeses = worth.kinds[WAIT], worth.kinds[YES]
    assert min(waits.rescued, yeses.spoiled) > 0
    assert (waits.spoiled, yeses.rescued) == (0, 0)


def test_a_mean_of_few_problems_is_marked_neither_as_a_gain_nor_as_a_loss():
    mean = Estimate(0.5, 0.09, 0.91)
    texts = [MeanWorth(3, problems, mean, 0, 0).mean_text for problems in (9, 10)]
    assert texts == ["+0.50 (+0.09 to +0.91)", "▲ +0.50 (+0.09 to +0.91)"]
    has_zero = [MeanWorth(99, 99, Estimate(value, 0.0, high), 0, 0) for value, high in ((0.5, 1.0), (0.0, 0.0))]
    assert [worth.mean_text[0] for worth in has_zero] == ["+", "+"], "the interval has 0"


@pytest.mark.slow
def test_what_was_stopped_goes_on_and_nothing_is_valued_twice(store, valued, grader, monkeypatch):
    monkeypatch.setattr("baton_reasoning.core.analysis.value_estimator.PROGRESS_SECONDS", -1)  # after each continuation
    rows = missing(store, valued, grader, 3)
    reading = values(store, valued, grader, rows, known_pair())
    for step in reading.run():
        if isinstance(step, ReviewsProgress) and 1 / 3 < step.share < 2 / 3:
            reading.stop()
    kept = [store.runs.trace(row.run).values for row in rows]
    assert [[each.is_whole for each in values.values()] for values in kept] == [[True], [False], []]
    assert not reading.is_whole
    assert [row.job for row in missing(store, valued, grader, 3)] == [row.job for row in rows[1:]]
    list(values(store, valued, grader, rows[1:], known_pair()).run())
    assert missing(store, valued, grader, 3) == []
    again = ScriptedEngine(draw=small_draws)
    list(values(store, valued, grader, rows, Pair(again, None)).run())
    assert again.written == 0


def test_the_same_answers_with_takeovers_are_drawn_again(store, valued, grader):
    opened = store.batches.open(valued)
    jobs = [row.job for row in sample_answers(store, opened, size=10)]
    assert jobs == [row.job for row in sample_answers(store, opened, size=10)]
    assert len(jobs) == len(set(jobs)) == 10
    with pytest.raises(SettingsError, match="No graded answer"):
        sample_answers(store, store.batches.open(known_batch(store, grader, answers=2, expected=None)))


def test_values_of_two_models_are_never_averaged(store, valued, grader):
    rows = missing(store, valued, grader, 3)
    list(values(store, valued, grader, rows, known_pair()).run())
    of_one = worth_of(store, rows[:2], "small")
    run = store.runs.read(rows[2].run)
    other = msgspec.structs.replace(run.trace.values["small"], model="another")
    store.runs.append(rows[2].run, [other], run.attempt).result()
    assert worth_of(store, rows, "small") == of_one


def test_values_that_say_only_agreement_and_those_of_another_writer_are_no_worth(store, valued, grader):
    (row,) = sample_answers(store, store.batches.open(valued), size=1)
    estimator = ValueEstimator(known_pair(), store.runs.trace(row.run), grader, "", OPTIONS)
    *_, agreement = estimator.run()
    assert isinstance(agreement, ValuesEstimated)
    store.runs.append(row.run, [agreement], store.runs.read(row.run).attempt).result()
    assert worth_of(store, [row], "small") == (0, None, None, {})
    list(values(store, valued, grader, [row], known_pair()).run())
    assert worth_of(store, [row], "small").all
    assert worth_of(store, [row], "large").all is None


@pytest.mark.slow
def test_the_analysis_of_a_batch_shows_worth_where_answers_are_valued(store, valued, grader):
    before, results = analyse(store, valued), Results.read(store, valued)
    assert "the worth\nof a takeover" not in html_report(results.report, before)
    rows = missing(store, valued, grader, 6)
    list(values(store, valued, grader, rows, known_pair()).run())
    after = analyse(store, valued)
    assert [replace(group, worth=None) for group in after.takeovers] == list(before.takeovers)
    worths = {TakeoverKind(group.reason, group.cue): group.worth for group in after.takeovers}
    assert worths == worth_of(store, rows, "small").kinds
    page = html_report(results.report, after)
    assert "the worth\nof a takeover is the value after it" in page
    waits = worths[WAIT]
    assert waits
    assert f">{waits.mean_text}, " in page
    assert f", {waits.takeovers} of them</td>" in page


def test_exported_results_have_the_values_of_their_text(store, valued, grader):
    (row,) = sample_answers(store, store.batches.open(valued), size=1)
    list(values(store, valued, grader, [row], known_pair()).run())
    exported = {each.run: each for each in Results.read(store, valued).exported()}
    result = exported.pop(row.run)
    assert all(each.values == () for each in exported.values())
    start, replaced, after = result.values
    assert [each.replaced for each in result.values] == [False, True, False]
    assert (start.writer, start.position, start.worth, replaced.worth) == ("small", 0, None, None)
    assert after.worth == pytest.approx(after.value - replaced.value)
    assert after.low <= after.value <= after.high
    assert after.rollouts >= 16
    (takeover,) = [span for span in result.spans if span.reason]
    assert (replaced.position, after.position) == (takeover.start, takeover.end)
