"""The oracle rewrites exactly the steps that lower the value; a stop or a loss inside an estimate ends the run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from baton_reasoning.core.engines.base import Attach, Conversation, ignore
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.errors import Cancelled, SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.live_values import LiveValues
from baton_reasoning.core.models.overrides import Sampling
from baton_reasoning.core.run import Pair, RunSettings, ask
from baton_reasoning.core.run import run as solve
from baton_reasoning.core.thinking.control import Control
from baton_reasoning.core.thinking.events import Finish, TakeoverStarted, Valued
from baton_reasoning.core.thinking.limits import Limits
from baton_reasoning.core.thinking.loop import ValueOf
from baton_reasoning.core.thinking.policies.oracle import LOST_VALUE, Oracle
from baton_reasoning.core.thinking.policy import Value
from baton_reasoning.core.thinking.reasons import ANSWER
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import Run, run
from tests.fakes.scripted import DEFAULTS, QUESTION, THINK, Fault, ScriptedEngine, ScriptedSession

# With values that the test gives


def by_last_step(values: dict[str, int], graded: int = 16) -> ValueOf:
    """Value a text by its end, in sixteenths; a text that ends otherwise is right for certain."""

    def value_of(body: Sequence[Part], move: Value) -> tuple[int, int]:
        text = "".join(part.text for part in body)
        assert move == Value(16, Author.LARGE)
        return next((right for end, right in values.items() if text.endswith(end)), graded), graded

    return value_of


def rewritten(done: Run) -> list[str]:
    return [piece.replaced for piece in done.trace.pieces if piece.reason == LOST_VALUE.id]


def outcomes(trace: Trace) -> list[tuple[int, int, int]]:
    return [(each.position, each.right, each.total) for each in trace.events if isinstance(each, Valued)]


def test_a_step_that_lowers_the_value_is_written_again_by_the_large_model() -> None:
    small = ["One.\n\n", "Two.\n\n", "Three.</think>", "Four."]
    done = run(Oracle(), small, ["Better.\n\nNo"], value_of=by_last_step({"Two.\n\n": 3, "Better.\n\n": 12}))
    assert done.trace.text == "One.\n\nBetter.\n\nThree.</think>Four."
    assert rewritten(done) == ["Two.\n\n"]
    assert outcomes(done.trace) == [
        (0, 16, 16),
        (len("One.\n\n"), 16, 16),
        (len("One.\n\nTwo.\n\n"), 3, 16),
        (len("One.\n\nBetter.\n\n"), 12, 16),
        (len("One.\n\nBetter.\n\nThree.</think>"), 16, 16),
    ]


def test_a_loss_of_delta_is_none_and_a_little_more_is_one() -> None:
    quarter = Oracle.Settings(delta=0.25)
    assert rewritten(run(Oracle(quarter), ["Two.\n\n", "So.</think>"], value_of=by_last_step({"Two.\n\n": 12}))) == []
    done = run(Oracle(quarter), ["Two.\n\n", "So.</think>"], ["Three.\n\nNo"], value_of=by_last_step({"Two.\n\n": 11}))
    assert rewritten(done) == ["Two.\n\n"]


def test_a_rewritten_step_that_is_no_better_stands_and_the_next_is_compared_with_it() -> None:
    small = ["One.\n\n", "Two.\n\n", "So.</think>"]
    values = {"One.\n\n": 4, "Worse.\n\n": 2, "Two.\n\n": 1, "So.</think>": 0}
    done = run(Oracle(), small, ["Worse.\n\nNo"], value_of=by_last_step(values))
    assert done.trace.text == "Worse.\n\nTwo.\n\nSo.</think>"
    assert rewritten(done) == ["One.\n\n"]


def test_the_step_that_closes_the_thinking_is_valued_too() -> None:
    small, large = ["One.\n\n", "So.</think>", "Four."], ["But no.</think>", "Five."]
    done = run(Oracle(), small, large, value_of=by_last_step({"So.</think>": 0}))
    assert done.trace.text == "One.\n\nBut no.</think>Five."
    assert [each.reason for each in done.all(TakeoverStarted)] == [LOST_VALUE.id, ANSWER.id]


def test_steps_whose_value_is_not_known_stand() -> None:
    done = run(Oracle(), ["One.\n\n", "Two.\n\n", "So.</think>"], value_of=by_last_step({}, graded=0))
    assert len(done.all(Valued)) == 4
    assert rewritten(done) == []


def test_a_step_that_a_person_had_written_is_the_one_that_the_next_is_compared_with() -> None:
    control = Control()
    control.rewrite_step()
    small = ["Two.\n\n", "So.</think>"]
    values = by_last_step({"Mine.\n\n": 2, "Two.\n\n": 0})
    done = run(Oracle(), small, ["Mine.\n\nNo"], interruptions=[control], value_of=values)
    assert done.trace.text == "Mine.\n\nTwo.\n\nSo.</think>"
    assert rewritten(done) == []


# With continuations of a world whose chances are known exactly

FINE, SLIP, LOST, KNOWN = "Fine.\n\n", "A slip.\n\n", "Lost.\n\n", "Known.\n\n"
STEPS = 5
RIGHT, WRONG = "\\boxed{7}", "\\boxed{8}"
SETTINGS = RunSettings(
    policy=Oracle.Settings(delta=0.25, continuations=64, by_small=True), max_tokens=40, limits=Limits(repetition=False)
)


def chance(body: str) -> float:
    """The chance that the small model gets it right from here: .7 of its steps are fine, .2 a slip, .1 lose all."""
    left = STEPS - body.count("\n\n")
    return 0.0 if LOST in body else 0.95 * 0.85 ** body.count(SLIP) * (0.7 + 0.2 * 0.85) ** left


def drawn(body: str, number: int) -> bytes | None:
    draw = number / 2**31
    if body.count("\n\n") < STEPS:
        token = LOST if draw < 0.1 else SLIP if draw < 0.3 else FINE
    elif THINK.closing not in body:
        token = THINK.closing
    elif "boxed" not in body:
        token = RIGHT if draw < chance(body) else WRONG
    else:
        return None
    return token.encode()


def engines(**small: object) -> Pair:
    """The large model makes no slip and corrects none, but it cannot tell 7 from 8 where all is lost."""

    def rest(_: Conversation, body: str) -> str:
        answer = WRONG if LOST in body else RIGHT
        return KNOWN * (STEPS - body.count("\n\n")) + ("" if THINK.closing in body else THINK.closing) + answer

    large = ScriptedEngine(continue_with=rest, name="large", thinking=THINK)
    return Pair(ScriptedEngine(draw=drawn, thinking=THINK, **small), large)  # type: ignore[arg-type]


def written(pair: Pair, settings: RunSettings, control: Control | None = None, before: Trace | None = None) -> Trace:
    trace, control, asked = before or Trace(), control or Control(), ask("What is it?", settings)
    with Grader() as grader, LiveValues(pair.engines, asked, settings, "7", grader, attach=control.attach) as values:
        for event in solve(pair, asked, settings, control=control, resume_trace=before, value_of=values):
            trace.apply(event)
    return trace


@pytest.mark.parametrize("seed", range(12))
def test_exactly_the_steps_that_lower_the_chance_are_rewritten(seed: int) -> None:
    trace = written(engines(), SETTINGS.model_copy(update={"seed": seed}))
    assert trace.finish is Finish.END_OF_TEXT
    assert LOST not in trace.text
    lost = [piece for piece in trace.pieces if piece.author is Author.LARGE]
    assert all((piece.reason, piece.replaced, piece.text) == (LOST_VALUE.id, LOST, KNOWN) for piece in lost)


def test_the_worlds_have_steps_to_rewrite_and_the_estimates_are_near_the_chances() -> None:
    traces = [written(engines(), SETTINGS.model_copy(update={"seed": seed})) for seed in range(12)]
    assert sum(trace.totals[Author.LARGE].takeovers for trace in traces) >= 4
    right = sum(outcomes(trace)[0][1] for trace in traces)
    assert abs(right / (12 * 64) - chance("")) < 0.06, "of the opening"


def test_what_the_oracle_writes_on_is_what_the_small_model_would_have_written() -> None:
    """As long as it rewrites nothing: its continuations have random numbers of their own."""
    pair = engines()
    settings = SETTINGS.model_copy(
        update={"policy": Oracle.Settings(delta=1, continuations=4, by_small=True), "seed": 5}
    )
    alone = RunSettings.model_validate(settings.model_dump() | {"policy": "never"})
    assert written(pair, settings).text == Trace.of(solve(pair, ask("What is it?", alone), alone)).text
    assert isinstance(pair.small, ScriptedEngine)
    of_the_run, of_estimates, *_ = [{call.seed for call in session.calls} for session in pair.small.sessions]
    assert len(of_estimates) == len(pair.small.sessions[1].calls)
    assert not of_the_run & of_estimates


def test_a_greedy_run_is_valued_by_continuations_that_differ() -> None:
    pair = engines()
    written(pair, SETTINGS.model_copy(update={"temperature": 0.0}))
    assert isinstance(pair.small, ScriptedEngine)
    assert [session.sampling.temperature for session in pair.small.sessions[:2]] == [0.0, 0.6]


def test_a_loss_is_seen_by_the_values_of_the_large_model_where_the_small_one_never_has_a_chance() -> None:
    """It loses all in its third step, whatever its first ones are."""

    def losing(body: str, number: int) -> bytes | None:
        return LOST.encode() if body.count("\n\n") == 2 else drawn(body, number % (2**31 - 2**29) + 2**29)

    def steps(*, by_small: bool) -> list[str]:
        pair = Pair(ScriptedEngine(draw=losing, thinking=THINK), engines().large)
        policy = Oracle.Settings(continuations=4, by_small=by_small)
        trace = written(pair, SETTINGS.model_copy(update={"policy": policy}))
        return [piece.replaced for piece in trace.pieces if piece.author is Author.LARGE]

    assert (steps(by_small=True), steps(by_small=False)) == ([], [LOST])


def test_a_stop_ends_the_estimate_at_once_and_a_resumed_run_is_the_undisturbed_one() -> None:
    control = Control()
    tokens = iter(range(10_000))
    pair = engines(before_token=lambda _: control.stop() if next(tokens) == 700 else None)
    stopped = written(pair, SETTINGS, control)
    assert stopped.finish is Finish.STOPPED
    assert isinstance(pair.small, ScriptedEngine)
    assert pair.small.written == 700
    assert all(session.closed for session in pair.small.sessions)
    resumed = written(engines(), SETTINGS, before=stopped)
    undisturbed = written(engines(), SETTINGS)
    assert resumed.text == undisturbed.text
    assert outcomes(resumed) == outcomes(undisturbed), "no value was estimated twice"


def test_a_stop_before_the_first_estimate_leaves_an_empty_text() -> None:
    class Stopping(ScriptedEngine):
        """Is stopped while it opens its second session, which `Engine.open` reports by an error."""

        def open(
            self,
            conversation: Conversation = QUESTION,
            sampling: Sampling = DEFAULTS,
            attach: Attach = ignore,
            *,
            thinks: bool = True,
        ) -> ScriptedSession:
            if self.sessions:
                control.stop()
                raise Cancelled
            return super().open(conversation, sampling, attach, thinks=thinks)

    control = Control()
    trace = written(Pair(Stopping(draw=drawn, thinking=THINK), engines().large), SETTINGS, control)
    assert (trace.finish, trace.text) == (Finish.STOPPED, "")


def test_a_small_model_that_is_lost_inside_an_estimate_ends_the_run_with_its_text() -> None:
    trace = written(engines(faults=[Fault(700, for_good=True)]), SETTINGS)
    assert trace.finish is Finish.FAILED
    assert trace.ended
    assert "ended" in trace.ended.reason
    assert trace.text
    assert written(engines(), SETTINGS, before=trace).text == written(engines(), SETTINGS).text


def test_without_an_expected_answer_the_run_is_refused() -> None:
    with pytest.raises(SettingsError, match="needs a file of problems with expected answers"):
        next(solve(engines(), ask("What is it?", SETTINGS), SETTINGS))
