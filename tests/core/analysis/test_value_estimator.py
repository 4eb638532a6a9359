"""Values of steps, in worlds whose chances are known exactly.

A model writes `a` (right) or `b` (an error) for each step; an error anywhere makes the answer 0 instead of 1.
"""

import math
import random

import pytest
from msgspec.structs import replace

from baton_reasoning.core.analysis.value_estimator import (
    WINDOW,
    ValueEstimator,
    ValueOptions,
    ValuesProgress,
    is_valued,
)
from baton_reasoning.core.analysis.values import StepValues, TextPlace, places_of
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost, SettingsError
from baton_reasoning.core.grading.verdict import GradingMethod, Regex
from baton_reasoning.core.run import Pair
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.events import Finish, PlaceOutcomes, ValuesEstimated
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes import mixed
from tests.fakes.scripted import QUESTION, Fault, ScriptedEngine

RIGHT, ERROR = b"a\n\n", b"b\n\n"
SEED, LONG = 5, 40


def world(errors, name="small", faults=(), writes_branches=True):
    """A model that errs in step i with the chance `errors[i]`."""

    def draw(text, number):
        steps = text.count("\n\n")
        if "box" in text:
            return None
        if steps < len(errors):
            return ERROR if number / 2**31 < errors[steps] else RIGHT
        return b"</think>" if "</think>" not in text else b"\\boxed{0}" if "b" in text else b"\\boxed{1}"

    return ScriptedEngine(draw=draw, name=name, faults=faults).with_ability(Ability.BRANCHES, writes_branches)


def value(errors, text):
    return 0.0 if "b" in text else math.prod(1 - chance for chance in errors[text.count("\n\n") :])


def text_with(steps, *, large_at=None, replaced="", ends=True, policy="keywords"):
    """A finished text of these steps; at `large_at` the large model wrote one, in place of what was discarded."""
    small, large = (world([0.0], name).card for name in ("small", "large"))
    chosen = RunSettings().model_dump(mode="json")
    trace = Trace.of([events.RunStarted(0.0, QUESTION, policy, chosen, SEED, small, large, 3, True)])

    def write(author, text):
        trace.apply(events.WriteStarted(0.0, author, "reflection" if author is Author.LARGE else None, trace.length))
        trace.apply(events.TokenWritten(1.0, author, None, text, ends_step=text.endswith("\n\n")))

    for index, step in enumerate(steps):
        if index != large_at:
            write(Author.SMALL, f"{step}\n\n")
            continue
        if replaced:
            write(Author.SMALL, replaced)
            trace.apply(events.TextDiscarded(1.0, 3 * index, replaced, 1))
        trace.apply(events.TakeoverStarted(1.0, "reflection", None, 1, 3 * index))
        write(Author.LARGE, f"{step}\n\n")
        trace.apply(events.TakeoverEnded(1.0, 1))
    if ends:
        write(Author.SMALL, "</think>")
        trace.apply(events.ThinkingClosed(1.0, Author.SMALL, trace.length, "</think>"))
        write(Author.SMALL, "\\boxed{0}" if "b" in steps else "\\boxed{1}")
    trace.apply(events.RunEnded(2.0, Finish.END_OF_TEXT if ends else Finish.STOPPED))
    return trace


def estimated(trace, engine, grader, expected="1", large=None, how=GradingMethod.AUTO, **options):
    """The values after progress that counts up to the end."""
    estimator = ValueEstimator(Pair(engine, large), trace, grader, expected, ValueOptions(**options), how)
    *progress, found = (item for item in estimator.run() if not isinstance(item, str))
    assert isinstance(found, ValuesEstimated)
    done = [(item.done, item.total) for item in progress if isinstance(item, ValuesProgress)]
    assert done == sorted(done)
    assert done[-1][0] == done[-1][1] > 0
    trace.apply(found)
    return StepValues.of(trace)


def valued(trace, *places):
    return StepValues(trace, ValuesEstimated(2.0, "small", "small", trace.length, "1", True, 64, places))


both_ways = pytest.mark.parametrize("writes_branches", [True, False])
"""As branches, or each continuation as a run, several at once, as on a server."""


@pytest.mark.parametrize(("errors", "writes_branches"), [((0.0, 0.5, 0.0, 0.25, 0.0), True), ((0.0, 0.5, 0.0), False)])
def test_each_value_lies_within_its_interval(grader, errors, writes_branches):
    trace = text_with("a" * len(errors))
    engine = world(errors, writes_branches=writes_branches)
    values = estimated(trace, engine, grader, rollouts=64)
    assert len(values.places) == len(errors) + 3, "the beginning, each step, the end of the thinking, and of the answer"
    for place in values.places[:-1]:
        truth = value(errors, trace.text[: place.position])
        assert place.value.low <= truth <= place.value.high, place
        assert place.rollouts >= 64
    assert values.places[-1].value.interval == (1.0, 1.0), "the end has the value of its verdict"


@pytest.mark.parametrize(("errors", "replaced", "truth"), [((0.0, 0.0, 0.5), "b\n\n", 0.5), ((0.0, 0.8, 0.0), "", 0.8)])
def test_the_worth_of_a_takeover_is_the_difference_to_what_it_replaced_or_to_the_place_before(
    grader, errors, replaced, truth
):
    trace = text_with("aaa", large_at=1, replaced=replaced)
    values = estimated(trace, world(errors), grader, rollouts=64)
    places = [TextPlace(0), *([TextPlace(3, replaced=True)] if replaced else []), *map(TextPlace, (3, 6, 9, 17, 26))]
    assert places_of(trace) == places, "the ends of steps and of takeovers"
    (worth,) = values.takeovers
    assert worth.before.place == TextPlace(3, replaced=bool(replaced))
    assert worth.difference.low <= truth <= worth.difference.high
    assert worth.is_certain
    assert values.turn == worth


@both_ways
def test_after_a_replaced_text_the_thinking_is_open(grader, writes_branches):
    """Though that text may be longer than what was written in its place, with the closing tag."""
    trace = text_with("aa", large_at=1, replaced="b so long that the tag is written before it ends")
    endless = ScriptedEngine(continue_with=lambda *_: " 1" * 999).with_ability(Ability.BRANCHES, writes_branches)
    values = estimated(trace, endless, grader, how=Regex("1"), rollouts=2)
    assert [place.outcomes for place in values.estimated.places if place.replaced] == ["00"], "without an answer"


def test_only_what_the_worth_of_takeovers_needs_and_whether_it_is_complete_is_known_without_a_model(grader):
    trace, few = text_with("aaaaaa", large_at=2, replaced="b\n\n"), ValueOptions(rollouts=4)
    values = estimated(Trace.of(trace.events), world([0.1] * 6), grader, only_takeovers=True)
    assert {each.position for each in values.estimated.places} == {0, 6, 9}
    assert not is_valued(trace, "1", few)
    estimated(trace, world([0.1] * 6), grader, rollouts=4)
    assert is_valued(trace, "1", few)
    assert is_valued(trace, "1", few._replace(only_takeovers=True))
    assert not is_valued(trace, "1", ValueOptions(rollouts=64))
    assert not is_valued(trace, "2", few)
    assert not is_valued(trace, "1", few._replace(writer="large"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_coarse_to_fine_finds_what_the_full_grid_finds(grader, seed):
    """In long texts that are lost in one step, or only made safer by some, as long as two changes lie apart."""
    dice = random.Random(seed)
    errors = [0.0] * LONG
    for step in dice.sample(range(0, LONG - 8, WINDOW), 3):
        errors[step] = 0.7
    steps = "".join("b" if step == LONG - 5 and seed % 2 else "a" for step in range(LONG))
    changing = {step for step in range(LONG) if errors[step] or steps[step] == "b"}
    written, found = [], []
    for every_step in (True, False):
        values = estimated(text_with(steps), world(errors), grader, every_step=every_step)
        written.append(sum(len(place.outcomes) for place in values.estimated.places))
        found.append(changing & {change.after.step for change in values.changes if change.is_certain})
    assert written[1] < 0.8 * written[0]
    assert found[0] <= found[1]


@both_ways
def test_stopped_and_continued_is_as_if_it_had_not_been(grader, writes_branches):
    errors = (0.2,) * 5
    whole = estimated(text_with("aaaaa"), world(errors, writes_branches=writes_branches), grader).estimated
    trace = text_with("aaaaa")
    for done in (7, 40):
        engine = world(errors, writes_branches=writes_branches)
        estimator = ValueEstimator(Pair(engine), trace, grader, "1")

        def stop(_, engine=engine, estimator=estimator, most=6 * done):
            if engine.written > most:
                estimator.stop()

        engine.before_token = stop
        *_, last = estimator.run()
        assert isinstance(last, ValuesEstimated)
        assert not last.is_whole
        assert any(place.outcomes.strip("-") for place in last.places)
        trace.apply(last)
    continued = estimated(trace, world(errors, writes_branches=writes_branches), grader).estimated
    assert continued.places == whole.places
    assert continued.is_whole


def test_a_value_whose_continuations_are_not_all_finished_is_not_shown_nor_a_worth_that_rests_on_it():
    trace = text_with("aa", large_at=1, replaced="b\n\n")
    values = valued(trace, PlaceOutcomes(3, "0-", replaced=True), PlaceOutcomes(3, "11"), PlaceOutcomes(6, "11"))
    assert [place.place for place in values.places] == [TextPlace(3), TextPlace(6)]
    assert values.takeovers == []


def test_the_gain_is_shared_by_who_brought_each_rise():
    trace, half = text_with("aaa", large_at=1), "01" * 20
    outcomes = {0: "0" * 40, 3: half, 6: "1" * 40, 9: "0111" * 10, 17: "0" * 40}
    values = valued(trace, *(PlaceOutcomes(position, signs) for position, signs in outcomes.items()))
    assert [place.right for place in values.places] == [0, 20, 40, 30, 0]
    assert [(change.is_rise, change.is_fall) for change in values.changes] == [(True, False)] * 2 + [(False, True)] * 2
    assert [(author, rise.value) for author, rise in values.rises] == [(Author.LARGE, 0.5), (Author.SMALL, 0.5)]
    assert values.gain_of_large == 0.5
    assert (values.turn, values.loss) == (values.takeovers[0], values.changes[3])
    assert (values.loss.before.step, values.loss.before.author) == (2, Author.SMALL)
    assert (values.at(TextPlace(3)), values.at(TextPlace(3, replaced=True))) == (values.places[1], None)


def test_nothing_is_written_where_all_is_known_and_another_model_begins_anew(grader):
    trace, engine = text_with("aaa"), world((0.0,) * 3)
    assert estimated(trace, engine, grader).places[0].value.value == 1
    estimator, written = ValueEstimator(Pair(engine), trace, grader, "1"), engine.written
    assert (list(estimator.run()), engine.written) == ([], written)
    other = estimated(trace, world((1.0,) * 3, name="other"), grader)
    assert (other.estimated.model, other.places[0].value.value) == ("other", 0)


def test_the_large_model_and_the_policy_have_values_of_their_own(grader):
    trace, small, large = text_with("aa"), world((1.0, 1.0)), world((0.0, 0.0), "large")
    firsts = (("small", 0.0), ("large", 1.0), ("policy", 0.0), ("small", 0.0))
    for number, (writer, first) in enumerate(firsts, 4):
        shown = estimated(trace, small, grader, large=large, writer=writer, rollouts=number)
        assert shown.estimated.writer == writer, "those that were estimated last"
        assert shown.places[0].value.value == first
        assert StepValues.of(trace, writer)
    assert set(trace.values) == {"small", "large", "policy"}


def test_without_an_expected_answer_it_is_agreement_and_a_text_that_was_stopped_has_no_verdict(grader):
    agreed = estimated(text_with("aba"), world((0.0, 0.5, 0.0)), grader, expected="")
    assert (agreed.estimated.is_expected, agreed.estimated.target) == (False, "0")
    assert agreed.places[2].value.value == 1.0, "after the error every continuation ends as the text does"
    stopped = estimated(text_with("aab", ends=False), world((0.0,) * 4), grader)
    assert stopped.estimated.ends_right is None
    assert (stopped.places[-1].value.value, stopped.places[-1].rollouts) == (0.0, 16)


@pytest.mark.parametrize(
    ("trace", "pair", "expected", "writer", "says"),
    [
        (Trace(), Pair(world(())), "1", "small", "no text"),
        (text_with("aa", ends=False), Pair(world(())), "", "small", "no answer with which"),
        (Trace.of(mixed.by_two_pairs()), Pair(world(())), "1", "small", "Several models wrote as the small model"),
        (text_with("aa", policy="of the future"), Pair(world(())), "1", "small", "another version of Baton"),
        (text_with("aa"), Pair(None, world(())), "1", "small", "small model is to write"),
        (text_with("a"), Pair(world(())), "1", "policy", "needs a large model"),
    ],
)
def test_what_cannot_be_valued_is_said_in_a_sentence(grader, trace, pair, expected, writer, says):
    with pytest.raises(SettingsError, match=says):
        ValueEstimator(pair, trace, grader, expected, ValueOptions(writer))


def test_a_text_is_valued_without_the_settings_that_left_with_an_earlier_version(grader):
    trace = text_with("aa")
    started, expected = trace.started, estimated(trace, world([0.0]), grader)
    for temperature, drawn_at in (0.3, 0.3), (0, 0.6):
        settings = started.settings | {"limits": {"early_exit": 0}, "boundary": r"\n---\n", "temperature": temperature}
        older, engine = Trace.of([replace(started, settings=settings), *trace.events[1:-1]]), world([0.0])
        assert estimated(older, engine, grader).places == expected.places
        assert engine.sessions[0].sampling.temperature == drawn_at, "at 0 all would be the same"
    assert expected.estimated.limit == 64, "a short text's continuations may be longer"


@both_ways
def test_what_a_lost_model_has_finished_is_kept(grader, writes_branches, monkeypatch):
    monkeypatch.setattr("baton_reasoning.core.analysis.rollouts.RUNS_AT_ONCE", 1)
    fault = Fault(60, EngineLost("The model's process ended.", "Load it again."), for_good=True)
    engine = world((0.0,) * 4, faults=[fault], writes_branches=writes_branches)
    found = list[object]()
    with pytest.raises(EngineLost, match="ended"):
        found.extend(ValueEstimator(Pair(engine), text_with("aaaa"), grader, "1").run())
    kept = found[-1]
    assert isinstance(kept, ValuesEstimated)
    assert (kept.is_whole, "1" in kept.places[0].outcomes) == (False, True)


def test_a_server_that_ignores_seeds_is_noticed(grader):
    def says(engine):
        estimator = ValueEstimator(Pair(engine), text_with("aa"), grader, "1", ValueOptions(rollouts=8))
        return " ".join(item for item in estimator.run() if isinstance(item, str))

    same = ScriptedEngine(continue_with=lambda _, text: "" if "box" in text else "a\n\n</think>\\boxed{1}")
    assert "All 8 continuations from the beginning are the same" in says(same)
    assert says(world((0.5, 0.5), writes_branches=False)) == ""
    noticing = world((0.5, 0.5))
    noticing.notices = {3: "It was started again."}
    assert says(noticing) == "It was started again."


@both_ways
def test_a_pattern_is_matched_against_all_text_after_the_thinking(grader, writes_branches):
    engine, rule = world((0.5, 0.0), writes_branches=writes_branches), Regex(r"boxed\{{expected}\}")
    values = estimated(text_with("aa"), engine, grader, how=rule, rollouts=32)
    assert values.estimated.ends_right
    assert values.places[0].value.low <= 0.5 <= values.places[0].value.high
