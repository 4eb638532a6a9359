"""Where values lie on a plot, and what is drawn of it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.toolkit.value_plot import PlottedValues, ValuePlot
from baton_reasoning.core.thinking.events import PlaceOutcomes, ValuesEstimated
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.values import StepValues, TextPlace, places_of, takeover_spans
from tests.core.thinking.running import keywords, run


@pytest.fixture
def trace() -> Trace:
    """The takeover ends within the second step."""
    small = ["First: 1 + 1 = 3.\n\nWait, so that is 13 in all,", " then.\n\nDone.</think>\n\n12"]
    return run(keywords(), small=small, large=["Wait, so that is 12 in all."]).trace


def curve_of(trace: Trace, outcomes: dict[TextPlace, str]) -> PlottedValues:
    places = tuple(PlaceOutcomes(place.position, found, place.replaced) for place, found in outcomes.items())
    values = ValuesEstimated(0.0, "small", "Small", trace.length, "12", True, 99, places)
    return PlottedValues(trace, StepValues(trace, values))


def test_a_step_ends_at_its_number_and_what_ends_within_it_lies_between(trace: Trace) -> None:
    (span,) = takeover_spans(trace)
    curve = curve_of(trace, dict.fromkeys(places_of(trace), "1111"))
    by_position = {point.place.position: point.x for point in curve.points}
    assert by_position[0] == 0
    assert [by_position[step.end_position] for step in trace.steps] == [1, 2, 3, 4, 5]
    assert 1 < by_position[span.end] < 2


def test_a_branch_leads_from_the_curve_to_what_was_replaced(trace: Trace) -> None:
    (span,) = takeover_spans(trace)
    outcomes = {place: "0" * 4 if place.replaced else "1" * 4 for place in places_of(trace)}
    (branch,) = curve_of(trace, outcomes).branches
    assert branch.origin == (1.0, 1.0)
    assert (branch.value, branch.piece) == (0.0, span.piece)
    del outcomes[TextPlace(span.start)], outcomes[TextPlace(0)]
    (branch,) = curve_of(trace, outcomes).branches
    assert branch.origin == (1.0, 0.0), "before the first value nothing else is known"
    between = {TextPlace(0): "1" * 4, span.baseline: "0" * 4, TextPlace(span.end): "0" * 4}
    (branch,) = curve_of(trace, between).branches
    assert branch.origin is not None
    assert 0 < branch.origin[1] < 1, "it lies on the line"


@pytest.mark.parametrize(("steps", "every"), [(3, 1), (40, 5), (2_000, 500)])
def test_numbers_below_the_plot_do_not_touch(qapp: QApplication, steps: int, every: int) -> None:
    plot = ValuePlot(QRectF(0, 0, 300, 150), steps, QFont())
    numbers = plot._numbered_steps()
    assert numbers.step == every
    between = plot.at(2 * every, 0).x() - plot.at(every, 0).x()
    assert between > plot.metrics.horizontalAdvance(str(numbers[-1]))


def test_signs_are_smaller_where_there_are_many_steps(qapp: QApplication) -> None:
    few, many = (ValuePlot(QRectF(0, 0, 300, 150), steps, QFont()).sign_size for steps in (10, 500))
    assert many < few
