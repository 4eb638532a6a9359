"""What a person wants of a run, what its limits do, and how an answer is edited."""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from baton_reasoning.core.engines.base import PrefillProgress, Stop
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.driver import Driver
from baton_reasoning.core.thinking.events import Finish, TextDiscarded, TextInserted
from baton_reasoning.core.thinking.interruptions import (
    Checkpoint,
    Control,
    Limits,
    LimitsGuard,
    RepetitionDetector,
    cancelled_after,
)
from baton_reasoning.core.thinking.policies.alone import Always, Never
from baton_reasoning.core.thinking.policies.keywords import EveryStep, Keywords
from baton_reasoning.core.thinking.policies.relay import Relay
from baton_reasoning.core.thinking.policies.step_score import StepScore
from baton_reasoning.core.thinking.policy import Policy
from baton_reasoning.core.thinking.reasons import ANSWER_NOW, BUDGET, EDITED, PERSON, REPETITION
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requests import TakeOver, Until
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.steps import Boundary
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import LARGE, SMALL, AtBoundary, Run, World, keywords, rules, run, settings_of, written
from tests.fakes.scripted import THINK, TORN, ScriptedEngine
from tests.patience import PATIENCE


def pressing(button: Callable[[], None], when: str) -> Callable[[str], None]:
    """Presses the button once, when the text ends so."""
    pressed: list[str] = []

    def before_token(body: str) -> None:
        if body.endswith(when) and not pressed:
            pressed.append(body)
            button()

    return before_token


Button = Callable[[Control], None]


def pressed(button: Button, when: str, *small: str, large: str = "", policy: Policy | None = None, **card: Any) -> Run:
    """A run, of the small model by default, in which a person presses a button when the text ends so."""
    control = Control()
    engine = ScriptedEngine(*small, before_token=pressing(lambda: button(control), when), **card)
    other = ScriptedEngine(large, " Four.", name="large", **card)
    return run(policy or Never(), engine, other, interruptions=[control])


def pressing_while_read(button: Callable[[], None]) -> Callable[[], Iterator[PrefillProgress]]:
    """Presses the button once, while the first text is read."""
    presses = [button]

    def prefill() -> Iterator[PrefillProgress]:
        if presses:
            presses.pop()()
        yield PrefillProgress(64, 1000)

    return prefill


def test_take_over_lets_the_large_model_write_after_the_next_token_or_from_the_next_boundary():
    now = pressed(Control.take_over, "One", "One two three.", large=" and more.</think>")
    assert now.trace.text == "One two and more.</think> Four."
    assert now.all(events.TakeoverStarted)[0].reason == PERSON.id
    later = pressed(lambda control: control.take_over(now=False), "One", "One two.\n\nThree", large="So.</think>")
    assert later.trace.text == "One two.\n\nSo.</think> Four."


def test_give_back_lets_the_default_writer_write_on_and_takes_back_a_takeover_that_has_not_begun():
    control = Control()
    control.take_over()
    large = ScriptedEngine("it is so and on", name="large", before_token=pressing(control.give_back, "is"))
    done = run(Never(), [" two.</think>"], large, interruptions=[control])
    assert done.trace.text == "it is so two.</think>"
    assert [ended.by_hand for ended in done.all(events.TakeoverEnded)] == [True]
    control.take_over()
    control.give_back()
    assert run(Never(), ["One.</think>"], interruptions=[control]).all(events.TakeoverStarted) == []
    large = ScriptedEngine("One two.", " Three.</think>", before_token=pressing(control.give_back, "One"))
    done = run(Always(), ["No"], large, interruptions=[control])
    assert (done.trace.text, done.small.calls) == ("One two Three.</think>", []), "where it takes no part"


@pytest.mark.parametrize(("when", "gone"), [("Two", "Two is"), ("Two is.", "Two is.\n\n")])
def test_rewrite_step_replaces_the_step_under_way_or_at_a_boundary_the_one_that_has_ended(when, gone):
    done = pressed(Control.rewrite_step, when, "One.\n\nTwo is.\n\nThree", "End.</think>", large="Better.\n\nNo")
    assert done.trace.text == "One.\n\nBetter.\n\nEnd.</think>"
    assert [each.text for each in done.all(TextDiscarded)] == [gone]


def test_inside_a_lookahead_a_takeover_goes_on_from_it_and_a_rewrite_replaces_it():
    policy = keywords(Keywords.presets["baton"].model_copy(update={"stop_at_first_cue": False, "n1": 4}))
    text, inside = "One.\n\nTwo is it, wait. No", "Two is"
    took = pressed(Control.take_over, inside, text, large=" now so.</think>", policy=policy)
    assert took.trace.text == "One.\n\nTwo is it now so.</think> Four."
    assert (took.all(TextDiscarded), took.all(events.TakeoverStarted)[0].reason) == ([], PERSON.id)
    rewritten = pressed(Control.rewrite_step, inside, text, large="Better.\n\nNo", policy=policy)
    assert rewritten.trace.text.startswith("One.\n\nBetter.\n\n")
    assert rewritten.all(TextDiscarded)[0].text == "Two is it"


def twice(control: Control) -> None:
    control.answer_now()
    control.answer_now()


@pytest.mark.parametrize("button", [Control.answer_now, twice])
def test_answer_now_closes_an_open_thinking_once_and_the_answer_follows(button):
    done = pressed(button, "One two", "One two three four", "It is four.")
    assert done.told == [("small", "One two three"), ("inserted", "\n</think>\n\n"), ("small", "It is four.")]
    assert [text.reason for text in done.all(TextInserted)] == [ANSWER_NOW.id]
    assert (done.trace.is_steered, done.trace.finish) == (True, Finish.END_OF_TEXT)
    assert Trace.of(done.trace.events).is_steered, "a text that is taken up is still one that a person steered"


@pytest.mark.parametrize(("when", "thinks"), [("two", True), ("Four", True), ("One", False)])
def test_answer_now_does_nothing_where_the_thinking_ends_by_itself_has_ended_or_never_was(when, thinks):
    done = pressed(Control.answer_now, when, "One two</think> Four it is.", thinking=THINK if thinks else None)
    assert (done.trace.text, done.trace.finish) == ("One two</think> Four it is.", Finish.END_OF_TEXT)
    assert (done.all(TextInserted), done.trace.is_steered) == ([], False)


def test_answer_now_inside_a_takeover_ends_it_and_before_the_first_token_there_is_no_thinking():
    control = Control()
    large = ScriptedEngine("So it is and", name="large", before_token=pressing(control.answer_now, "So"))
    done = run(AtBoundary(TakeOver(9, BUDGET)), ["One.\n\n", "Four."], large, interruptions=[control])
    assert done.trace.text == "One.\n\nSo it\n</think>\n\nFour."
    assert [ended.by_hand for ended in done.all(events.TakeoverEnded)] == [False]
    control.answer_now()
    early = run(Never(), ["Four."], interruptions=[control])
    assert early.trace.text == "\n</think>\n\nFour."
    small = ScriptedEngine("Four.", prefill=pressing_while_read(control.answer_now))
    read = run(Never(), small, interruptions=[control])
    assert (read.trace.text, read.trace.finish) == (early.trace.text, Finish.END_OF_TEXT)


def test_stop_ends_the_run_with_what_is_there_and_cancels_all_sessions():
    done = pressed(Control.stop, "One", "One two three.")
    assert (done.trace.finish, done.trace.text) == (Finish.STOPPED, "One two")
    control, engine = Control(), ScriptedEngine("One two")
    items = engine.open(attach=control.attach).write((), 10, 0)
    next(items)
    control.stop()
    assert list(items) == [(Stop.CANCELLED,)]
    assert list(engine.open(attach=control.attach).write((), 10, 0))[-1] == (Stop.CANCELLED,), "later ones as well"
    first = run(Never(), ["One."], interruptions=[control])
    assert (first.trace.text, first.small.calls, first.trace.finish) == ("", [], Finish.STOPPED)


def test_a_signal_may_stop_the_thread_that_asks_for_a_wish():
    class Signalled(Text):
        @property
        def at_boundary(self) -> bool:
            control.stop()
            return False

    control = Control()
    control.take_over(now=False)
    checkpoint = Checkpoint(Signalled(), SMALL, in_takeover=False, seconds=0)
    thread = threading.Thread(target=control.check, args=(checkpoint,), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_cancelled_write_ends_the_run_as_stopped():
    small = ScriptedEngine("One two three.", before_token=pressing(lambda: small.sessions[0].cancel(), "One"))
    large = ScriptedEngine("One two.", before_token=pressing(lambda: large.sessions[0].cancel(), "One"))
    for done in run(Never(), small), run(Always(), [], large):
        assert (done.trace.text, done.trace.finish) == ("One", Finish.STOPPED)
        assert done.all(events.TakeoverEnded) == []


# While a long text is read


def test_the_progress_of_a_long_prefill_is_an_event_and_that_of_a_short_one_is_not():
    def reports(total: int) -> int:
        small, trace, shown = ScriptedEngine("One.</think>", prefill=lambda: [PrefillProgress(64, total)]), Trace(), 0
        for event in Driver({SMALL: small.open()}, Never(), RunSettings()).run():
            trace.apply(event)
            shown += trace.prefill is not None
        assert not any(isinstance(event, events.PrefillProgressed) for event in trace.events), "a trace keeps none"
        return shown

    assert (reports(65), reports(64)) == (1, 0)


@pytest.mark.parametrize(("policy", "button"), [(Never, Control.take_over), (Always, Control.stop)])
def test_a_button_pressed_while_a_model_reads_does_not_wait_for_its_first_token(policy, button):
    control = Control()
    prefill = pressing_while_read(partial(button, control))
    small, large = (ScriptedEngine("One.</think>", name=name, prefill=prefill) for name in ("small", "large"))
    done = run(policy(), small, large, interruptions=[control])
    assert {piece.author for piece in done.trace.pieces} == ({LARGE} if policy is Never else set())
    assert (done.trace.finish is Finish.STOPPED) is (policy is Always)


# Limits


Texts = Sequence[str | Sequence[str]]


def limited(policy: Policy, small: Texts, large: Texts, max_tokens: int = 400, **limits: float | bool) -> Run:
    guard = LimitsGuard(Limits.model_validate(limits))
    return run(policy, small, large, RunSettings(max_tokens=max_tokens), [guard])


def test_a_thinking_budget_closes_the_thinking_once_and_the_answer_follows():
    done = limited(Never(), ["one two three four five six seven", "It is four."], [], max_thinking_tokens=5)
    assert done.told == [("small", "one two three four five"), ("inserted", "\n</think>\n\n"), ("small", "It is four.")]
    assert done.all(TextInserted)[0].reason == BUDGET.id
    waits = limited(StepScore(), ["one two three", "Four."], [], max_thinking_tokens=2)
    assert (waits.trace.text, waits.large.calls) == ("one two\n</think>\n\nFour.", []), "what waits stands"
    on_the_tag = limited(Never(), ["one two</think> four"], [], max_thinking_tokens=3)
    assert (len(on_the_tag.all(events.ThinkingClosed)), on_the_tag.all(TextInserted)) == (1, [])


def test_limits_hold_among_tokens_that_have_no_text():
    """A control token has none; each was taken for half a character."""
    small = [["one", " two", *[""] * 9, " three"], "Four."]
    done = limited(Never(), small, [], max_thinking_tokens=3)
    assert [len(piece.tokens) for piece in done.trace.pieces if not piece.in_answer] == [3, 0]
    taken = limited(AtBoundary(TakeOver(3, BUDGET)), ["One.\n\n", " End.</think>"], [["So", *[""] * 9]])
    assert taken.trace.totals[LARGE].kept == 3


def test_no_takeover_begins_above_the_cap_on_the_large_share():
    def share(cap: float) -> float:
        policy = EveryStep(EveryStep.Settings(opening=4, n1=4, until=Until.TOKENS))
        small, large = ["and one is so and so.\n\n" * 20] * 20, ["The sum is thus not"] * 40
        return limited(policy, small, large, max_large_share=cap, repetition=False).trace.large_share

    assert share(1) > 0.3
    assert 0.1 < share(0.2) < 0.25
    for cap in 0.0, 0.5:
        assert limited(Always(), [], ["One.</think>Four."], max_large_share=cap).trace.large_share == 1


@pytest.mark.parametrize("name", ["keywords", "every-step", "step-score", "first-token-entropy", "token-entropy"])
def test_what_waits_for_a_takeover_stands_if_the_cap_refuses_it(name):
    text = "One.\n\nWait, two.\n\nLet us verify.</think>Four."
    small = ScriptedEngine(continue_with=lambda _, body: text[len(body) :], chances=lambda _: TORN)
    large = ScriptedEngine("", name="large", marks="0" * 9)
    done = run(POLICIES[name](), small, large, interruptions=[LimitsGuard(Limits(max_large_share=0))])
    assert (done.trace.thinking_text, done.all(TextDiscarded)) == (text.partition("</think>")[0], [])


def test_where_the_cap_refuses_a_longer_takeover_no_prompt_is_inserted_and_the_reflections_still_count():
    settings = Keywords.Settings(c=1, n1=2)
    before = run(Keywords(settings), ["One.\n\nWait, no", " it is"], ["Wait, so. And"], RunSettings(max_tokens=8)).trace
    assert (before.text, before.counters["reflections"]) == ("One.\n\nWait, so. it", 1)
    small = ScriptedEngine(" Two.\n\nThree.\n\nFour.</think>Five.")
    capped = run(Keywords(settings), small, [], interruptions=[LimitsGuard(Limits(max_large_share=0))], before=before)
    assert capped.trace.text == f"{before.text} Two.\n\nThree.\n\nFour.</think>Five."
    assert capped.trace.counters == before.counters


def test_a_step_said_twice_is_handed_over_and_the_second_time_the_thinking_is_closed():
    small = ["One.\n\nTwo.\n\nTwo.\n\nTwo.", "Three.\n\nThree.\n\nThree.", "Four."]
    done = limited(Never(), small, ["Let me think.\n\nNo"])
    assert done.trace.thinking_text.startswith("One.\n\nTwo.\n\nTwo.\n\nLet me think.\n\nThree.\n\nThree.\n\n")
    assert [text.reason for text in done.all(TextInserted)] == [REPETITION.id]
    assert done.trace.answer.strip() == "Four."
    text = "Two.\n\nTwo.\n\nTwo.</think>"
    assert limited(Never(), [text], [], repetition=False).trace.text == text, "allowed where the detector is off"
    alone = limited(Never(), ["Two.\n\nTwo.\n\nNo", "Two.\n\nTwo.\n\nNo", "Four."], [], max_large_share=0)
    assert (rules(alone), alone.trace.answer.strip()) == ([], "Four."), "no one takes over"
    first = limited(Never(), ["One.\n\nTwo.\n\nTwo.\n\nTwo.", "Three.\n\nFour."], ["Let me.\n\nNo"], 16)
    guard = LimitsGuard(Limits(), before=first.trace)
    rest = run(Never(), ["Five.\n\nFive.\n\nFive.", "Six."], interruptions=[guard], before=first.trace)
    assert rules(first) == rules(rest) == [REPETITION], "nor does anyone once more in a text gone on with"


def test_a_large_model_that_repeats_itself_hands_over_to_the_small_one():
    policy = EveryStep(EveryStep.Settings(opening=40, until=Until.TOKENS))
    opening = limited(policy, ["So it is.\n\nNo", "End.</think>"], ["Two.\n\nTwo.\n\nTwo.\n\n", "Four."])
    relay = limited(Relay(), ["Let me.\n\nNo", " Four."], ["One.\n\nTwo.\n\nTwo.\n\nTwo.", "Three.</think>"])
    for done in opening, relay:
        took = [each.author for each in done.all(events.TakeoverStarted) if each.reason == REPETITION.id]
        assert took == [SMALL]


def test_a_phrase_said_over_and_over_is_found_without_any_boundary_and_in_the_answer_ends_the_run():
    done = limited(Never(), ["So it is four and " * 200, "Done.</think>4"], ["Enough.\n\nNo"], 2000)
    assert rules(done) == [REPETITION]
    assert done.trace.totals[SMALL].kept < 100
    phrase = "and so on " * 300
    done = limited(Never(), [f"One.</think>{phrase}", phrase], ["It\n\nNo"], 3000)
    assert done.trace.finish is Finish.REPETITION


@pytest.mark.parametrize(
    ("body", "is_loop"),
    [
        ("no, " * 40, True),
        ("no, " * 29, False),
        (("a long phrase with many words, " * 5 + "\n") * 4, True),
        (" ".join(map(str, range(300))), False),
        ("\n" * 300, False),
        ("Two.\n\nThree.\n\n", False),
        ("Two.\n\nTwo.\n\n", True),
    ],
)
def test_a_loop_is_found_once(body, is_loop):
    # As many tokens as between two searches.
    tokens = [Part("", SMALL, 1)] * (RepetitionDetector.EVERY - 1)
    detector = RepetitionDetector()
    assert detector.found(Text(written=[*tokens, Part(body, SMALL, 1)])) is is_loop
    assert not detector.found(Text(written=[*tokens, Part(body + "\n", SMALL, 1)]))
    assert Text((), [Part("One.\nOne.\n", SMALL)], Boundary.LINE).repeats_step, "two lines, where a line is a step"


def test_a_time_limit_keeps_the_text_so_far_and_cancels_what_is_under_way():
    begun = limited(Never(), ["One."], [], max_seconds=1e-9)
    assert (begun.trace.finish, begun.small.calls) == (Finish.TIME, [])
    guard = LimitsGuard(Limits())

    def run_out(_body: str) -> None:
        guard.limits = Limits(max_seconds=1e-9)

    done = run(Never(), ScriptedEngine("One two three.", before_token=run_out), interruptions=[guard])
    assert (done.trace.finish, done.trace.text) == (Finish.TIME, "One")
    assert "time limit" in (done.trace.ended.reason if done.trace.ended else "")
    cancelled = threading.Event()
    session = ScriptedEngine("One two.", before_token=lambda _: (cancelled.wait(PATIENCE), None)[1]).open()
    session.cancel = cancelled.set  # type: ignore[method-assign]
    with cancelled_after(1e-3, [session]):
        list(session.write((), 1, 0))
    assert cancelled.is_set()


# An edit of the answer (test_worlds.py edits any text at any place)


WORLD = World(5, tagged=True, drawn=True)
NEVER = settings_of(POLICIES["never"].Settings(), 1)


@pytest.fixture(scope="module")
def original():
    return written(WORLD, NEVER)


def test_what_is_the_same_keeps_its_author(original):
    piece = original.pieces[1]
    edit = original.edited(piece.position, piece.text[:8] + "!")
    before = original.until(piece.position + 8)
    assert edit.tokens == before.tokens, "a person's text counts no tokens"
    event = edit.events[-1]
    assert event == TextInserted(event.at, edit.text[before.length :], EDITED.id, Author.PERSON)
    for text in "", piece.text:
        cut = original.edited(piece.position, text)
        assert not any(isinstance(event, TextInserted) for event in cut.events), "an edit that only cuts"
    whole = original.edited(0, "Let me see.\n\n")
    assert [(piece.author, piece.text) for piece in whole.pieces] == [(Author.PERSON, "Let me see.\n\n")]
    assert whole.thinks, "it keeps how the run began"
    plain = Trace.of([events.RunStarted(0.0, (), "never", {}, 1, None, None, 0, False)])
    assert plain.edited(0, "So </think> it is.").closed is None, "without thinking a tag closes none"


def test_a_closing_tag_in_the_edit_begins_the_answer_and_an_edit_after_one_stays_in_it(original):
    edit = original.edited(original.pieces[2].position, "So it is 7.</think>\n\nThe answer")
    assert edit.closed
    assert edit.closed.author is Author.PERSON
    assert edit.answer == "\n\nThe answer"
    assert [piece.in_answer for piece in edit.pieces[-2:]] == [False, True]
    done = written(WORLD, NEVER, edit)
    assert done.answer.startswith("\n\nThe answer")
    assert sum(isinstance(event, events.ThinkingClosed) for event in done.events) == 1
    after = original.edited(original.closed.position, "\n\nNo: 8")
    assert written(WORLD, NEVER, after).answer.startswith("\n\nNo: 8")


def test_a_step_of_a_person_ends_at_the_boundary_of_the_run():
    started = events.RunStarted(0.0, (), "never", {"boundary": "line"}, 1, None, None, 0, False)
    edit, token = TextInserted(0.0, "Mine.\n", EDITED.id, Author.PERSON), events.TokenWritten(0.0, SMALL, 1, "Yours.")
    assert [step.text for step in Trace.of([started, edit, token]).steps] == ["Mine.\n", "Yours."]


def test_a_step_is_rewritten_but_for_what_a_person_wrote_of_it():
    before = run(Never(), ["One.\n\nTwo.</think>"]).trace
    edit, control = before.edited(len("One.\n\n"), "Mine and"), Control()
    small = ScriptedEngine(" more of it", " End.</think>", before_token=pressing(control.rewrite_step, "more"))
    done = run(Never(), small, [" better.\n\nNo"], interruptions=[control], before=edit)
    assert done.trace.text == "One.\n\nMine and better.\n\n End.</think>"
    assert [gone.text for gone in done.all(TextDiscarded)] == [" more of"]
