"""Wherever a batch is killed, its texts go on as they would have gone on: the same policy, the same writers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from core.batch.recipes import arms_of
from core.batch.resuming import resumption_of
from core.batch.runner import Runner
from core.engines.base import Conversation
from core.engines.body import Author
from core.grading.grader import Grader
from core.run import Pair, RunSettings, ask, run
from core.store.store import Store
from core.thinking.events import RunStarted, TakeoverStarted, TokenWritten
from core.thinking.trace import Trace
from tests.core.batch.counting import problems, rest
from tests.fakes.scripted import ScriptedEngine

STEPS = [
    "We begin with two numbers, and we add them.",
    "Wait, that is not quite right, so look.",
    "They are one and two, which is plain to see.",
    "Alternatively, we verify it once more by hand.",
    "Yes, so it is three and nothing else.",
    "That is the end of it, as far as we can see.",
]
ANSWER = "\n\nIt is \\boxed{3}."
SENTENCE = " The large one says so, and verifies it."


def small() -> ScriptedEngine:
    """Writes the next step, whoever wrote the last one; a step that was begun is completed."""
    return ScriptedEngine(continue_with=small_text)


def small_text(_: Conversation, body: str) -> str:
    if "</think>" in body:
        return rest(ANSWER, body.partition("</think>")[2])
    done, _sep, begun = body.rpartition("\n\n")
    number = done.count("\n\n") + 1 if done else 0
    if number >= len(STEPS):
        return f"</think>{ANSWER}"
    step = STEPS[number]
    end = step[len(begun) :] if step.startswith(begun) else " and so on."
    return "\n\n".join([end, *STEPS[number + 1 :]]) + f"\n\n</think>{ANSWER}"


def large(alone: bool = False) -> ScriptedEngine:
    """Writes one sentence a takeover; a sentence that was begun is completed. `alone`: then it has no more to say."""

    def text(_: Conversation, body: str) -> str:
        if "</think>" in body:
            return rest(ANSWER, body.partition("</think>")[2])
        begun = max(n for n in range(len(SENTENCE) + 1) if body.endswith(SENTENCE[:n]))
        return SENTENCE if begun == len(SENTENCE) and not alone else SENTENCE[begun:]

    return ScriptedEngine(name="large", continue_with=text)


class Spans(NamedTuple):
    """Who wrote what, neighbours joined."""

    spans: tuple[tuple[Author, str], ...]

    @classmethod
    def of(cls, trace: Trace) -> Spans:
        spans: list[tuple[Author, str]] = []
        for piece in trace.pieces:
            if spans and spans[-1][0] is piece.author:
                spans[-1] = (piece.author, spans[-1][1] + piece.text)
            else:
                spans.append((piece.author, piece.text))
        return cls(tuple(spans))


def whole(settings: RunSettings, resume_trace: Trace | None = None) -> Trace:
    """The text written to its end, from where a kill left it."""
    trace = resume_trace or Trace()
    move, changes = resumption_of(trace, settings)
    for event in changes:
        trace.apply(event)
    pair = Pair(small(), large(alone=settings.policy.policy in ("always", "first-token-entropy")))
    for event in run(pair, ask("Add.", settings), settings, resume_trace=trace, first_move=move):
        trace.apply(event)
    return trace


@pytest.mark.parametrize(
    "arm", ["small", "large", "baton", "paper", "every-step", "c", "opening", "entropy", "periodic", "score"]
)
def test_a_text_that_is_killed_after_any_event_ends_as_if_it_had_not_been(arm: str) -> None:
    settings = arms_of([arm], RunSettings())[0].settings
    undisturbed = whole(settings)
    for count in range(1, len(undisturbed.events)):
        resumed = whole(settings, Trace.of(undisturbed.events[:count]))
        assert Spans.of(resumed) == Spans.of(undisturbed), f"killed after {undisturbed.events[count - 1]}"
        assert resumed.counters == undisturbed.counters


def test_a_text_killed_inside_a_takeover_goes_on_with_the_large_model(tmp_path: Path) -> None:
    settings = arms_of(["baton"], RunSettings())[0].settings
    events = whole(settings).events
    start = next(number for number, event in enumerate(events) if isinstance(event, TakeoverStarted))
    tokens = [number for number, event in enumerate(events) if number > start and isinstance(event, TokenWritten)]
    with Store.open(tmp_path / "b.sqlite") as store, Grader() as grader:
        batch = store.batches.create("b", {}, problems(1), [arm.stored() for arm in arms_of(["baton"], RunSettings())])
        (job,) = store.batches.claim(batch)
        recorder = store.runs.record(job.run)
        recorder.record(events[: tokens[2]])
        recorder.finish().result()
        store.batches.give_back(job)
        list(Runner(store, batch, Pair(small(), large()), grader).run())
        resumed = list(store.runs.events(job.run))
        again = [number for number, event in enumerate(resumed) if isinstance(event, RunStarted)][-1]
        first = next(event for event in resumed[again:] if isinstance(event, TokenWritten))
        assert first.author is Author.LARGE
        assert Spans.of(Trace.of(resumed)) == Spans.of(Trace.of(events))


def test_a_long_text_of_one_model_loses_not_a_token() -> None:
    settings = arms_of(["large"], RunSettings())[0].settings
    events = whole(settings).events
    recorded = Trace.of(events[:-3])
    length = recorded.length
    move, changes = resumption_of(recorded, settings)
    assert changes == ()
    assert move is not None
    assert recorded.length == length
