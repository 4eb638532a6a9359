"""A run whose values are known: four steps of 17 characters, of which the large model wrote the second and fourth."""

from collections.abc import Mapping

from baton_reasoning.core.analysis.values import TextPlace
from baton_reasoning.core.thinking.events import PlaceOutcomes, ValuesEstimated
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import a_run

STEP = 17
K = 16
REPLACED = TextPlace(STEP, replaced=True)
"""The end of the lookahead that the first takeover replaced."""
RESCUED = {TextPlace(0): 8, REPLACED: 0, TextPlace(STEP): 8, TextPlace(2 * STEP): 16, TextPlace(4 * STEP): 16}
"""Right ones of `K` continuations."""


def values_of(trace: Trace, right: Mapping[TextPlace, int], *, is_expected: bool = True) -> ValuesEstimated:
    places = tuple(
        PlaceOutcomes(place.position, "1" * number + "0" * (K - number), place.replaced)
        for place, number in sorted(right.items(), key=lambda item: item[0].order)
    )
    return ValuesEstimated(0.0, "small", "R1-1.5B", trace.length, "4", is_expected, 64, places, None, True, 500, 2.0)


def a_valued_run(right: Mapping[TextPlace, int] = RESCUED, *, is_expected: bool = True) -> Trace:
    trace = Trace.of(a_run())
    trace.apply(values_of(trace, right, is_expected=is_expected))
    return trace
