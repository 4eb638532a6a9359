"""The large model writes, and the small one takes easy sentences."""

from __future__ import annotations

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cues import Category, Lexicon
from baton_reasoning.core.thinking.events import TakeoverStarted
from baton_reasoning.core.thinking.policies.relay import RELAY, Relay
from baton_reasoning.core.thinking.policy import PolicyContext
from baton_reasoning.core.thinking.reasons import ANSWER
from tests.core.thinking.running import Run, run
from tests.fakes.scripted import ScriptedEngine


def reasons(done: Run) -> list[str]:
    return [takeover.reason for takeover in done.all(TakeoverStarted)]


def test_the_large_model_writes_and_the_small_one_finishes_the_sentence_after_a_cue() -> None:
    large = ScriptedEngine("One is it.\n\nWait, let us", " So it is.</think>", name="large")
    small = ScriptedEngine(" see. No", "Four.")
    done = run(Relay(), small, large)
    assert reasons(done) == [RELAY.id, ANSWER.id]
    assert [takeover.author for takeover in done.all(TakeoverStarted)] == [Author.SMALL, Author.SMALL]
    assert done.trace.text == "One is it.\n\nWait, see. So it is.</think>Four."


def test_the_large_model_may_write_the_answer_too() -> None:
    large = ScriptedEngine("One.</think>Four.", name="large")
    done = run(Relay(Relay.Settings(small_answers=False)), ScriptedEngine(), large)
    assert done.trace.large_share == 1


def test_relay_reads_the_cues_of_the_run() -> None:
    lexicon = Lexicon({Category.REFLECTION: {"therefore": ()}})
    large = ScriptedEngine("Wait, one.\n\nTherefore, it", " So.</think>", name="large")
    done = run(Relay(context=PolicyContext(lexicon=lexicon)), ScriptedEngine(" is. No", "Four."), large)
    assert [takeover.cue.word for takeover in done.all(TakeoverStarted) if takeover.cue] == ["Therefore"]


def test_a_sentence_by_the_small_model_is_capped() -> None:
    large = ScriptedEngine("One is it.\n\nWait, let us", " So it is.</think>", name="large")
    done = run(Relay(Relay.Settings(sentence_cap=3)), ScriptedEngine(" a b c d e f", "Four."), large)
    assert done.trace.text == "One is it.\n\nWait, a b c So it is.</think>Four."


def test_a_cue_in_the_answer_gives_nothing_away() -> None:
    large = ScriptedEngine("One.</think>Wait, it is four.", name="large")
    done = run(Relay(Relay.Settings(small_answers=False)), ScriptedEngine(" No"), large)
    assert reasons(done) == []
