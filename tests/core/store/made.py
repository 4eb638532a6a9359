"""Runs as a loop would report them, of any length."""

from datetime import UTC, datetime
from typing import NamedTuple

from baton_reasoning.core.analysis.run_cost import RunCost
from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.engines.base import Alternative, Handoff, Message
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.store.derived import COLUMNS, cost_in
from baton_reasoning.core.store.runs import RunState
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.events import (
    Finish,
    HandedOver,
    RunEnded,
    RunStarted,
    TakeoverEnded,
    TakeoverStarted,
    TextDiscarded,
    ThinkingClosed,
    TokenWritten,
    WriteStarted,
)
from baton_reasoning.core.thinking.policies.keywords import REFLECTION
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace


def tokens(author, words, at=0.0):
    for number, word in enumerate(words):
        yield TokenWritten(at + number / 50, author, number, word, -0.5, ends_step=word.endswith("\n\n"))


def started(problem="What is 2 + 2?"):
    return RunStarted(0.0, (Message("user", problem),), "keywords", {"seed": 7}, 7, None, None, 5, True)


def a_run(problem="What is 2 + 2?", answer="The answer is 4.", steps=4):
    """Every second step is the large model's; each of its takeovers replaces a lookahead."""
    events = [started(problem)]
    position = 0
    for step in range(steps):
        author = Author.LARGE if step % 2 else Author.SMALL
        at = float(step)
        if author is Author.LARGE:
            events.append(TextDiscarded(at, position, "Wait, maybe", 3))
            events.append(TakeoverStarted(at, REFLECTION.id, Cue("wait", Category.REFLECTION, 0, 4), 20, position))
        events.append(WriteStarted(at, author, REFLECTION.id if author is Author.LARGE else None, position))
        events.append(HandedOver(at, author, Handoff(10 * step, 3, 0.01)))
        words = [f"Step {step}", " goes", " on.\n\n"]
        events += tokens(author, words, at)
        if author is Author.LARGE:
            events.append(TakeoverEnded(at + 0.5, 3))
        position += sum(map(len, words))
    events += tokens(Author.SMALL, ["</think>"], float(steps))
    events.append(ThinkingClosed(float(steps), Author.SMALL, position + len("</think>"), "</think>"))
    events.append(TokenWritten(float(steps), Author.SMALL, 5, answer, -0.1, (Alternative(6, "5", -2.0),)))
    events.append(RunEnded(steps + 1.0, Finish.END_OF_TEXT))
    return events


def an_answer(trace: Trace, name: str = "Sums", problem: str = "What is 2 + 2?", **settings) -> Conversation:
    """A conversation of one answer, to be exported."""
    conversation = Conversation(title=name)
    created = datetime(2026, 5, 4, 12, tzinfo=UTC)
    conversation.add(Exchange(problem, RunSettings(**settings), trace=trace, created=created))
    return conversation


class Concluded(NamedTuple):
    """What the store keeps of a run beside its events."""

    state: RunState
    finish: Finish | None
    reason: str
    answer: str
    cost: RunCost


def concluded(store, run):
    with store.runs._database.reading() as connection:
        row = connection.execute(
            f"SELECT state, finish, reason, answer, {COLUMNS} FROM runs WHERE id = ?", (run,)
        ).fetchone()
    finish = Finish(row["finish"]) if row["finish"] else None
    return Concluded(RunState(row["state"]), finish, row["reason"], row["answer"], cost_in(row))


def claim(store, batch, number=1):
    """Claim as many jobs as wait, up to this number."""
    return list(filter(None, (store.batches.claim(batch) for _ in range(number))))


def recorder_of(store, run):
    """Go on with a run as it is saved."""
    saved = store.runs.read(run)
    return store.runs.record(run, saved.attempt, len(saved.trace.events))


def save(store, run, events, anew=False):
    """Let the run be written to its end, and read what it came to."""
    recorder = store.runs.record_anew(run) if anew else recorder_of(store, run)
    recorder.record(events)
    recorder.finish().result()
    return concluded(store, run)
