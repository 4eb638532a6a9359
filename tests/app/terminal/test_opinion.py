"""`baton opinion` and `baton batch failures`, with the demo pair: the slip is found at its digit."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal.recording import open_history
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, READY_PROBLEMS, SMALL_MODEL
from baton_reasoning.core.thinking.events import OpinionGiven
from baton_reasoning.core.thinking.opinion import OpinionProgress, SecondOpinion
from baton_reasoning.core.thinking.trace_json import event_from_json, trace_from_lines

pytestmark = pytest.mark.slow

Say = Callable[..., list[str]]
PROBLEM = json.loads(READY_PROBLEMS.read_text(encoding="utf-8").splitlines()[0])["problem"]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """The lines on standard output of a command that must end with this exit code."""

    def say(*words: str, code: int = 0) -> list[str]:
        capsys.readouterr()
        assert main(list(words)) == code
        return capsys.readouterr().out.splitlines()

    return say


def test_the_slip_of_the_small_model_is_named_with_what_should_stand_there(say: Say, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    lines = say("solve", PROBLEM, "--policy", "never", "--small", "demo", "--large", "demo", "--json", "--threads", "1")
    file.write_text("\n".join(lines), encoding="utf-8")
    said = say("opinion", str(file), "--threads", "1")
    assert re.search(r"\d+ strong disagreements?, \d+ missed takeovers?\.$", said[0])
    assert re.search(r"is odd, times 7 plus 1 is \d* ?\[\d → \d, \d+%\] missed takeover", said[1])
    event = event_from_json(json.loads(say("opinion", str(file), "--json", "--threads", "1")[-1]))
    assert event
    trace = trace_from_lines(file.read_text(encoding="utf-8").splitlines())
    trace.apply(event)
    assert trace.opinion is event


def test_an_answer_of_the_history_keeps_its_opinion(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    say("solve", PROBLEM, "--threads", "1")
    with open_history() as store:
        conversation = store.conversations.recent()[0].id
    first = say("opinion", conversation[:8], "--threads", "1")
    assert "strong disagreement" in first[0]
    monkeypatch.setattr("baton_reasoning.app.terminal.reviews.open_pair", None)  # a second reading would fail
    assert say("opinion", conversation[:8]) == first


def test_what_ctrl_c_stopped_ends_with_its_code(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, file, results = SecondOpinion.read, tmp_path / "trace.json", str(tmp_path / "results")

    def stopped_early(reading: SecondOpinion) -> Iterator[OpinionProgress | OpinionGiven]:
        for number, item in enumerate(read(reading)):
            yield item
            if number == 0:
                signal.raise_signal(signal.SIGINT)

    lines = say("solve", PROBLEM, "--policy", "never", "--small", "demo", "--large", "demo", "--json", "--threads", "1")
    file.write_text("\n".join(lines), encoding="utf-8")
    say("batch", "run", str(BATCH_PROBLEMS), "--limit", "8", "--arm", "small", "--out", results)
    monkeypatch.setattr("baton_reasoning.core.thinking.opinion.TOKENS_A_READ", 8)
    monkeypatch.setattr(SecondOpinion, "read", stopped_early)
    assert "strong disagreement" in say("opinion", str(file), "--threads", "1", code=130)[0]
    assert "not right; 0 notes" in say("batch", "failures", results, "--opinion", "--threads", "1", code=130)[0]


def test_failures_of_a_batch_are_grouped_with_their_first_error(say: Say, tmp_path: Path) -> None:
    results = str(tmp_path / "results")
    say("batch", "run", str(BATCH_PROBLEMS), "--limit", "8", "--arm", "small", "--arm", "baton", "--out", results)
    before = say("batch", "failures", results)
    assert "not right; 0 notes" in before[0]
    assert any(line.startswith("Wrong answer: ") for line in before)
    assert any("Reflection takeover" in line for line in before)
    after = [json.loads(line) for line in say("batch", "failures", results, "--opinion", "--json", "--threads", "1")]
    wrong = [line for line in after if "failure" in line]
    assert wrong
    diverged = [line for line in wrong if line["failure"] == "diverged"]
    assert diverged
    assert all(line["divergence"]["expected"] for line in diverged)


def test_a_batch_of_the_large_model_alone_is_read_by_that_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, file = str(tmp_path / "results"), tmp_path / "wrong.jsonl"
    file.write_text(json.dumps({"problem": PROBLEM, "answer": "never"}), encoding="utf-8")
    large = ("--small", "demo", "--large", str(SMALL_MODEL))
    assert main(["batch", "run", str(file), "--arm", "large", *large, "--context", "1024", "--out", results]) == 0
    capsys.readouterr()
    assert main(["batch", "failures", results, "--opinion", "--context", "1024"]) == 0
    said = capsys.readouterr().err
    assert "Baton demo small: 1,024 tokens of context" in said
    assert "No models are named" not in said
