"""Names of points touch neither each other nor the points, as long as there is room; axes have round numbers."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.batch.reporting.charts import Box, Scatter, leader, logarithmic_ticks, place_labels, quantity

AREA = Box(0, 0, 640, 400)
LABEL = (60.0, 14.0)


def sign(x: float, y: float) -> Box:
    return Box(x - 5, y - 5, x + 5, y + 5)


def test_a_lonely_name_stands_at_the_right_of_its_point() -> None:
    (box,) = place_labels([sign(100, 100)], [LABEL], [], AREA)
    assert box == Box(110, 93, 170, 107)


def test_a_name_at_the_right_edge_stands_at_the_left() -> None:
    (box,) = place_labels([sign(630, 100)], [LABEL], [], AREA)
    assert box.right < 625


def test_a_name_stands_on_no_line_where_there_is_room_beside_it() -> None:
    line = Box(120, 0, 122, 400)
    (box,) = place_labels([sign(100, 100)], [LABEL], [line], AREA)
    assert box.overlap(line) == 0


def test_only_a_name_that_stands_apart_is_led_to_by_a_line() -> None:
    here = sign(100, 100)
    assert leader(here, Box(110, 93, 170, 107)) is None
    assert leader(here, Box(110, 121, 170, 135)) == (100, 100, 110, 121)


@given(st.lists(st.tuples(st.floats(300, 340), st.floats(180, 220)), min_size=2, max_size=6))
def test_names_of_crowded_points_do_not_touch(points: list[tuple[float, float]]) -> None:
    signs = [sign(x, y) for x, y in points]
    boxes = place_labels(signs, [LABEL] * len(points), [], AREA)
    assert all(one.overlap(other) == 0 for one, other in combinations(boxes, 2))
    assert all(box.overlap(other) == 0 for box in boxes for other in signs)
    assert all(box.overlap(AREA) == box.area for box in boxes)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.4, 30, [0.5, 1, 2, 5, 10, 20]),
        (1e9, 1e13, [1e9, 1e10, 1e11, 1e12, 1e13]),
        (3.1, 3.4, [3.1, 3.15, 3.2, 3.25, 3.3, 3.35, 3.4]),
    ],
)
def test_a_logarithmic_axis_has_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert logarithmic_ticks(low, high, most=7) == pytest.approx(expected, rel=1e-6)


def test_equal_ratios_are_equally_far_apart_on_a_logarithmic_axis() -> None:
    scatter = Scatter("", "", (), (), 1, 100, is_logarithmic=True)
    assert [scatter.place(value) for value in (1, 10, 100)] == pytest.approx([0, 0.5, 1])
    assert scatter._replace(is_logarithmic=False).place(50.5) == 0.5


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.000123, "0.000123"), (0.5, "0.5"), (999.7, "1,000"), (12_345, "12,300")],
)
def test_a_quantity_has_three_digits(value: float, text: str) -> None:
    assert quantity(value) == text
