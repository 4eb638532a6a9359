"""A change of the value is beyond chance by one test, from which marks, the turn, the loss and the gain follow."""

import random

import pytest

from baton_reasoning.core.analysis.values import StepValues
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import PlaceOutcomes, ValuesEstimated
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.values import value_marks
from tests.core.store.made import tokens
from tests.tiers import size

STEP = "So it is.\n\n"
DRAWS = size(400, long=4_000)


def valued(*right, of=16, ends_right=None):
    """The values of a text, from so many right continuations before it and after each step but the last."""
    trace = Trace.of(tokens(Author.SMALL, [STEP] * len(right)))
    places = tuple(
        PlaceOutcomes(number * len(STEP), "1" * each + "0" * (of - each)) for number, each in enumerate(right)
    )
    trace.apply(ValuesEstimated(0.0, "small", "R1", trace.length, "4", True, 64, places, ends_right))
    values = StepValues.of(trace)
    assert values
    return trace, values


def certain(values):
    return [number for number, change in enumerate(values.changes) if change.is_certain]


@pytest.mark.parametrize(("rollouts", "changed"), [(2, []), (7, []), (8, [0])])
def test_few_continuations_show_no_change_though_all_of_them_turn(rollouts, changed):
    trace, values = valued(0, rollouts, of=rollouts)
    assert certain(values) == changed
    assert bool(values.turn) is bool(values.rises) is bool(value_marks(trace, trace.pieces)) is bool(changed)
    assert (values.gain_of_large, values.loss) == ((0.0 if changed else None), None)
    fell, fallen = valued(rollouts, 0, of=rollouts)
    assert bool(fallen.loss) is bool(value_marks(fell, fell.pieces)) is bool(changed)


def test_the_more_places_are_compared_the_more_a_change_must_show():
    for others, changed in ((0, [0]), (8, [0]), (16, [])):
        assert certain(valued(3, 12, *[12] * others)[1]) == changed
    assert certain(valued(0, 16, *[16] * 100)[1]) == [0]


@pytest.mark.scaled
@pytest.mark.parametrize("places", [2, 24])
def test_where_nothing_changes_hardly_any_text_has_a_change_beyond_chance(places):
    dice, found = random.Random(places), 0
    for _ in range(DRAWS):
        chance = dice.random()
        _, values = valued(*(sum(dice.random() < chance for _ in range(16)) for _ in range(places)))
        found += bool(certain(values))
    assert found <= 0.05 * DRAWS


def test_a_verdict_is_known_so_that_one_continuation_that_ended_otherwise_shows_a_change():
    for right, ends_right, changed in ((16, True, []), (15, True, [1]), (0, False, []), (1, False, [1])):
        assert certain(valued(right, right, ends_right=ends_right)[1]) == changed
    assert certain(valued(6, 6, of=7, ends_right=True)[1]) == [], "from few continuations nothing is shown"
