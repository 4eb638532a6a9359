"""The driver turns requests into writes and events: handoffs, boundaries, endings, failures."""

from itertools import accumulate, islice
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Passing, Session, Token
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.models.thinking_tags import ThinkingTags
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION
from baton_reasoning.core.thinking.driver import IDLE_REQUESTS, Driver
from baton_reasoning.core.thinking.interruptions import Control, Intervention, Limits, LimitsGuard
from baton_reasoning.core.thinking.policies.alone import Always, Never
from baton_reasoning.core.thinking.policies.cascade import UNSURE_ANSWER, UNSURE_REST, Cascade
from baton_reasoning.core.thinking.policies.first_token_entropy import FirstTokenEntropy
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RANDOM
from baton_reasoning.core.thinking.policies.relay import Relay
from baton_reasoning.core.thinking.policies.step_score import StepScore
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import Policy
from baton_reasoning.core.thinking.reasons import BUDGET, OPENING, PERSON, SMALL_ONLY, UNCLOSED
from baton_reasoning.core.thinking.requests import (
    NEXT_TOKEN,
    Accept,
    Close,
    Discard,
    Insert,
    Judge,
    Program,
    Request,
    Score,
    TakeOver,
    Trial,
    Until,
    Write,
    Written,
)
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.write_stream import DECODED_AT_MOST
from tests.core.thinking.running import LARGE, SMALL, AtBoundary, Programmed, World, keywords, run
from tests.fakes.scripted import CERTAIN, THINK, TORN, Fault, ScriptedEngine, characters, single_bytes

SHORT = Keywords.presets["baton"].model_copy(update={"n1": 2})
ONE, THREE, FIFTY = (TakeOver(tokens, RANDOM) for tokens in (1, 3, 50))
DRAFT, TWO_TOKENS, WHOLE = (Write(waits=True), Write(Until.TOKENS, 2, waits=True), Write(Until.TOKENS, waits=True))
OTHER_TAGS = ThinkingTags("[THINK]", "[/THINK]")


def ended(trace: Trace) -> tuple[events.Finish, str]:
    assert trace.ended
    return trace.ended.finish, trace.ended.reason


def making(*requests: Request[Any]) -> Programmed:
    """A policy that makes these requests, and then lets the default writer go on."""

    def program(_: Text) -> Program:
        while asked:
            yield from asked.pop(0)

    asked = list(requests)
    return Programmed(program)


# Steps, and what waits


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ([NEXT_TOKEN, ONE], "L"),
        ([NEXT_TOKEN, TWO_TOKENS, ONE], "L"),
        ([NEXT_TOKEN, Accept(), NEXT_TOKEN, ONE], "OneL"),
        ([NEXT_TOKEN, Accept(), ONE], "OneL"),
        ([NEXT_TOKEN, Accept(), Insert("I", OPENING), ONE], "OneIL"),
        ([NEXT_TOKEN, Judge("?", ("A",)), ONE], "L"),
        ([NEXT_TOKEN, Write(), ONE], "One two.\n\nL"),
        ([NEXT_TOKEN, Write(waits=True), ONE], "L"),
        ([Write(Until.TOKENS, 1), ONE], "OneL"),
        ([Write(Until.FIRST_SENTENCE), ONE], "One two.L"),
        ([Write(Until.SENTENCE, 1), ONE], "One two.L"),
        ([DRAFT, Score(), ONE], "L"),
        ([DRAFT, Accept(), DRAFT, ONE], "One two.\n\nL"),
        ([DRAFT, DRAFT, ONE], "L"),
        ([Write(tokens=1, waits=True), ONE], "L"),
        ([Write(tokens=1), ONE], "OneL"),
        ([WHOLE, ONE], "L"),
        ([WHOLE, Write()], "One two.\n\nThree.</think>"),
        ([NEXT_TOKEN, Discard()], ""),
        ([Write(), Discard(), ONE], "One two.\n\nL"),
    ],
)
def test_what_waits_stands_once_it_is_accepted(requests, text):
    done = run(making(*requests), ["One two.\n\nThree.</think>", " Four.</think>"], [["L"]] * 3)
    assert done.trace.text.removesuffix(" Four.</think>") == text
    blank = run(making(Write(), NEXT_TOKEN, ONE), [["One.\n\n", ""], " End.</think>"], [["Two"]])
    assert [gone.tokens for gone in blank.all(events.TextDiscarded)] == [1], "a token without text is replaced, too"


def test_a_step_ends_before_the_first_word_of_the_next_which_goes_if_another_model_writes_that():
    policy = AtBoundary()
    run(policy, [["One", ".\n\nWait", ",", " two", ".\n\n", "End", "</think>"]])
    assert [step.text for step in policy.steps] == ["One.\n\n", "Wait, two.\n\n"]
    assert [len(step.tokens) for step in policy.steps] == [2, 3]
    done = run(AtBoundary(THREE), [["One.", "\n\nWait", " no"], " End.</think>"], ["It is so. No"])
    assert done.trace.text == "One.\n\nIt is so End.</think>"
    assert [gone.text for gone in done.all(events.TextDiscarded)] == ["Wait"]


def test_what_was_discarded_of_the_next_step_is_no_token_of_it():
    """A character that begins in the token that ends the step has another token, which went with it."""
    steps = list[Written]()

    def judged(_: Text) -> Program:
        while True:
            steps.append((yield from DRAFT))
            yield from Judge("?", ("A",))
            yield from Accept()

    run(Programmed(judged), ScriptedEngine(["One", b".\n\n\xc3", b"\xa9"], "Two.\n\n", "</think>"))
    assert [(step.text, len(step.tokens)) for step in steps[:2]] == [("One.\n\n", 2), ("Two.\n\n", 3)]


def test_a_step_that_ends_at_its_cap_is_a_step_of_its_own_also_if_it_is_white_space():
    capped = [Write(tokens=2)] * 9
    tokens = ["a", " b", "\n", "\n", "c", "</think>"]
    ends = run(making(*capped), [tokens]).all(events.StepEnded)
    assert [end.position for end in ends] == [len("a b"), len("a b\n\n")]
    control = Control()
    small = ScriptedEngine(
        tokens, "End.</think>", before_token=lambda body: control.rewrite_step() if body == "a b\n" else None
    )
    done = run(making(*capped), small, ["Two.\n\n"], interruptions=[control])
    assert done.trace.text == "a bTwo.\n\nEnd.</think>"
    text = Text(written=[Part("One.\n", SMALL)])
    text.end_step()
    text.insert("Two")
    text.discard(len("One.\n"))
    text.insert("\n")
    assert not text.at_boundary, "what follows a cap makes no boundary with the text before it"


TOKENS = ["One", " two.", "\n", "\n\n", ".\n\n  So", " \n", "<", "</think>", "`", "</thi", "nk>"]
WRITTEN = st.tuples(st.sampled_from(TOKENS), st.sampled_from((SMALL, LARGE, Author.INSERTED)))
STATE = (
    "step_start last_step_start steps_ended at_boundary within_step step_begun kept answer_start closed_by "
    "rewritable_from repeats_step large_share"
).split()


@given(st.lists(WRITTEN | st.integers(0, 9), max_size=25))
@example([("</thi", SMALL), ("nk>", LARGE), 0])
@example([("</thi", SMALL), ("nk>", Author.INSERTED)])
def test_a_text_that_was_cut_is_as_one_that_is_taken_up(changes):
    """A token or another text is added, or all but so many are cut off: then it has the steps, counts and tags of a
    text that consists of them."""
    text = Text(["</think>"])
    for change in changes:
        if isinstance(change, int):
            ends = [0, *accumulate(len(part.text) for part in text.body.parts)]
            text.discard(ends[min(change, len(ends) - 1)])
        elif change[1].is_model:
            text.append(Token(1, change[0].encode()), change[1], "")
        else:
            text.insert(change[0])
        text.close_thinking()
        again = Text(["</think>"], text.body.parts)
        for name in STATE:
            assert getattr(text, name) == getattr(again, name), name
        assert text.before_tag(text.position) == again.before_tag(again.position)


@pytest.mark.parametrize("request_", [Discard(), Judge("?", ("A",)), Trial(1, LARGE, start=0), TakeOver(9, RANDOM)])
def test_a_program_that_asks_for_ever_ends_with_a_sentence_and_its_text(request_):
    asked = list[object]()

    def for_ever(_: Text) -> Program:
        yield from Write()
        while True:
            asked.append((yield from request_))

    done = run(Programmed(for_ever), ["One.\n\nTwo"], [], interruptions=[LimitsGuard(Limits(max_large_share=0))])
    assert (done.trace.text, done.trace.finish) == ("One.\n\n", events.Finish.FAILED)
    assert "“programmed” goes on asking" in ended(done.trace)[1]
    assert len(asked) <= IDLE_REQUESTS


def test_a_run_that_keeps_nothing_of_its_work_ends_and_says_so():
    small = ScriptedEngine(continue_with=lambda *_: "One.\n\n" + " two" * 40)
    never_content: list[Request[Any]] = [NEXT_TOKEN, Discard()] * 999
    done = run(making(*never_content), small, [], RunSettings(max_tokens=50))
    assert done.trace.finish is events.Finish.MAX_TOKENS
    assert "200 tokens were written, and only 0 of them" in ended(done.trace)[1]
    assert done.small.written == DECODED_AT_MOST * 50


def test_white_space_is_no_step_of_a_large_model_that_begins_with_it():
    """A takeover ended after an indented line's blank, and the step was rejected and rewritten for ever."""
    small = ScriptedEngine(continue_with=lambda _, body: f"Step {body.count('S')}.\n\n" * 9)
    indented = [" ", "    x = 1\n", "    y = 2.\n\n"]
    large = ScriptedEngine(continue_with=lambda *_: indented, name="large", marks="0" * 99)
    done = run(StepScore(), small, large, RunSettings(max_tokens=60))
    assert "".join(indented) in done.trace.text
    assert sum(total.decoded for total in done.trace.totals.values()) < DECODED_AT_MOST * 60


@pytest.mark.parametrize("question", [Judge("?", ("A",)), Score(), Trial(1, LARGE)])
def test_a_question_at_the_boundary_where_a_takeover_ended_leaves_the_boundary_there(question):
    taking, here = TakeOver(9, RANDOM, until=Until.STEP), Write()
    done = run(making(Write(), taking, question, here, ONE), ["One.\n\n", " End.</think>"], ["Two.\n\n", "L", "L"])
    assert done.trace.text == "One.\n\nTwo.\n\nL End.</think>"


# Handoffs


def test_nothing_is_handed_over_inside_a_character_nor_is_half_of_one_left_by_a_lost_model():
    small = ScriptedEngine("One.\n\n", " End.</think>", split=single_bytes)
    done = run(AtBoundary(THREE), small, ScriptedEngine("ééé", name="large", split=single_bytes))
    assert done.trace.text == "One.\n\néé End.</think>"
    large = ScriptedEngine("aé", name="large", split=single_bytes, faults=[Fault(after=2)])
    lost = run(AtBoundary(FIFTY), ["One.\n\nNo", " End.</think>"], large)
    assert lost.trace.text == "One.\n\na End.</think>"
    assert lost.all(events.TextDiscarded)[-1].tokens == 1
    text = Text()
    text.append(Token(1, b"a" + "é".encode()[:1]), SMALL, "")
    assert (text.body.text, text.inside_character) == ("a", True), "though the token has a text"
    text.append(Token(2, "é".encode()[1:]), SMALL, "")
    assert (text.body.text, text.inside_character) == ("aé", False)


@pytest.mark.parametrize(("silent", "written"), [(5, "It is so"), (6, "")])
def test_nothing_is_handed_over_before_the_text_of_a_token_has_come(silent, written):
    """A server may tell the text of several tokens with the last of them; a takeover waits only so long for it."""
    large = ScriptedEngine([*[b""] * silent, "It is so"], name="large", tells_late=True)
    done = run(AtBoundary(THREE), ["One.\n\n", " End.</think>"], large)
    assert done.trace.text == f"One.\n\n{written} End.</think>"
    assert done.trace.totals[LARGE].kept == (silent + 1 if written else 0)


def test_ids_are_handed_over_within_a_family_and_text_across():
    small = ["One.\n\nTwo", " End.</think>"]
    for vocabulary, passing in ("scripted", Passing.IDS), ("other", Passing.TEXT):
        done = run(AtBoundary(THREE), small, ScriptedEngine("So it is", name="large", vocabulary=vocabulary))
        assert [event.handoff.passing for event in done.all(events.HandedOver)] == [Passing.IDS, passing, passing]
        assert done.trace.text == "One.\n\nSo it is End.</think>"


def test_no_token_is_read_twice_every_write_draws_anew_and_a_seed_repeats_the_run():
    """Each model prefills the prompt once, and then only what it has not written or read itself."""
    small = ["One.\n\nWait, no", " Two.\n\nWait, no", " Three.</think>"]
    done, again = (run(keywords(SHORT), small, ["It is one. No", "It is two. No"]) for _ in range(2))
    for engine, other in ((done.small, LARGE), (done.large, SMALL)):
        most = engine.sessions[0].prompt_tokens + done.trace.totals[other].kept
        assert sum(call.prefilled for call in engine.calls) <= most
    assert [call.reused > 0 for call in done.large.calls] == [False, True]
    seeds = [call.seed for call in (*done.small.calls, *done.large.calls)]
    assert len(set(seeds)) == len(seeds) == 5
    assert seeds == [call.seed for call in (*again.small.calls, *again.large.calls)]


def test_a_large_model_on_its_own_device_is_offered_the_text_while_it_is_written():
    """At a boundary the whole step, so that a lookahead gives it time to read."""

    def offered(text: str) -> list[str]:
        large = ScriptedEngine(name="large").with_ability(Ability.PREFETCH)
        return [call.body for call in run(Never(), [text], large).large.calls]

    eight = "one two three four five six seven eight"
    assert offered(f"{eight} nine.</think>") == ["one two three four", eight]
    assert offered("one two.\n\nand.</think>")[0] == "one two.\n\n"


def test_a_takeover_is_framed_by_its_events_and_follows_an_inserted_text():
    closed = run(making(Insert("So.</think>", OPENING)), [" Four."])
    assert closed.trace.answer == " Four.", "a tag in it closes the thinking"
    both = making(Write(), Insert("Check. ", EXCESSIVE_REFLECTION), THREE)
    done = run(both, ["One.\n\nNo", " End.</think>"], ["It is so. No"])
    assert done.told[1:3] == [("inserted", "Check. "), ("large", "It is so")]
    kinds = [type(event) for event in done.trace.events]
    start = kinds.index(events.TakeoverStarted)
    token = events.TokenWritten
    framed = [events.WriteStarted, events.HandedOver, token, token, token, events.TakeoverEnded]
    assert kinds[start + 1 : start + 7] == framed
    assert [event.at for event in done.trace.events] == sorted(event.at for event in done.trace.events)


def test_a_takeover_repeats_the_trial_that_was_made_there():
    """By the same random numbers, also where the text after that place is discarded for it."""
    small, large = World(2, tagged=True, drawn=True).engines
    large.notices = {0: "The model was started again."}
    texts: list[str] = []

    def program(_: Text) -> Program:
        yield from Write()
        look = yield from NEXT_TOKEN
        texts.append((yield from Trial(5, LARGE, start=look.start)).text)
        texts.append((yield from TakeOver(5, RANDOM)).text)
        texts.append((yield from Trial(5, LARGE)).text)
        texts.append((yield from TakeOver(5, RANDOM)).text)

    done = run(Programmed(program), small, large, RunSettings(max_tokens=60))
    assert texts[::2] == texts[1::2]
    assert "" not in texts
    assert done.all(events.Noticed)[0].text == "The model was started again."


@pytest.mark.parametrize("request_", [Trial(4, LARGE), Score(), Judge("?", ("0", "1"))])
def test_a_trial_or_question_that_is_stopped_says_nothing(request_):
    control = Control()

    def stop(*_: Any, **__: Any) -> Any:
        control.stop()
        large.sessions[0].cancel()
        return [1.0, 0.0]

    large = ScriptedEngine("So it is.", name="large", before_token=stop)
    large.judged = stop  # type: ignore[method-assign]
    done = run(making(Write(), request_), ["One.\n\n"], large, interruptions=[control])
    assert (done.trace.text, done.trace.finish) == ("One.\n\n", events.Finish.STOPPED)
    assert done.all(events.Tried) + done.all(events.Scored) + done.all(events.Judged) == []


# A text that is taken up


def begun(text: str, tokens: int) -> Trace:
    return run(Never(), [text], settings=RunSettings(max_tokens=tokens)).trace


def test_a_text_that_ends_with_its_closing_tag_is_taken_up_in_the_answer():
    before = run(Never(), ["One.</think> Four."]).trace.until(len("One.</think>"))
    assert not before.closed, "it ends with the token, before the event that tells of the tag"
    taken_up = run(FirstTokenEntropy(), [], [" Five."], before=before)
    assert (taken_up.trace.answer, taken_up.small.calls) == (" Five.", [])


def test_a_text_that_is_taken_up_is_decided_at_its_boundary_or_after_the_rest_of_its_step():
    at_boundary = begun("One.\n\nTwo is", 3)
    taken_up = run(AtBoundary(THREE), [" End.</think>"], ["So it is"], before=at_boundary)
    assert taken_up.trace.text == "One.\n\nSo it is End.</think>"
    draft = run(making(DRAFT, ONE), ["Two.\n\n", " End.</think>"], [["L"]], before=at_boundary)
    assert draft.trace.text == "One.\n\nL End.</think>", "the step before stands"
    policy, small = AtBoundary(THREE), [" two.\n\nNo", " End.</think>"]
    rest = run(policy, small, ["So it is"], before=begun("One is two", 2))
    assert policy.steps[0].text == " two.\n\n"
    assert rest.trace.text == "One is two.\n\nSo it is End.</think>"


def test_a_cascade_that_is_taken_up_replaces_and_says_no_more_than_what_follows():
    for before, text, reason in (
        (None, "So.</think> Four.", UNSURE_ANSWER),
        (begun("One.\n\nTwo is", 3), "One.\n\nSo.</think> Four.", UNSURE_REST),
    ):
        unsure = ScriptedEngine("Unsure.</think> Two.", chances=lambda _: TORN)
        done = run(Cascade(), unsure, ["So.</think> Four."], before=before)
        assert (done.trace.text, done.trace.pieces[-1].reason) == (text, reason.id)


@pytest.mark.parametrize(
    ("tokens", "first", "text"),
    [
        (3, Write(), "One.\n\nTwo.\n\nSo it is End.</think>"),
        (1, Write(), "OneTwo.\n\nSo it is End.</think>"),
        (3, TakeOver(9, PERSON, until=Until.STEP), "One.\n\nMine.\n\nSo it is End.</think>"),
    ],
)
def test_what_a_person_wants_first_comes_before_the_policy_decides(tokens, first, text):
    large = ["Mine.\n\nNo"] * isinstance(first, TakeOver) + ["So it is"]
    small = ["Two.\n\nNo"] * isinstance(first, Write) + [" End.</think>"]
    before = begun("One.\n\nTwo is", tokens)
    assert run(AtBoundary(THREE), small, large, before=before, intervention=Intervention(first)).trace.text == text


# Ends of the thinking and of the text


def test_the_end_of_text_of_either_model_ends_the_run_and_nothing_is_written_after_it():
    done = run(AtBoundary(FIFTY), ["One.\n\nTwo"], ["So.</think>", "\n\nFour."])
    assert (done.trace.finish, done.trace.answer) == (events.Finish.END_OF_TEXT, "\n\nFour.")
    assert len(done.small.calls) == 1
    empty = run(Never(), ["One.</think>"])
    assert (empty.trace.finish, empty.trace.answer) == (events.Finish.END_OF_TEXT, ""), "an empty answer is one"


def test_thinking_that_ends_without_its_tag_is_closed_for_the_model():
    done = run(Never(), ["One is", "Four."])
    assert done.told == [("small", "One is"), ("inserted", "\n</think>\n\n"), ("small", "Four.")]
    assert done.all(events.TextInserted)[0].reason == UNCLOSED.id
    small = ScriptedEngine("One.\n\nFour.", thinking=None)
    without = run(AtBoundary(Close(BUDGET)), small, ScriptedEngine(thinking=None, name="large"))
    assert (without.trace.text, without.trace.finish) == ("One.\n\n", events.Finish.MAX_TOKENS), "no model has tags"


def test_the_answer_begins_right_after_the_tag_however_it_is_split():
    done = run(Never(), [["One.", "</think>\n\n", "Four."]])
    assert done.all(events.ThinkingClosed)[0].position == len("One.</think>")
    assert done.trace.answer == "\n\nFour."
    split = run(Never(), ScriptedEngine("One.</think>Four.", split=characters))
    assert (split.trace.thinking_text, split.trace.answer) == ("One.", "Four.")


@pytest.mark.parametrize("tag", [["</", "think", ">"], [" </", "think>"], [" </think>"]])
def test_each_token_of_a_discarded_closing_tag_counts(tag):
    large = ScriptedEngine("Two.</think>", [" Four"] * 9, name="large", marks=["0"])
    done = run(StepScore(), [["One.", *tag]], large, RunSettings(max_tokens=9))
    assert done.all(events.TextDiscarded)[0].tokens == 1 + len(tag)
    assert (done.trace.finish, done.trace.tokens) == (events.Finish.MAX_TOKENS, 9)


def test_a_closing_tag_that_is_cut_within_loses_the_tokens_after_the_cut():
    """The last token of three counted as kept once the large model had written it instead."""
    tag = ["</", "think", ">"]
    small = ScriptedEngine(["One", *tag], chances=lambda body: TORN if body.endswith("</think") else CERTAIN)
    done = run(TokenEntropy(), small, [[">", " Four."]])
    assert [(gone.text, gone.tokens) for gone in done.all(events.TextDiscarded)] == [(">", 1)]
    assert (done.trace.thinking_text, done.trace.tokens) == ("One", len(["One", *tag]))
    assert done.small.calls[-1].position == done.trace.tokens


def test_half_a_closing_tag_at_the_end_of_a_run_is_final():
    settled: list[int] = []
    small = ScriptedEngine(["One.", "</", "think>"]).open()
    list(Driver({SMALL: small}, Never(), RunSettings(max_tokens=2), on_settled=settled.append).run())
    assert settled == [len("One."), len("One.</")]


def test_each_model_reads_the_close_of_thinking_in_its_own_words():
    own = ScriptedEngine("So.[/THINK]", "\n\nFour.", name="large", thinking=OTHER_TAGS)
    done = run(AtBoundary(FIFTY), ["One.\n\nTwo"], own)
    assert done.all(events.ThinkingClosed)[0].tag == "[/THINK]"
    assert (done.trace.thinking_text, done.trace.answer) == ("One.\n\nSo.", "\n\nFour.")
    large = ScriptedEngine("Four.", name="large", thinking=OTHER_TAGS)
    run(FirstTokenEntropy(), ["One.</think>"], large)
    kept = ["One", ".", "[/", "THINK", "]", "Four", "."]
    assert large.sessions[0].kept == large.sessions[0].prompt_tokens + len(kept)
    without = run(keywords(), ScriptedEngine("One.\n\nIt is 4.", thinking=None), ["Four."])
    assert without.trace.thinking_text.strip() == "One.\n\nIt is 4."
    assert without.trace.answer.strip() == "Four.", "of the model that has tags"


@pytest.mark.parametrize(("most", "takeovers"), [(8, 1), (3, 0)])
def test_max_tokens_counts_what_is_kept_and_a_takeover_takes_no_more(most, takeovers):
    done = run(AtBoundary(FIFTY), ["One.\n\nTwo"], ["so " * 80], RunSettings(max_tokens=most))
    assert (done.trace.tokens, done.trace.finish) == (most, events.Finish.MAX_TOKENS)
    assert len(done.all(events.TakeoverStarted)) == takeovers
    assert done.trace.ended == events.RunEnded(done.trace.seconds, events.Finish.MAX_TOKENS)


# Failures


def test_a_full_context_ends_the_run_with_the_text_so_far_or_leaves_the_small_model_alone():
    done = run(Never(), ScriptedEngine("one " * 100, context=60))
    assert done.trace.finish is events.Finish.CONTEXT_FULL
    assert "context of small is full (60 tokens)" in ended(done.trace)[1]
    assert done.trace.tokens > 20
    large = ScriptedEngine("so " * 100, name="large", context=30)
    alone = run(AtBoundary(FIFTY), ["One.\n\nTwo", " End.</think>"], large)
    assert alone.trace.text.endswith("End.</think>")
    assert "The small model goes on alone." in alone.all(events.Noticed)[0].text


@pytest.mark.parametrize("small_alone", [True, False])
def test_the_small_model_goes_on_alone_when_the_large_one_is_lost_if_it_may(small_alone):
    large = ScriptedEngine("It is so. No", name="large", faults=[Fault(after=2, for_good=True)])
    small = ["One.\n\nWait, no", " End.\n\nWait, no.</think>"]
    done = run(keywords(SHORT), small, large, RunSettings(small_alone=small_alone))
    if small_alone:
        assert done.trace.text == "One.\n\nIt is End.\n\nWait, no.</think>"
        assert done.all(events.Noticed)[0].lost is LARGE
        assert [(ended.tokens, ended.by_hand) for ended in done.all(events.TakeoverEnded)] == [(2, False)]
    else:
        assert (done.trace.text, done.trace.finish) == ("One.\n\nIt is", events.Finish.FAILED)


class Gone(ScriptedEngine):
    """A server that is there no more."""

    def fail_if_gone(self) -> None:
        if self.sessions:
            raise EngineLost("It is gone.")


@pytest.mark.parametrize("request_", [TakeOver(9, RANDOM), Judge("?", ("A",)), Score(), Trial(3, LARGE)])
@pytest.mark.parametrize("before", [Write(), DRAFT])
def test_whatever_a_lost_model_was_asked_the_small_one_goes_on_from_what_stands(request_, before):
    done = run(making(before, request_), ["One.\n\n", "Two.</think>"], Gone(name="large"))
    replaced = before.waits and isinstance(request_, TakeOver)
    assert done.trace.text == ("Two.</think>" if replaced else "One.\n\nTwo.</think>")
    assert [notice.text for notice in done.all(events.Noticed)] == ["It is gone. The small model goes on alone."]
    assert len(done.all(events.TakeoverStarted)) == len(done.all(events.TakeoverEnded))


@pytest.mark.parametrize("tags", [None, THINK], ids=["the small model has no tags", "it has"])
@pytest.mark.parametrize(("closes", "after"), [(TakeOver(9, RANDOM), 3), (Close(BUDGET), 0)])
def test_a_model_that_is_lost_in_the_answer_is_not_asked_for_it_again(tags, closes, after):
    """The run went on for ever, with a notice each time."""
    small = ScriptedEngine("One.\n\n", " Four.", thinking=tags)
    large = ScriptedEngine("So.</think>", " Six", name="large", faults=[Fault(after, for_good=True)])
    driver = Driver({SMALL: small.open(), LARGE: large.open()}, AtBoundary(closes), RunSettings())
    happened = list(islice(driver.run(), 100))
    assert isinstance(happened[-1], events.RunEnded)
    assert "".join(event.text for event in happened if isinstance(event, events.TokenWritten)).endswith(" Four.")


@pytest.mark.parametrize("request_", [Write(), NEXT_TOKEN, WHOLE])
def test_a_lost_small_model_fails_the_run_with_its_text(request_):
    done = run(making(request_, request_), ScriptedEngine("One two.\n\nNo", faults=[Fault(after=1)]))
    assert done.trace.text == "One"
    assert ended(done.trace) == (events.Finish.FAILED, "The model's process ended. Open it again.")


def test_a_server_that_ends_a_text_at_a_limit_of_its_own_is_named_and_what_it_tells_is_told_on():
    small = ScriptedEngine("One two three.", notices={1: "The model was started again."})
    session = small.open()
    write = session.write
    session.write = lambda body, limit, **rest: write(body, min(2, limit), **rest)  # type: ignore[method-assign]
    trace = Trace.of(Driver({SMALL: session}, Never(), RunSettings()).run())
    assert trace.text == "One two"
    assert [notice.text for notice in trace.notices] == ["The model was started again."]
    assert "small on this machine ended the text at a limit of its own" in ended(trace)[1]


# One model alone, and a large model that writes by default


def test_a_policy_keeps_to_the_model_that_there_is():
    def alone(author: Author, policy: Policy, *texts: str, intervention: Intervention | None = None) -> Trace:
        sessions: dict[Author, Session] = {author: ScriptedEngine(*texts, name=author.value).open()}
        return Trace.of(Driver(sessions, policy, RunSettings()).run(intervention))

    trace = alone(SMALL, AtBoundary(THREE), "One.\n\nTwo.", " Three.</think>")
    assert trace.text.startswith("One.\n\n")
    assert trace.text.endswith("Three.</think>")
    replaced = alone(SMALL, Relay(), "One.</think>")
    assert [piece.reason for piece in replaced.pieces] == [SMALL_ONLY.id]
    mine = alone(LARGE, Always(), "Mine.</think> So.", intervention=Intervention(Write()))
    assert (mine.text, mine.finish) == ("Mine.</think> So.", events.Finish.END_OF_TEXT)


def test_a_small_model_that_is_lost_under_relay_leaves_the_large_one_alone():
    large = ["One.\n\nWait, no", " it is two.</think> Two."]
    done = run(Relay(), ScriptedEngine(" two.", faults=[Fault(0, EngineLost("Gone."))]), large)
    assert done.trace.text == "One.\n\nWait, it is two.</think> Two."
    assert done.all(events.Noticed)[0].text == "Gone. The large model goes on alone."
