"""The values of compared answers over each other."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from baton_reasoning.app.compare.value_chart import ValueChart
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.thinking.events import PlaceOutcomes, ValuesEstimated
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.values import places_of
from tests.core.thinking.running import run


def answer(outcomes: str, is_expected: bool = True) -> Trace:
    """An answer of three steps; one sign for all continuations of each place."""
    trace = run(Never(), small=["One.\n\nTwo.\n\nThree."]).trace
    places = tuple(
        PlaceOutcomes(place.position, 16 * sign) for place, sign in zip(places_of(trace), outcomes, strict=False)
    )
    ends_right = outcomes.endswith("1")
    trace.apply(ValuesEstimated(0.0, "small", "Small", trace.length, "4", is_expected, 99, places, ends_right))
    return trace


def test_the_legend_names_each_curve_and_one_alone_is_not_compared(qtbot: QtBot) -> None:
    chart = ValueChart()
    qtbot.addWidget(chart)
    chart.follow([("Small only", answer("100")), ("Large only", Trace()), ("Both", answer("111", is_expected=False))])
    assert chart.legend.text() == "○ Small only ✗, value 1.00 to .00   △ Both, agreement 1.00 to 1.00"
    assert chart.plot.accessibleDescription() == "○ Small only ✗, value 1.00 to .00; △ Both, agreement 1.00 to 1.00"
    assert not chart.isHidden()
    chart.follow([("Small only", answer("100")), ("Large only", Trace())])
    assert chart.isHidden()


def test_curves_are_drawn_in_the_colour_of_text_since_others_are_those_of_authors(qtbot: QtBot) -> None:
    chart = ValueChart()
    qtbot.addWidget(chart)
    chart.resize(400, 200)
    chart.follow([("Small only", answer("100")), ("Both", answer("111"))])
    chart.show()
    image, colours = chart.plot.grab().toImage(), current_theme().colours
    found = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
    assert colours.text in found
    assert not {colours.small, colours.large} & found
