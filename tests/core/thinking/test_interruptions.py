"""What a person wants of a run, and the limits of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from baton_reasoning.core.engines.base import Message, PrefillProgress, Stop
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.options import LoadOptions
from baton_reasoning.core.run import Pair
from baton_reasoning.core.run import run as run_pair
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.driver import Driver
from baton_reasoning.core.thinking.interruptions import (
    Control,
    Limits,
    LimitsGuard,
    Moment,
    RepetitionDetector,
    cancelled_after,
)
from baton_reasoning.core.thinking.policies.always import Always
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.first_token_entropy import FirstTokenEntropy
from baton_reasoning.core.thinking.policies.keywords import AFFIRMATION, Keywords
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.policies.step_score import StepScore
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import Policy
from baton_reasoning.core.thinking.reasons import BUDGET, PERSON, REPETITION
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import Run, keywords, rules, run
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE


def pressing(button: Callable[[], None], when: str) -> Callable[[str], None]:
    """Presses the button once, when the text ends so."""
    pressed: list[str] = []

    def before_token(body: str) -> None:
        if body.endswith(when) and not pressed:
            pressed.append(body)
            button()

    return before_token


def controlled(control: Control, small: ScriptedEngine, large: ScriptedEngine | None = None) -> Run:
    large = large or ScriptedEngine("LARGE", name="large")
    return run(Never(), small, large, RunSettings(), [control])


def test_take_over_now_lets_the_large_model_write_after_the_next_token():
    control = Control()
    small = ScriptedEngine("One two three.", before_token=pressing(control.take_over, "One"))
    done = controlled(control, small, ScriptedEngine(" and more.</think>", " Four.", name="large"))
    assert done.trace.text == "One two and more.</think> Four."
    assert done.all(events.TakeoverStarted)[0].reason == PERSON.id


def test_take_over_at_the_next_boundary_waits_for_it():
    control = Control()
    small = ScriptedEngine("One two.\n\nThree", before_token=pressing(lambda: control.take_over(now=False), "One"))
    done = controlled(control, small, ScriptedEngine("So.</think>", name="large"))
    assert done.trace.text == "One two.\n\nSo.</think>"
    assert [step.text for step in done.trace.steps] == ["One two.\n\n", "So.</think>"]


def test_give_back_lets_the_small_model_write_on():
    control = Control()
    control.take_over()
    large = ScriptedEngine("it is so and on", name="large", before_token=pressing(control.give_back, "is"))
    done = controlled(control, ScriptedEngine(" two.</think>"), large)
    assert done.trace.text == "it is so two.</think>"


def test_giving_back_takes_back_a_takeover_that_has_not_begun():
    control = Control()
    control.take_over()
    control.give_back()
    assert controlled(control, ScriptedEngine("One.</think>")).all(events.TakeoverStarted) == []


def test_giving_back_to_a_policy_of_the_large_model_alone_changes_no_writer():
    control = Control()
    press = pressing(control.give_back, "One")
    large = ScriptedEngine("One two.", " Three.</think>", name="large", before_token=press)
    done = run(Always(), ScriptedEngine("No"), large, interruptions=[control])
    assert (done.trace.text, done.small.calls) == ("One two Three.</think>", [])


@pytest.mark.parametrize(("when", "gone"), [("Two", "Two is"), ("Two is.", "Two is.\n\n")])
def test_rewrite_step_replaces_the_step_under_way_or_at_a_boundary_the_one_that_has_ended(when, gone):
    control = Control()
    press = pressing(control.rewrite_step, when)
    small = ScriptedEngine("One.\n\nTwo is.\n\nThree", "End.</think>", before_token=press)
    done = controlled(control, small, ScriptedEngine("Better.\n\nNo", name="large"))
    assert done.trace.text == "One.\n\nBetter.\n\nEnd.</think>"
    assert [each.text for each in done.all(events.TextDiscarded)] == [gone]


# Inside a lookahead


AGAINST = Keywords.presets["baton"].model_copy(update={"stop_at_first_cue": False, "n1": 4})
"""A lookahead of four tokens, whose cue is met at its end."""


def in_lookahead(button: Callable[[Control], None], *large: str) -> Run:
    control = Control()
    press = pressing(lambda: button(control), "Two is")
    small = ScriptedEngine("One.\n\nTwo is it, wait. No", " now.\n\nYes, so it is", " End.</think>", before_token=press)
    return run(keywords(AGAINST), small, ScriptedEngine(*large, name="large"), interruptions=[control])


def test_a_takeover_inside_a_lookahead_goes_on_from_it_and_the_policy_decides_after_it():
    done = in_lookahead(Control.take_over, " now so.</think>")
    assert done.trace.text == "One.\n\nTwo is it now so.</think>"
    assert (done.all(events.TextDiscarded), [took.reason for took in done.all(events.TakeoverStarted)][:1]) == (
        [],
        [PERSON.id],
    )


def test_after_it_is_given_back_the_step_is_completed_and_the_next_one_decided():
    control = Control()
    small = ScriptedEngine(
        "One.\n\nTwo is it", " now.\n\nYes, so it is", " End.</think>", before_token=pressing(control.take_over, "Two")
    )
    large = ScriptedEngine(" then so", "Fine, it is.", name="large", before_token=pressing(control.give_back, " is"))
    done = run(keywords(AGAINST), small, large, interruptions=[control])
    assert done.trace.text == "One.\n\nTwo is then now.\n\nFine, it is. End.</think>"
    assert [took.reason for took in done.all(events.TakeoverStarted)] == [PERSON.id, AFFIRMATION.id]


def test_a_rewrite_inside_a_lookahead_replaces_it():
    done = in_lookahead(Control.rewrite_step, "Better.\n\nNo", "Fine, it is.")
    assert done.trace.text.startswith("One.\n\nBetter.\n\n")
    assert [gone.text for gone in done.all(events.TextDiscarded)][:1] == ["Two is it"]


def test_stop_ends_the_run_with_what_is_there():
    control = Control()
    small = ScriptedEngine("One two three.", before_token=pressing(control.stop, "One"))
    done = controlled(control, small)
    assert done.trace.finish is events.Finish.STOPPED
    assert done.trace.text == "One two"


def test_stop_before_the_first_token_reads_nothing():
    control = Control()
    control.stop()
    done = controlled(control, ScriptedEngine("One."))
    assert (done.trace.text, done.small.calls, done.trace.finish) == ("", [], events.Finish.STOPPED)


def test_stop_cancels_the_sessions_so_that_a_long_prefill_ends_also_those_that_are_opened_later():
    control, engine = Control(), ScriptedEngine("One two")
    session = engine.open(attach=control.attach)
    items = session.write((), 10, 0)
    next(items)
    control.stop()
    assert list(items) == [(Stop.CANCELLED,)]
    assert control.stopped
    later = engine.open(attach=control.attach)
    assert list(later.write((), 10, 0))[-1] == (Stop.CANCELLED,)


def test_a_signal_may_stop_the_thread_that_asks_for_a_wish():
    class Signalled(Text):
        @property
        def at_boundary(self) -> bool:
            control.stop()
            return False

    control = Control()
    control.take_over(now=False)
    moment = Moment(Signalled(), Author.SMALL, in_takeover=False, seconds=0)
    thread = threading.Thread(target=control.check, args=(moment,), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_cancelled_write_ends_the_run_as_stopped():
    small = ScriptedEngine("One two three.", before_token=pressing(lambda: small.sessions[0].cancel(), "One"))
    done = run(Never(), small)
    assert (done.trace.text, done.trace.finish) == ("One", events.Finish.STOPPED)
    large = ScriptedEngine("One two.", before_token=pressing(lambda: large.sessions[0].cancel(), "One"))
    done = run(Always(), [], large)
    assert (done.trace.text, done.trace.finish, done.all(events.TakeoverEnded)) == ("One", events.Finish.STOPPED, [])


def test_wishes_may_come_from_another_thread():
    control = Control()

    def press() -> None:
        thread = threading.Thread(target=control.take_over)
        thread.start()
        thread.join()

    done = controlled(control, ScriptedEngine("One two", before_token=pressing(press, "One")))
    assert done.trace.pieces[-1].author is not Author.SMALL


# While a long text is read --------------------------------------------------------------------------------------------


def test_the_progress_of_a_long_prefill_is_an_event_and_that_of_a_short_one_is_not():
    def progress_of(total: int) -> tuple[int, list[events.Event]]:
        small = ScriptedEngine("One.</think>", prefill=lambda: [PrefillProgress(64, total)])
        trace = Trace()
        reports = 0
        for event in Driver({Author.SMALL: small.open()}, Never(), RunSettings()).run():
            trace.apply(event)
            reports += trace.prefill is not None
        return reports, trace.events

    (long_reports, long_events), (short_reports, _) = progress_of(65), progress_of(64)
    assert (long_reports, short_reports) == (1, 0)
    assert not any(isinstance(event, events.PrefillProgressed) for event in long_events), "a trace does not keep them"


def test_take_over_while_the_small_model_reads_does_not_wait_for_its_first_token():
    control = Control()

    def prefill() -> Iterator[PrefillProgress]:
        control.take_over()
        yield PrefillProgress(64, 1000)

    done = controlled(control, ScriptedEngine("small", prefill=prefill), ScriptedEngine("One.</think>", name="large"))
    assert done.trace.pieces[0].author is Author.LARGE


def test_stop_while_a_takeover_reads_ends_the_run():
    control = Control()

    def prefill() -> Iterator[PrefillProgress]:
        control.stop()
        yield PrefillProgress(64, 1000)

    large = ScriptedEngine("One.</think>", name="large", prefill=prefill)
    done = run(Always(), ScriptedEngine(), large, interruptions=[control])
    assert done.trace.finish is events.Finish.STOPPED
    assert done.trace.tokens == 0


@pytest.mark.real_models
def test_stop_while_a_real_model_reads_a_long_prompt_ends_the_run_within_a_chunk(smollm2):
    problem = "A farmer has 17 sheep, sells 4 of them, and buys 9 more at the market in the next town. " * 60
    control, happened = Control(), list[events.Event]()
    with closing(LocalEngine(smollm2, LoadOptions(context=2048, threads=1))) as engine:
        settings = RunSettings(policy=Never.Settings())
        for event in run_pair(Pair(small=engine), (Message("user", problem),), settings, control=control):
            happened.append(event)
            if isinstance(event, events.PrefillProgressed):
                control.stop()
    progress = [event for event in happened if isinstance(event, events.PrefillProgressed)]
    assert [event.tokens for event in progress] == [0], "it is told as the reading begins"
    assert progress[0].total > 1000
    assert not any(isinstance(event, events.HandedOver | events.TokenWritten) for event in happened)
    assert isinstance(happened[-1], events.RunEnded)
    assert happened[-1].finish is events.Finish.STOPPED


# Limits -------------------------------------------------------------------------------------------------------------


def limited(limits: Limits, policy: Policy, small: list[str], large: list[str], max_tokens: int = 400) -> Run:
    return run(policy, small, large, RunSettings(max_tokens=max_tokens), [LimitsGuard(limits)])


def test_a_thinking_budget_closes_the_thinking_once_and_the_answer_follows():
    done = limited(Limits(max_thinking_tokens=5), Never(), ["one two three four five six seven", "It is four."], [])
    assert done.told == [("small", "one two three four five"), ("inserted", "\n</think>\n\n"), ("small", "It is four.")]
    assert done.all(events.TextInserted)[0].reason == BUDGET.id


def test_a_budget_that_ends_in_a_step_that_waits_lets_it_stand():
    small, large = ScriptedEngine("one two three", "Four."), ScriptedEngine(name="large", marks="0")
    done = run(StepScore(), small, large, interruptions=[LimitsGuard(Limits(max_thinking_tokens=2))])
    assert (done.trace.text, done.large.calls) == ("one two\n</think>\n\nFour.", [])


def test_a_budget_that_ends_on_the_closing_tag_closes_nothing_twice():
    done = limited(Limits(max_thinking_tokens=3), Never(), ["one two</think> four"], [])
    assert len(done.all(events.ThinkingClosed)) == 1
    assert done.all(events.TextInserted) == []


def test_no_takeover_begins_above_the_cap_on_the_large_share():
    policy = EveryStep(EveryStep.Settings(opening=4, n1=4, until=Until.TOKENS))
    small = ["and one is so and so.\n\n" * 20] * 20
    capped = limited(Limits(max_large_share=0.2, repetition=False), policy, small, ["The sum is thus not"] * 40)
    free = limited(
        Limits(repetition=False),
        EveryStep(EveryStep.Settings(opening=4, n1=4, until=Until.TOKENS)),
        small,
        ["The sum is thus not"] * 40,
    )
    assert free.trace.large_share > 0.3
    assert 0.1 < capped.trace.large_share < 0.25


@pytest.mark.parametrize(
    "policy",
    [
        Keywords.Settings(),
        EveryStep.Settings(),
        StepScore.Settings(),
        FirstTokenEntropy.Settings(tau=0),
        TokenEntropy.Settings(tau=0),
        RandomTakeover.Settings(p=1),
    ],
    ids=lambda policy: policy.policy,
)
def test_what_waits_for_a_takeover_stands_if_the_cap_refuses_it(policy):
    text = "One.\n\nWait, two.\n\nLet us verify.</think>Four."
    small = ScriptedEngine(continue_with=lambda _, body: text[len(body) :])
    large = ScriptedEngine("", name="large", marks="0" * 9)
    done = run(POLICIES.of(policy)(policy), small, large, interruptions=[LimitsGuard(Limits(max_large_share=0))])
    assert (done.trace.thinking_text, done.all(events.TextDiscarded)) == (text.partition("</think>")[0], [])


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_large_only_and_a_persons_wish_are_not_capped(share):
    assert limited(Limits(max_large_share=share), Always(), [], ["One.</think>Four."]).trace.large_share == 1


def test_a_step_said_twice_is_handed_over_and_the_second_time_the_thinking_is_closed():
    small = ["One.\n\nTwo.\n\nTwo.\n\nTwo.", "Three.\n\nThree.\n\nThree.", "Four."]
    done = limited(Limits(), Never(), small, ["Let me think.\n\nNo"])
    assert rules(done) == [REPETITION]
    assert done.trace.thinking_text.startswith("One.\n\nTwo.\n\nTwo.\n\nLet me think.\n\nThree.\n\nThree.\n\n")
    assert [text.reason for text in done.all(events.TextInserted)] == [REPETITION.id]
    assert done.trace.answer.strip() == "Four."


def test_a_large_model_that_repeats_itself_in_a_takeover_hands_over_to_the_small_one():
    policy = EveryStep(EveryStep.Settings(opening=40, until=Until.TOKENS))
    done = limited(Limits(), policy, ["So it is.\n\nNo", "End.</think>"], ["Two.\n\nTwo.\n\nTwo.\n\n", "Four."])
    repeated = [took for took in done.all(events.TakeoverStarted) if took.reason == REPETITION.id]
    assert [took.author for took in repeated] == [Author.SMALL]


def test_a_text_gone_on_with_is_not_handed_over_once_more():
    first = limited(Limits(), Never(), ["One.\n\nTwo.\n\nTwo.\n\nTwo.", "Three.\n\nFour."], ["Let me.\n\nNo"], 16)
    guard = LimitsGuard(Limits(), before=first.trace)
    rest = run(Never(), ["Five.\n\nFive.\n\nFive.", "Six."], interruptions=[guard], before=first.trace)
    assert rules(first) == rules(rest) == [REPETITION]
    assert [text.reason for text in rest.all(events.TextInserted)] == [REPETITION.id], "the thinking is closed at once"


def test_nothing_begins_when_the_time_is_over():
    done = limited(Limits(max_seconds=1e-9), Never(), ["One."], [])
    assert (done.trace.finish, done.small.calls) == (events.Finish.TIME, [])


def test_a_time_limit_keeps_the_text_so_far():
    guard = LimitsGuard(Limits())

    def run_out(_body: str) -> None:
        guard.limits = Limits(max_seconds=1e-9)

    done = run(Never(), ScriptedEngine("One two three.", before_token=run_out), interruptions=[guard])
    assert (done.trace.finish, done.trace.text) == (events.Finish.TIME, "One")
    assert "time limit" in (done.trace.ended.reason if done.trace.ended else "")


def test_what_is_under_way_is_cancelled_when_the_time_is_over():
    cancelled = threading.Event()
    small = ScriptedEngine("One two.", before_token=lambda _: (cancelled.wait(PATIENCE), None)[1])
    session = small.open()
    session.cancel = cancelled.set  # type: ignore[method-assign]
    with cancelled_after(1e-3, [session]):
        tokens = list(session.write((), 1, 0))
    assert len(tokens) == 3
    assert cancelled.is_set()


def test_a_phrase_said_over_and_over_is_found_without_any_boundary():
    done = limited(Limits(), Never(), ["So it is four and " * 200, "Done.</think>4"], ["Enough.\n\nNo"], 2000)
    assert rules(done) == [REPETITION]
    assert done.trace.totals[Author.SMALL].kept < 100


def test_an_answer_that_goes_round_ends_the_run():
    small = ["One.</think>" + "and so on " * 300] * 2
    done = limited(Limits(), Never(), [small[0], "and so on " * 300], ["It\n\nNo"], 3000)
    assert done.trace.finish is events.Finish.REPETITION


def test_going_round_is_allowed_where_the_detector_is_off():
    done = limited(Limits(repetition=False), Never(), ["Two.\n\nTwo.\n\nTwo.</think>"], [])
    assert done.trace.text == "Two.\n\nTwo.\n\nTwo.</think>"


@pytest.mark.parametrize("policy", ["never", "always", "cascade"])
def test_a_baseline_has_no_detector(policy):
    assert not POLICIES[policy]().stops_repetition


def text_of(body: str) -> Text:
    """As many tokens as between two searches."""
    tokens = [Part("", Author.SMALL, 1)] * (RepetitionDetector.EVERY - 1)
    return Text(written=[*tokens, Part(body, Author.SMALL, 1)])


@pytest.mark.parametrize("text", ["no, " * 40, "3" * 200, ("a long phrase with many words, " * 5 + "\n") * 4])
def test_what_is_a_loop(text):
    assert RepetitionDetector().found(text_of(text))


@pytest.mark.parametrize("text", ["no, no, no", " ".join(map(str, range(300))), "", "\n" * 300, "Two.\n\nThree.\n\n"])
def test_what_is_none(text):
    assert not RepetitionDetector().found(text_of(text))


def test_the_same_place_is_found_once():
    repetition = RepetitionDetector()
    assert repetition.found(text_of("Two.\n\nTwo.\n\n"))
    assert not repetition.found(text_of("Two.\n\nTwo.\n\n\n"))


def test_a_small_model_alone_cannot_be_handed_over():
    small = ScriptedEngine("Two.\n\nTwo.\n\nNo", "Two.\n\nTwo.\n\nNo", "Four.")
    done = run(Never(), small, interruptions=[LimitsGuard(Limits(max_large_share=0))])
    assert rules(done) == []
    assert done.trace.answer.strip() == "Four."
