"""Reviews of the demo pair's answers, whose slips and turns are known, and of a batch with known chances."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from baton_reasoning.app.terminal import reviews
from baton_reasoning.app.terminal.history import open_history
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, READY_PROBLEMS, SMALL_MODEL
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair
from baton_reasoning.core.thinking.events import OpinionGiven, ValuesEstimated
from baton_reasoning.core.thinking.opinion import OpinionProgress, SecondOpinion
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_from_json, event_to_json, trace_from_lines
from baton_reasoning.core.thinking.values import places_of
from tests.app.terminal.conftest import DEMO, Baton
from tests.core.batch.known_worth import known_batch, known_pair, small_draws
from tests.core.store.made import a_run
from tests.fakes.scripted import ScriptedEngine
from tests.fakes.valued import values_of

Say = Callable[..., list[str]]
PROBLEM = json.loads(READY_PROBLEMS.read_text(encoding="utf-8").splitlines()[0])["problem"]


@pytest.fixture
def say(baton):
    """The lines on standard output of a command that must end with this exit code."""

    def say(*words: str, code: int = 0) -> list[str]:
        said = baton(*words)
        assert said.returncode == code
        return said.stdout.splitlines()

    return say


@pytest.fixture
def trace_file(say, tmp_path):
    """A file with an answer of the small model alone."""
    file = tmp_path / "trace.json"
    lines = say("solve", PROBLEM, "--policy", "never", *DEMO, "--json", "--threads", "1")
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.fixture
def batch():
    """The id of a batch in the history."""
    with open_history() as store, Grader() as grader:
        return known_batch(store, grader, answers=6)


@pytest.fixture
def scripted(monkeypatch):
    """The small model that the batch ran with, in place of files."""
    small = ScriptedEngine(draw=small_draws)

    @contextmanager
    def opened(*_: object, **__: object) -> Iterator[Pair]:
        yield Pair(small, None)

    monkeypatch.setattr(reviews, "open_pair", opened)
    return small


@pytest.mark.slow
def test_the_slip_of_the_small_model_is_named_with_what_should_stand_there(say, trace_file):
    said = say("opinion", str(trace_file), "--threads", "1")
    assert re.search(r"\d+ strong disagreements?, \d+ missed takeovers?\.$", said[0])
    assert re.search(r"is odd, times 7 plus 1 is \d* ?\[\d → \d, \d+%\] missed takeover", said[1])
    event = event_from_json(json.loads(say("opinion", str(trace_file), "--json", "--threads", "1")[-1]))
    assert event
    trace = trace_from_lines(trace_file.read_text(encoding="utf-8").splitlines())
    trace.apply(event)
    assert trace.opinion is event


@pytest.mark.slow
def test_an_answer_of_the_history_keeps_its_opinion(say, monkeypatch):
    say("solve", PROBLEM, "--threads", "1")
    with open_history() as store:
        conversation = store.conversations.recent()[0].id
    first = say("opinion", conversation[:8], "--threads", "1")
    assert "strong disagreement" in first[0]
    monkeypatch.setattr("baton_reasoning.app.terminal.reviews.open_pair", None)  # a second reading would fail
    assert say("opinion", conversation[:8]) == first


@pytest.mark.slow
def test_what_ctrl_c_stopped_ends_with_its_code(say, trace_file, tmp_path, monkeypatch):
    read, results = SecondOpinion.read, str(tmp_path / "results")

    def stopped_early(reading: SecondOpinion) -> Iterator[OpinionProgress | OpinionGiven]:
        for number, item in enumerate(read(reading)):
            yield item
            if number == 0:
                signal.raise_signal(signal.SIGINT)

    say("batch", "run", str(BATCH_PROBLEMS), "--limit", "8", "--arm", "small", "--out", results)
    monkeypatch.setattr("baton_reasoning.core.thinking.opinion.TOKENS_A_READ", 8)
    monkeypatch.setattr(SecondOpinion, "read", stopped_early)
    assert "strong disagreement" in say("opinion", str(trace_file), "--threads", "1", code=130)[0]
    assert " of them not right" in say("batch", "failures", results, "--opinion", "--threads", "1", code=130)[0]


@pytest.mark.slow
def test_failures_of_a_batch_are_grouped_with_their_first_error(say, tmp_path):
    results = str(tmp_path / "results")
    say("batch", "run", str(BATCH_PROBLEMS), "--limit", "8", "--arm", "small", "--arm", "baton", "--out", results)
    before = say("batch", "failures", results)
    assert " of them not right" in before[0]
    assert any(line.startswith("Wrong answer: ") for line in before)
    assert any("Reflection takeover" in line for line in before)
    after = [json.loads(line) for line in say("batch", "failures", results, "--opinion", "--json", "--threads", "1")]
    wrong = [line for line in after if "failure" in line]
    assert wrong
    diverged = [line for line in wrong if line["failure"] == "diverged"]
    assert diverged
    assert all(line["divergence"]["expected"] for line in diverged)


@pytest.mark.slow
def test_a_batch_of_the_large_model_alone_is_read_by_that_model(baton, say, tmp_path):
    results, file = str(tmp_path / "results"), tmp_path / "wrong.jsonl"
    file.write_text(json.dumps({"problem": PROBLEM, "answer": "never"}), encoding="utf-8")
    large = ("--small", "demo", "--large", str(SMALL_MODEL))
    say("batch", "run", str(file), "--arm", "large", *large, "--context", "1024", "--out", results)
    said = baton("batch", "failures", results, "--opinion", "--context", "1024")
    assert "Baton demo small: 1,024 tokens of context" in said.stderr
    assert "No models are named" not in said.stderr


@pytest.mark.slow
def test_the_turn_of_an_answer_is_found_and_its_values_are_kept(baton, monkeypatch):
    assert baton("solve", PROBLEM, "--seed", "3", "--threads", "1").returncode == 0
    with open_history() as store:
        id = store.conversations.recent()[0].id
    first = baton("value", id[:8], "--k", "6", "--threads", "1")
    assert first.returncode == 0
    assert re.search(r"continuations from \d+ places, about [\d,]+ tokens", first.stderr)
    _title, header, start, *steps = first.stdout.splitlines()
    assert header.split()[:4] == ["step", "by", "value", "change"]
    assert start.startswith("start")
    turn = next(line for line in steps if "▲" in line)
    assert re.search(r"◆ +1\.00 .*▲ \+\d\.\d\d \(.*, instead of 0\.", turn)
    assert any("1 (right)" in line for line in steps), "the answer to a problem of the demo pair is known"
    assert re.search(r"^The turn: step \d+, \d+ → \d+$", first.stdout, re.MULTILINE)
    assert re.fullmatch(r"large wrote \d+%, brought \d+% of the gain", steps[-1])
    monkeypatch.setattr("baton_reasoning.app.terminal.reviews.open_pair", None)  # to write anything would fail
    again = baton("value", id[:8], "--k", "6")
    assert again.stdout == first.stdout
    event = event_from_json(json.loads(baton("value", id[:8], "--k", "6", "--json").stdout))
    assert isinstance(event, ValuesEstimated)
    assert event.is_expected
    assert {len(place.outcomes) for place in event.places} <= {6, 12, 24}


def test_values_that_say_agreement_say_that_it_is_no_proof(baton, tmp_path):
    file = tmp_path / "trace.json"
    trace = Trace.of(a_run())
    trace.apply(values_of(trace, dict.fromkeys(places_of(trace), 8), is_expected=False))
    file.write_text("\n".join(json.dumps(event_to_json(event)) for event in trace.events), encoding="utf-8")
    said = baton("value", str(file))
    assert "which is no proof that it is right." in said.stdout


@pytest.mark.slow
def test_takeovers_of_a_batch_are_valued_by_cue(baton, batch, scripted):
    said = baton("batch", "value", batch[:8], "--arm", "both", "--k", "8")
    assert said.returncode == 0
    _title, header, *rows, sentence = said.stdout.splitlines()
    assert header.split("  ")[0] == "reason"
    assert {row.split()[2] for row in rows} == {"wait", "yes"}
    assert re.match(r"6 takeovers of 6 answers: worth .*\d\) each, \d rescued and \d spoiled an answer\.", sentence)
    assert "From the beginning of the text the small model alone gets 0." in sentence
    assert "95% interval for the choice of problems and for chance in the continuations." in sentence
    written = scripted.written
    *kinds, whole = map(json.loads, baton("batch", "value", batch[:8], "--k", "8", "--json").stdout.splitlines())
    assert scripted.written == written, "nothing is valued twice"
    assert {kind["cue"] for kind in kinds} == {"wait", "yes"}
    assert (whole["answers"], whole["all"]["takeovers"]) == (6, 6)
    assert whole["all"]["mean"].keys() == {"value", "low", "high"}
    failures = baton("batch", "failures", batch)
    assert re.search(r"% right +worth +rescued +spoiled\n", failures.stdout)
    groups = [
        json.loads(line)
        for line in baton("batch", "failures", batch, "--json").stdout.splitlines()
        if "takeovers" in line
    ]
    assert [group["takeovers"]["worth"]["mean"] for group in groups] == [kind["mean"] for kind in kinds]


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished_and_the_next_time_goes_on(baton, batch, scripted):
    def interrupt(_: str) -> None:
        if scripted.written == 600:
            os.kill(os.getpid(), signal.SIGINT)

    scripted.before_token = interrupt
    stopped = baton("batch", "value", batch, "--k", "8")
    assert stopped.returncode == 130
    assert "Repeat the command to continue." in stopped.stderr
    scripted.before_token = lambda _: None  # if it stopped at once, the next token would interrupt again
    assert baton("batch", "value", batch, "--k", "8").returncode == 0
    with open_history() as store:
        values = [store.runs.trace(row.run).values["small"] for row in store.batches.results(batch, "both")]
    assert all(each.is_whole for each in values)


@pytest.mark.slow
def test_an_answer_of_a_batch_is_named_by_its_run_and_its_expected_answer_is_known(baton, batch, monkeypatch):
    @contextmanager
    def opened(*_: object, **__: object) -> Iterator[Pair]:
        yield known_pair()

    monkeypatch.setattr("baton_reasoning.app.terminal.reviews.open_pair", opened)
    with open_history() as store:
        run = next(store.batches.results(batch, "both")).run
    event = json.loads(baton("value", run, "--k", "2", "--json").stdout)
    assert (event["target"], event["is_expected"]) == ("1", True)
    assert baton("value", run, "--k", "2", "--writer", "large", "--json").returncode == 0
    with open_history() as store:
        assert store.runs.trace(run).values.keys() == {"small", "large"}


def refused(baton: Baton, *words: str) -> str:
    said = baton(*words)
    assert said.returncode == 2
    (sentence,) = said.stderr.splitlines()
    return sentence


def test_what_cannot_be_valued_is_said_in_a_sentence(baton, tmp_path):
    file = tmp_path / "trace.json"
    file.write_text("\n".join(json.dumps(event_to_json(each)) for each in a_run(answer="I do not know")), "utf-8")
    assert "Give the expected answer" in refused(baton, "value", str(file))
    assert "no answers whose id begins with nothing" in refused(baton, "value", "nothing")


def test_a_batch_that_cannot_be_valued_is_refused_in_a_sentence(baton, batch):
    assert "contains a takeover" in refused(baton, "batch", "value", batch, "--arm", "small")
    assert "no arm large" in refused(baton, "batch", "value", batch, "--arm", "large")
    assert "no batches whose id begins with nothing" in refused(baton, "batch", "value", "nothing")
    with open_history() as store:
        old = store.batches.create("old", {"parallel": "many"}, [], [])
    assert "cannot be read" in refused(baton, "batch", "failures", old, "--opinion")
