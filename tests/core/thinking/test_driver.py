"""The driver turns requests into writes and events: handoffs, boundaries, endings, failures."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Passing, Session
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.models.options import ThinkingTags
from baton_reasoning.core.run import Pair, unmet_need
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION
from baton_reasoning.core.thinking.driver import IDLE_REQUESTS, Driver
from baton_reasoning.core.thinking.interruptions import Control, Limits, LimitsGuard, Moment, Wish
from baton_reasoning.core.thinking.policies.always import Always
from baton_reasoning.core.thinking.policies.first_token_entropy import FirstTokenEntropy
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policies.random_takeover import RANDOM
from baton_reasoning.core.thinking.policies.relay import RELAY, Relay
from baton_reasoning.core.thinking.policy import Needs, Policy
from baton_reasoning.core.thinking.reasons import (
    ANSWER,
    BUDGET,
    OPENING,
    PERSON,
    REPETITION,
    SMALL_ONLY,
    UNCLOSED,
    TakeoverReason,
)
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requests import (
    Close,
    Discard,
    Insert,
    Judge,
    LookAhead,
    More,
    Program,
    Request,
    Score,
    Step,
    TakeOver,
    ToEnd,
    Trial,
    Until,
)
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.write_stream import DECODED_AT_MOST
from tests.core.thinking.running import AtBoundary, Programmed, keywords, run
from tests.fakes.scripted import THINK, TORN, Fault, ScriptedEngine, characters, chunks, single_bytes, words

SMALL, LARGE = Author.SMALL, Author.LARGE
SHORT = Keywords.presets["baton"].model_copy(update={"n1": 2})


ONE = TakeOver(1, RANDOM)
KEEPING = TakeOver(1, RANDOM, keep=True)


def three_tokens(reason: TakeoverReason = RANDOM) -> TakeOver:
    return TakeOver(3, reason)


def making(*requests: Request[Any]) -> Programmed:
    """A policy that makes these requests, and then lets the default writer go on."""

    def program(_: Text) -> Program:
        while asked:
            yield from asked.pop(0)

    asked = list(requests)
    return Programmed(program)


# What waits


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ([LookAhead(), ONE], "L"),
        ([LookAhead(), More(), ONE], "L"),
        ([LookAhead(), LookAhead(), ONE], "OneL"),
        ([LookAhead(), KEEPING], "OneL"),
        ([LookAhead(), Insert("I", OPENING), ONE], "OneIL"),
        ([LookAhead(), Judge("?", ("A",)), ONE], "L"),
        ([LookAhead(), Trial(2, LARGE), ONE], "L"),
        ([LookAhead(), Step(), ONE], "One two.\n\nL"),
        ([Step(draft=True), ONE], "L"),
        ([Step(draft=True), Score(), ONE], "L"),
        ([Step(draft=True), Step(draft=True), ONE], "One two.\n\nL"),
        ([Step(cap=1, draft=True), ONE], "L"),
        ([Step(cap=1), ONE], "OneL"),
        ([ToEnd(), ONE], "L"),
        ([ToEnd(), Step()], "One two.\n\nThree.</think>"),
        ([LookAhead(), Discard()], ""),
        ([Step(), Discard(), ONE], "One two.\n\nL"),
    ],
)
def test_what_waits_stands_once_the_next_request_does_not_replace_it(requests, text):
    done = run(making(*requests), ["One two.\n\nThree.</think>", " Four.</think>"], [["L"]] * 3)
    assert done.trace.text.removesuffix(" Four.</think>") == text
    assert (
        sum(gone.tokens for gone in done.all(events.TextDiscarded))
        == done.small.written - done.trace.totals[SMALL].kept
    )


def test_a_step_is_what_the_default_writer_writes_to_its_boundary_without_the_first_word_after_it():
    policy = AtBoundary()
    run(policy, [["One", ".\n\nWait", ",", " two", ".\n\n", "End", "</think>"]])
    assert [step.text for step in policy.steps] == ["One.\n\n", "Wait, two.\n\n"]
    assert [len(step.tokens) for step in policy.steps] == [2, 3]


def capped(_: Text) -> Program:
    while True:
        yield from Step(cap=2)


def test_a_step_that_ends_at_its_cap_is_a_step_of_its_own_also_if_it_is_white_space():
    tokens = ["a", " b", "\n", "\n", "c", "</think>"]
    ends = run(Programmed(capped), [tokens]).all(events.StepEnded)
    assert [end.position for end in ends] == [len("a b"), len("a b\n\n")]
    control = Control()

    def press(body: str) -> None:
        if body == "a b\n":
            control.rewrite_step()

    small = ScriptedEngine(tokens, "End.</think>", before_token=press)
    done = run(Programmed(capped), small, ["Two.\n\n"], interruptions=[control])
    assert done.trace.text == "a bTwo.\n\nEnd.</think>"


def test_what_follows_a_cap_makes_no_boundary_with_the_text_before_it_also_after_a_discard():
    text = Text()
    text.insert("One.\n")
    text.end_step()
    text.insert("Two")
    text.discard(len("One.\n"))
    text.insert("\n")
    assert not text.at_boundary


@pytest.mark.parametrize("request_", [Discard(), Judge("?", ("A",)), Trial(1, LARGE, start=0), TakeOver(9, RANDOM)])
def test_a_program_that_asks_for_ever_ends_with_a_sentence_and_its_text(request_):
    asked = list[object]()

    def for_ever(_: Text) -> Program:
        yield from Step()
        while True:
            asked.append((yield from request_))

    done = run(Programmed(for_ever), ["One.\n\nTwo"], [], interruptions=[LimitsGuard(Limits(max_large_share=0))])
    assert (done.trace.text, done.trace.finish) == ("One.\n\n", events.Finish.FAILED)
    assert done.trace.ended
    assert done.trace.ended.reason == "Stopped: the policy “programmed” goes on asking, and nothing is written."
    assert len(asked) <= IDLE_REQUESTS


def test_the_policy_sees_the_step_that_has_ended():
    policy = AtBoundary()
    run(policy, ["One is.\n\nTwo is.\n\nThree.</think>"])
    assert [step.text for step in policy.steps] == ["One is.\n\n", "Two is.\n\n"]
    assert all(step.at_boundary for step in policy.steps)


@given(st.sampled_from([words, characters, single_bytes, chunks(2), chunks(3), chunks(7)]))
@settings(max_examples=6)
def test_every_tokenisation_gives_the_same_boundaries(split):
    policy = AtBoundary()
    text = "Größe.\n\nZwei — drei.\n \nVier 四五.\r\n\r\nFünf.</think>\n\nAntwort."
    done = run(policy, ScriptedEngine(text, split=split))
    assert done.trace.text == text
    assert [step.text.split()[0] for step in policy.steps] == ["Größe.", "Zwei", "Vier"]


def test_what_a_token_holds_of_the_next_step_goes_if_the_large_model_writes_that_step():
    small = ScriptedEngine(["One.", "\n\nWait", " no"], " End.</think>")
    done = run(AtBoundary(three_tokens()), small, ["It is so. No"])
    assert done.trace.text == "One.\n\nIt is so End.</think>"
    assert [gone.text for gone in done.all(events.TextDiscarded)] == ["Wait"]


def test_nothing_is_handed_over_inside_a_character():
    small = ScriptedEngine("One.\n\n", " End.</think>", split=single_bytes)
    large = ScriptedEngine("ééé", name="large", split=single_bytes)
    done = run(AtBoundary(three_tokens()), small, large)
    assert done.trace.text == "One.\n\néé End.</think>"


@pytest.mark.parametrize(("silent", "written"), [(4, "It is so"), (8, "")])
def test_nothing_is_handed_over_before_the_text_of_a_token_has_come(silent, written):
    """A server may tell the text of several tokens with the last of them; a takeover waits only so long for it."""
    large = ScriptedEngine([*[b""] * silent, "It is so"], name="large")
    done = run(AtBoundary(three_tokens()), ["One.\n\n", " End.</think>"], large)
    assert done.trace.text == f"One.\n\n{written} End.</think>"
    assert done.trace.totals[LARGE].kept == (silent + 1 if written else 0)


def test_ids_are_handed_over_within_a_family_and_text_across():
    same = run(AtBoundary(three_tokens()), ["One.\n\nTwo", " End.</think>"], ["So it is"])
    assert {event.handoff.passing for event in same.all(events.HandedOver)} == {Passing.IDS}
    other = ScriptedEngine("So it is", name="large", vocabulary="other")
    across = run(AtBoundary(three_tokens()), ["One.\n\nTwo", " End.</think>"], other)
    assert [event.handoff.passing for event in across.all(events.HandedOver)] == [
        Passing.IDS,
        Passing.TEXT,
        Passing.TEXT,
    ]
    assert across.trace.text == same.trace.text


def test_no_token_is_read_twice():
    """Each model prefills the prompt once, and then only what it has not written or read itself."""
    small = ["One.\n\nWait, no", " Two.\n\nWait, no", " Three.</think>"]
    done = run(keywords(SHORT), small, ["It is one. No", "It is two. No"])
    for engine, other in ((done.small, LARGE), (done.large, SMALL)):
        prompt = engine.sessions[0].prompt_tokens
        by_other = done.trace.totals[other].kept
        assert sum(call.prefilled for call in engine.calls) <= prompt + by_other
    assert [call.reused > 0 for call in done.large.calls] == [False, True]


def test_every_write_draws_anew_and_a_seed_repeats_the_run():
    texts = ["One.\n\nWait, no", " Two.</think>"]
    first, again = (run(keywords(SHORT), texts, ["It is one. No"]) for _ in range(2))
    seeds = [call.seed for call in (*first.small.calls, *first.large.calls)]
    assert len(set(seeds)) == 3
    assert seeds == [call.seed for call in (*again.small.calls, *again.large.calls)]


def test_a_takeover_follows_an_inserted_text():
    def program(_: Text) -> Program:
        yield from Step()
        yield from Insert("Let us check. ", EXCESSIVE_REFLECTION)
        yield from three_tokens(EXCESSIVE_REFLECTION)

    done = run(Programmed(program), ["One.\n\nNo", " End.</think>"], ["It is so. No"])
    assert done.told[1:3] == [("inserted", "Let us check. "), ("large", "It is so")]


def test_a_large_model_on_its_own_device_is_offered_the_text_while_it_is_written():
    """At a boundary the whole step, so that a lookahead gives it time to read."""
    large = ScriptedEngine(name="large", supports_prefetch=True)
    done = run(Never(), ["one two three four five six seven eight nine.</think>"], large)
    assert [call.body for call in done.large.calls] == ["one two three four", "one two three four five six seven eight"]
    done = run(Never(), ["one two.\n\nand.</think>"], ScriptedEngine(name="large", supports_prefetch=True))
    assert done.large.calls[0].body == "one two.\n\n"


def test_a_run_goes_on_from_a_written_text():
    done = run(Never(), ["One.\n\nTwo.</think>\n\nFour"])
    again = run(Never(), [" and no more."], before=done.trace)
    assert [call.body for call in again.small.calls] == ["One.\n\nTwo.</think>\n\nFour"]
    assert again.small.calls[0].prefilled > 0
    assert len(again.all(events.ThinkingClosed)) == 1


def test_a_text_that_is_taken_up_at_a_boundary_is_decided_there():
    begun = run(Never(), ["One.\n\nTwo is"], settings=RunSettings(max_tokens=3)).trace
    taken_up = run(AtBoundary(three_tokens()), [" End.</think>"], ["So it is"], before=begun)
    assert taken_up.trace.text == "One.\n\nSo it is End.</think>"
    draft = run(making(Step(draft=True), ONE), ["Two.\n\n", " End.</think>"], [["L"]], before=begun)
    assert draft.trace.text == "One.\n\nL End.</think>", "the step before stands"


@pytest.mark.parametrize(
    ("tokens", "first", "text"),
    [
        (3, Step(), "One.\n\nTwo.\n\nSo it is End.</think>"),
        (1, Step(), "OneTwo.\n\nSo it is End.</think>"),
        (3, TakeOver(9, PERSON, until=Until.STEP), "One.\n\nMine.\n\nSo it is End.</think>"),
    ],
)
def test_what_a_person_wants_first_comes_before_the_policy_decides(tokens, first, text):
    begun = run(Never(), ["One.\n\nTwo is"], settings=RunSettings(max_tokens=tokens)).trace
    large = ["Mine.\n\nNo"] * isinstance(first, TakeOver) + ["So it is"]
    small = ["Two.\n\nNo"] * isinstance(first, Step) + [" End.</think>"]
    assert run(AtBoundary(three_tokens()), small, large, before=begun, wish=Wish(first)).trace.text == text


def test_a_text_that_is_taken_up_just_after_its_closing_tag_is_in_the_answer():
    whole = run(Never(), ["One.</think> Four."]).trace
    before = whole.until(len("One.</think>"))
    assert not before.closed, "it ends with the token, before the event that tells of the tag"
    taken_up = run(FirstTokenEntropy(), [], [" Five."], before=before)
    assert (taken_up.trace.answer, len(taken_up.small.calls)) == (" Five.", 0)


def test_within_a_step_the_rest_of_it_comes_first():
    begun = run(Never(), ["One is two"], settings=RunSettings(max_tokens=2)).trace
    policy = AtBoundary(three_tokens())
    taken_up = run(policy, [" two.\n\nNo", " End.</think>"], ["So it is"], before=begun)
    assert policy.steps[0].text == " two.\n\n"
    assert taken_up.trace.text == "One is two.\n\nSo it is End.</think>"


# Endings


def test_end_of_text_of_the_large_model_ends_the_run_as_well():
    done = run(AtBoundary(TakeOver(50, RANDOM)), ["One.\n\nTwo"], ["So.</think>", "\n\nFour."])
    assert (done.trace.finish, done.trace.answer) == (events.Finish.END_OF_TEXT, "\n\nFour.")
    assert len(done.small.calls) == 1


def test_no_token_is_written_after_the_end_of_the_text():
    done = run(keywords(SHORT), ["One.</think>\n\nFour.", "Never."], ["Never."])
    assert (done.trace.text, done.trace.finish) == ("One.</think>\n\nFour.", events.Finish.END_OF_TEXT)
    assert done.large.calls == []


def test_thinking_that_ends_without_its_tag_is_closed_for_the_model():
    done = run(Never(), ["One is", "Four."])
    assert done.told == [("small", "One is"), ("inserted", "\n</think>\n\n"), ("small", "Four.")]
    assert done.all(events.TextInserted)[0].reason == UNCLOSED.id
    assert done.trace.answer.strip() == "Four."


def test_the_answer_begins_right_after_the_tag():
    small = ScriptedEngine(["One.", "</think>\n\n", "Four."])
    done = run(Never(), small)
    assert done.all(events.ThinkingClosed)[0].position == len("One.</think>")
    assert done.trace.answer == "\n\nFour."


def test_a_closing_tag_of_several_tokens_is_found():
    done = run(Never(), ScriptedEngine("One.</think>Four.", split=characters))
    assert (done.trace.thinking_text, done.trace.answer) == ("One.", "Four.")


@pytest.mark.parametrize("tag", [["</", "think", ">"], [" </", "think>"], [" </think>"]])
def test_each_token_of_a_discarded_closing_tag_counts(tag):
    policy = POLICIES["step-score"]()
    large = ScriptedEngine("Two.</think>", [" Four"] * 9, name="large", marks=["0"])
    done = run(policy, ScriptedEngine(["One.", *tag]), large, RunSettings(max_tokens=9))
    assert done.all(events.TextDiscarded)[0].tokens == 1 + len(tag)
    assert (done.trace.finish, done.trace.tokens) == (events.Finish.MAX_TOKENS, 9)


def test_half_a_closing_tag_at_the_end_of_a_run_is_final():
    settled: list[int] = []
    small = ScriptedEngine(["One.", "</", "think>"]).open()
    list(Driver({SMALL: small}, Never(), RunSettings(max_tokens=2), on_settled=settled.append).run())
    assert settled == [len("One."), len("One.</")]


def test_where_no_model_has_a_tag_none_is_looked_for():
    class Unread(str):
        def __getitem__(self, key: object) -> str:
            raise AssertionError("the text was read")

    text = Text(written=[Part("One <", SMALL)])
    text.body.text = Unread(text.body.text)
    assert text.before_tag == text.position


def test_a_closing_tag_that_is_repeated_in_a_continued_text_does_not_begin_the_answer():
    parts = [Part("One.", SMALL), Part("</think>", SMALL, closing_tag="</think>"), Part("Four.\n\nSo </think>", SMALL)]
    text = Text(["</think>"], parts)
    text.discard(len("One.</think>Four.\n\n"))
    assert text.answer_start == len("One.</think>")


def test_an_empty_answer_is_an_answer():
    done = run(Never(), ["One.</think>"])
    assert (done.trace.finish, done.trace.answer) == (events.Finish.END_OF_TEXT, "")


def test_models_without_tags_have_no_thinking_to_close():
    small = ScriptedEngine("One.\n\nFour.", thinking=None)
    done = run(AtBoundary(Close(BUDGET)), small, ScriptedEngine(thinking=None, name="large"))
    assert (done.trace.text, done.trace.finish) == ("One.\n\n", events.Finish.MAX_TOKENS)


def test_max_tokens_counts_what_is_kept_and_not_the_prompt():
    done = run(keywords(SHORT), ["One.\n\nWait, no", " and on" * 20], ["So it is."], RunSettings(max_tokens=12))
    assert (done.trace.tokens, done.trace.finish) == (12, events.Finish.MAX_TOKENS)
    assert done.small.sessions[0].prompt_tokens > 0


def test_a_takeover_takes_no_more_than_max_tokens_leave():
    for most, takeovers in (8, 1), (3, 0):
        policy, settings = AtBoundary(TakeOver(50, RANDOM)), RunSettings(max_tokens=most)
        done = run(policy, ["One.\n\nTwo"], ["so " * 80], settings)
        assert (done.trace.tokens, done.trace.finish) == (most, events.Finish.MAX_TOKENS)
        assert len(done.all(events.TakeoverStarted)) == takeovers


@pytest.mark.parametrize("policy", ["step-score", "first-token-entropy"])
def test_white_space_is_no_step_of_a_large_model_that_begins_with_it(policy):
    """A takeover ended after an indented line's blank, and the step was rejected and rewritten for ever."""
    small = ScriptedEngine(continue_with=lambda _, body: f"Step {body.count('S')}.\n\n" * 9, chances=lambda _: TORN)
    large = ScriptedEngine(
        continue_with=lambda *_: [" ", "    x = 1\n", "    y = 2.\n\n"], name="large", marks="0" * 99
    )
    done = run(POLICIES[policy](), small, large, RunSettings(max_tokens=60))
    assert "     x = 1\n    y = 2.\n\n" in done.trace.text
    assert sum(total.decoded for total in done.trace.totals.values()) < DECODED_AT_MOST * 60


def test_a_run_that_keeps_nothing_of_its_work_ends_and_says_so():
    def never_content(_: Text) -> Program:
        while True:
            yield from LookAhead()
            yield from Discard()

    small = ScriptedEngine(continue_with=lambda *_: "One.\n\n" + " two" * 40)
    done = run(Programmed(never_content), small, [], RunSettings(max_tokens=50))
    assert done.trace.ended
    assert done.trace.ended.finish is events.Finish.MAX_TOKENS
    assert "were written, and only" in done.trace.ended.reason
    assert done.small.written <= DECODED_AT_MOST * 50


def test_a_text_that_is_continued_has_the_steps_that_it_had():
    parts = [Part(text, Author.SMALL) for text in ("One", ".\n\n", "  Two", "\n", "\n", " Three")]
    state = Text(written=parts)
    assert state.body.text[state.step_start :] == " Three", "a leading blank belongs to its step"
    assert state.body.text[state.last_step_start : state.step_start] == "  Two\n\n"


def test_a_full_context_ends_the_run_with_the_text_so_far():
    small = ScriptedEngine("one " * 100, context=60)
    done = run(Never(), small)
    assert done.trace.finish is events.Finish.CONTEXT_FULL
    assert "context of small is full (60 tokens)" in (done.trace.ended.reason if done.trace.ended else "")
    assert done.trace.tokens > 20


def test_the_small_model_goes_on_alone_when_the_large_ones_context_is_full():
    large = ScriptedEngine("so " * 100, name="large", context=30)
    done = run(AtBoundary(TakeOver(90, RANDOM)), ["One.\n\nTwo", " End.</think>"], large)
    assert done.trace.text.endswith("End.</think>")
    assert "The small model goes on alone." in done.all(events.Noticed)[0].text


# Failures


def test_the_small_model_goes_on_alone_when_the_large_one_is_lost():
    large = ScriptedEngine("It is so. No", name="large", faults=[Fault(after=2, for_good=True)])
    done = run(keywords(SHORT), ["One.\n\nWait, no", " End.\n\nWait, no.</think>"], large)
    assert done.trace.text == "One.\n\nIt is End.\n\nWait, no.</think>"
    assert done.trace.finish is events.Finish.END_OF_TEXT
    assert done.all(events.Noticed)[0].text.startswith("The model's process ended.")
    assert [ended.tokens for ended in done.all(events.TakeoverEnded)] == [2]


class Gone(ScriptedEngine):
    """A server that is there no more."""

    def fail_if_gone(self) -> None:
        if self.sessions:
            raise EngineLost("It is gone.")


@pytest.mark.parametrize("request_", [TakeOver(9, RANDOM), Judge("?", ("A",)), Score(), Trial(3, LARGE)])
@pytest.mark.parametrize("before", [Step(), Step(draft=True)])
def test_whatever_a_lost_model_was_asked_the_small_one_goes_on_from_what_stands(request_, before):
    done = run(making(before, request_), ["One.\n\n", "Two.</think>"], Gone(name="large"))
    replaced = before.draft and isinstance(request_, TakeOver)
    assert done.trace.text == ("Two.</think>" if replaced else "One.\n\nTwo.</think>")
    assert [notice.text for notice in done.all(events.Noticed)] == ["It is gone. The small model goes on alone."]
    assert len(done.all(events.TakeoverStarted)) == len(done.all(events.TakeoverEnded))


@pytest.mark.parametrize("tags", [None, THINK], ids=["the small model has no tags", "it has"])
@pytest.mark.parametrize(
    ("closes", "after"), [(TakeOver(9, RANDOM), 3), (Close(BUDGET), 0)], ids=["the large model closes", "a limit does"]
)
def test_a_model_that_is_lost_in_the_answer_is_not_asked_for_it_again(tags, closes, after):
    """The run went on for ever, with a notice each time."""
    small = ScriptedEngine("One.\n\n", " Four.", thinking=tags)
    large = ScriptedEngine("So.</think>", " Six", name="large", faults=[Fault(after, for_good=True)])
    driver = Driver({SMALL: small.open(), LARGE: large.open()}, AtBoundary(closes), RunSettings())
    happened = list(islice(driver.run(), 100))
    assert isinstance(happened[-1], events.RunEnded)
    assert "".join(event.text for event in happened if isinstance(event, events.TokenWritten)).endswith(" Four.")


@pytest.mark.parametrize("request_", [Step(), LookAhead(), ToEnd()])
def test_a_lost_small_model_ends_the_run_with_its_text(request_):
    done = run(making(request_, request_), ScriptedEngine("One two.\n\nNo", faults=[Fault(after=1)]))
    assert (done.trace.text, done.trace.finish) == ("One", events.Finish.FAILED)


def test_or_the_run_fails_if_that_was_asked_for():
    large = ScriptedEngine("It is so", name="large", faults=[Fault(after=2)])
    done = run(keywords(SHORT), ["One.\n\nWait, no"], large, RunSettings(small_alone=False))
    assert (done.trace.text, done.trace.finish) == ("One.\n\nIt is", events.Finish.FAILED)


def test_a_lost_small_model_fails_the_run_and_keeps_its_text():
    small = ScriptedEngine("One.\n\nTwo is", faults=[Fault(after=3)])
    done = run(Never(), small)
    assert (done.trace.text, done.trace.finish) == ("One.\n\n", events.Finish.FAILED)
    assert done.trace.ended is not None
    assert done.trace.ended.reason == "The model's process ended. Open it again."


def test_half_a_character_of_a_lost_model_is_not_left_in_the_text():
    large = ScriptedEngine("aé", name="large", split=single_bytes, faults=[Fault(after=2)])
    done = run(AtBoundary(TakeOver(9, RANDOM)), ["One.\n\nNo", " End.</think>"], large)
    assert done.trace.text == "One.\n\na End.</think>"
    assert done.all(events.TextDiscarded)[-1].tokens == 1


def test_what_an_engine_tells_is_told_on():
    small = ScriptedEngine("One two.</think>", notices={1: "The model was started again."})
    assert [notice.text for notice in run(Never(), small).all(events.Noticed)] == ["The model was started again."]


def test_with_one_model_a_policy_for_two_keeps_to_it():
    small = ScriptedEngine("One.\n\nTwo.", " Three.</think>")
    driver = Driver({SMALL: small.open()}, AtBoundary(three_tokens()), RunSettings())
    text = "".join(event.text for event in driver.run() if isinstance(event, events.TokenWritten))
    assert text.startswith("One.\n\n")
    assert text.endswith("Three.</think>")


# Two models with tags of their own


def test_each_model_reads_the_close_of_thinking_in_its_own_words():
    large = ScriptedEngine("So.[/THINK]", "\n\nFour.", name="large", thinking=ThinkingTags("[THINK]", "[/THINK]"))
    done = run(AtBoundary(TakeOver(50, RANDOM)), ["One.\n\nTwo"], large)
    assert done.all(events.ThinkingClosed)[0].tag == "[/THINK]"
    assert done.trace.thinking_text == "One.\n\nSo."
    assert done.trace.answer == "\n\nFour."


def test_the_small_models_tag_is_translated_for_the_large_one():
    class ThenLarge(Policy):
        name = "large answers"

        def answer(self, text: Text) -> Program:
            yield from TakeOver(20, ANSWER)

    large = ScriptedEngine("Four.", name="large", thinking=ThinkingTags("[THINK]", "[/THINK]"))
    done = run(ThenLarge(), ["One.</think>"], large)
    session = done.large.sessions[0]
    assert session.read(done.trace.parts()).prefilled == 0
    own = ScriptedEngine(name="large", thinking=ThinkingTags("[THINK]", "[/THINK]"))
    kept = [*own.split("One."), *own.split("[/THINK]"), *own.split("Four.")]
    assert session.kept == own.open().prompt_tokens + len(kept)


# The events


def test_a_takeover_is_framed_by_its_events():
    done = run(AtBoundary(three_tokens()), ["One.\n\nTwo", " End.</think>"], ["So it is"])
    kinds = [type(event) for event in done.trace.events]
    start = kinds.index(events.TakeoverStarted)
    assert kinds[start : start + 7] == [
        events.TakeoverStarted,
        events.WriteStarted,
        events.HandedOver,
        events.TokenWritten,
        events.TokenWritten,
        events.TokenWritten,
        events.TakeoverEnded,
    ]
    assert [event.at for event in done.trace.events] == sorted(event.at for event in done.trace.events)


def test_closing_the_run_ends_the_write_that_is_under_way():
    small = ScriptedEngine("One two three.")
    driver = Driver({SMALL: small.open()}, Never(), RunSettings())
    running = driver.run()
    next(event for event in running if isinstance(event, events.TokenWritten))
    running.close()  # type: ignore[attr-defined]
    assert small.written == 1


def test_a_pair_in_which_only_the_large_model_has_tags_closes_its_thinking_and_answers():
    small = ScriptedEngine("One.\n\nIt is 4.", thinking=None)
    large = ScriptedEngine("Four.", name="large")
    done = run(keywords(Keywords.presets["baton"]), small, large)
    assert done.trace.thinking_text.strip() == "One.\n\nIt is 4."
    assert done.trace.answer.strip() == "Four."


# The driver is symmetrical: under relay the large model writes by default, and hands sentences to the small one

RELAYING = ["One.\n\nWait, no", " Then three.\n\nFour.</think>No"]
HELPING = [" two. No", "\n\nFour."]


def test_the_large_model_writes_by_default_and_hands_a_sentence_to_the_small_one():
    done = run(Relay(), HELPING, RELAYING)
    assert done.told == [
        ("large", "One.\n\n"),
        ("large", "Wait,"),
        ("small", " two."),
        ("large", " Then three.\n\n"),
        ("large", "Four.</think>"),
        ("small", "\n\n"),
        ("small", "Four."),
    ]
    takeovers = done.all(events.TakeoverStarted)
    assert [(event.author, event.reason) for event in takeovers] == [(SMALL, RELAY.id), (SMALL, ANSWER.id)]
    assert done.trace.totals[SMALL].takeovers == 2
    assert done.trace.totals[LARGE].takeovers == 0
    assert done.trace.pieces[2].takeover == takeovers[0]


def test_only_the_difference_is_handed_over_in_both_directions():
    done = run(Relay(), HELPING, RELAYING)
    handed = done.all(events.HandedOver)
    assert [event.author for event in handed] == [LARGE, SMALL, LARGE, SMALL]
    assert all(event.handoff.reused > event.handoff.prefilled for event in handed[2:])


def test_when_the_small_helper_is_lost_the_large_model_goes_on_alone():
    small = ScriptedEngine(" two.", faults=[Fault(0, EngineLost("Gone."))])
    done = run(Relay(), small, ["One.\n\nWait, no", " it is two.</think> Two."])
    assert done.trace.text == "One.\n\nWait, it is two.</think> Two."
    assert done.all(events.Noticed)[0].text == "Gone. The large model goes on alone."


def test_or_the_run_fails_if_no_model_may_go_on_alone():
    small = ScriptedEngine(" two.", faults=[Fault(0, EngineLost("Gone."))])
    done = run(Relay(), small, ["One.\n\nWait, no", " it is two."], RunSettings(small_alone=False))
    assert (done.trace.finish, done.trace.text) == (events.Finish.FAILED, "One.\n\nWait,")


def test_when_the_large_model_is_lost_the_small_one_goes_on_alone():
    large = ScriptedEngine("One.\n\nTwo. Three", name="large", faults=[Fault(3, EngineLost("Gone."))])
    done = run(Relay(), [" and so on.</think> Four."], large)
    assert done.all(events.Noticed)[0].text == "Gone. The small model goes on alone."
    assert done.trace.text.endswith(" and so on.</think> Four.")


class LargeWrites(Policy):
    name = "large writes"
    default_writer = LARGE


def test_a_default_writer_that_is_missing_is_replaced():
    sessions: dict[Author, Session] = {SMALL: ScriptedEngine("One.").open()}
    happened = list(Driver(sessions, LargeWrites(), RunSettings(max_tokens=1)).run())
    assert [event.reason for event in happened if isinstance(event, events.TakeoverStarted)] == [SMALL_ONLY.id]


def test_a_text_of_the_large_model_that_repeats_itself_is_handed_to_the_small_one():
    large = ["One.\n\nTwo.\n\nTwo.\n\nTwo.", "Three.</think>"]
    done = run(Relay(), ["Let me.\n\nNo", " Four."], large, interruptions=[LimitsGuard(Limits())])
    first = done.all(events.TakeoverStarted)[0]
    assert (first.author, first.reason) == (SMALL, REPETITION.id)


def test_a_person_takes_over_and_gives_back():
    class Hand(Control):
        def check(self, moment: Moment) -> None:
            if moment.text.body.text.endswith("One.\n\n"):
                self.rewrite_step()
            super().check(moment)

    done = run(Relay(), [], ["One.\n\nTwo.", "First.\n\nNo", " End.</think>"], interruptions=[Hand()])
    assert done.all(events.TextDiscarded)[0].text == "One.\n\n"
    assert done.all(events.TakeoverStarted)[0].reason == PERSON.id


class Reading(Relay):
    title = "Reading"
    needs = Needs(alternatives=20, scores=True)


def test_what_a_policy_needs_is_asked_of_the_model_that_has_to_give_it():
    plain = ScriptedEngine().with_card(returns_scores=False)
    scoring = ScriptedEngine(name="large").with_card(returns_scores=True)
    silent = ScriptedEngine(name="large").with_card(returns_scores=True, returns_alternatives=False)
    assert unmet_need(Relay, Pair(plain, plain).cards) is None
    assert unmet_need(Reading, Pair(silent, scoring).cards) is None, "the small model need not give any"
    assert "probabilities of each token, and large gives none" in str(unmet_need(Reading, Pair(plain, silent).cards))
    assert "probabilities of a text" in str(unmet_need(Reading, Pair(scoring, plain).cards))
    assert "needs a large model" in str(unmet_need(Relay, Pair(plain).cards))


def test_a_step_that_a_person_wants_of_a_model_that_takes_no_part_is_written_by_the_other():
    sessions: dict[Author, Session] = {LARGE: ScriptedEngine("Mine.</think> So.", name="large").open()}
    trace = Trace.of(Driver(sessions, Always(), RunSettings()).run(Wish(Step())))
    assert (trace.text, trace.finish) == ("Mine.</think> So.", events.Finish.END_OF_TEXT)
