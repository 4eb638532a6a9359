"""Faults of the authors' code, each with a test that shows this program without it.

Templates (its generation prompt, and one for both models) are the engines' part and tested there; speed that is
measured instead of estimated is tested with the trace.
"""

from __future__ import annotations

from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION
from baton_reasoning.core.thinking.events import Finish, TakeoverStarted, TextInserted
from baton_reasoning.core.thinking.limits import Limits, LimitsGuard
from baton_reasoning.core.thinking.policies.keywords import REFLECTION, Keywords
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.run_settings import RunSettings
from tests.core.thinking.running import Run, keywords, run
from tests.fakes.scripted import ScriptedEngine, single_bytes

SHORT = Keywords.presets["baton"].model_copy(update={"n1": 2})


def rules(done: Run) -> list[TakeoverReason]:
    return [POLICIES.reason(takeover.reason) for takeover in done.all(TakeoverStarted)]


def test_a_boundary_is_found_however_many_tokens_it_takes() -> None:
    """The authors look for two newlines in the last five tokens."""
    small = ScriptedEngine("One." + "\n" + " " * 12 + "\nWait, no", " End.</think>", split=single_bytes)
    six = Keywords.presets["baton"].model_copy(update={"n1": 6})
    assert rules(run(keywords(six), small, ["It is so, and so. No"])) == [REFLECTION]


def test_the_end_of_text_is_the_engines_word_and_not_looked_for_among_ids() -> None:
    """The authors look for the large model's end token in the last 20 ids, those of the prompt included."""
    small = ScriptedEngine("One.</think>Four.")
    small.open((Message("user", "What does <|endoftext|> mean? <|im_end|></s>"),))
    assert run(Never(), small).trace.text == "One.</think>Four."


def test_the_small_models_own_end_ends_the_run() -> None:
    done = run(keywords(SHORT), ["One.</think>Four.", " And on"], ["And on"])
    assert (done.trace.finish, done.trace.text) == (Finish.END_OF_TEXT, "One.</think>Four.")


def test_nothing_is_written_after_the_large_models_end() -> None:
    """The authors append what was sampled after the end token in the same takeover."""
    done = run(keywords(SHORT), ["One.\n\nYes, so", " And on"], ["It</think>", "Four.", " And on"])
    assert done.trace.text == "One.\n\nIt</think>Four."


def test_rule_three_works_across_tokenizers() -> None:
    """The authors' code fails there: it hands ids of one vocabulary to the other model."""
    large = ScriptedEngine("Wait, so. No", "It is right. No", name="large", vocabulary="other", split=single_bytes)
    settings = SHORT.model_copy(update={"c": 1})
    done = run(keywords(settings), ["One.\n\nWait, no", " Two.\n\nNo", " End.</think>"], large)
    assert rules(done) == [REFLECTION, EXCESSIVE_REFLECTION]
    assert done.all(TextInserted)[0].text in done.trace.text
    assert "wrong steps. It" in done.trace.text


def test_words_that_hold_a_cue_change_nothing() -> None:
    text = "One.\n\nBy Bayes.\n\nHe is awaiting it.\n\nA checkerboard.</think>"
    assert rules(run(keywords(Keywords.presets["baton"]), [text])) == []


def test_a_time_limit_keeps_the_text_so_far() -> None:
    guard = LimitsGuard(Limits())

    def run_out(_body: str) -> None:
        guard.limits = Limits(max_seconds=1e-9)

    done = run(Never(), ScriptedEngine("One two three.", before_token=run_out), interruptions=[guard])
    assert (done.trace.finish, done.trace.text) == (Finish.TIME, "One")
    assert "time limit" in (done.trace.ended.reason if done.trace.ended else "")


def test_max_tokens_do_not_count_the_prompt() -> None:
    done = run(Never(), ["one two three four five"], settings=RunSettings(max_tokens=4))
    assert done.small.sessions[0].prompt_tokens > 4
    assert done.trace.text == "one two three four"
