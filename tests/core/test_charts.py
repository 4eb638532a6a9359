"""Every chart has round numbers on its axes, markers that differ without colour, and a legend within its width."""

import re
from itertools import combinations
from xml.etree import ElementTree

from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core import charts
from baton_reasoning.core.charts import MARKER_WIDTH, PRINT, Axis, coloured, marker, quantity, side_by_side

LETTER = 6.6
"""Pixels."""


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
@example(low=-1.9, breadth=0.0625)
def test_an_axis_has_a_few_round_numbers_that_lie_on_it(low, breadth):
    found = Axis(low, low + breadth).ticks()
    assert 2 <= len(found) <= 7
    assert all(low <= tick <= low + breadth for tick in found)
    assert quantity(found[1] - found[0]).replace(",", "").strip("0.")[:1] in {"1", "2", "5"}


def test_a_quantity_has_three_digits():
    assert list(map(quantity, (0.000123, 0.5, 999.7, 12_345))) == ["0.000123", "0.5", "1,000", "12,300"]


def test_markers_differ_in_grey():
    grey = dict.fromkeys(PRINT, "black") | {"background": "white"}
    assert len({coloured(marker(number, 0, 0, "text"), grey) for number in range(40)}) == 40
    assert coloured(marker(3, 0, 0, "small"), grey) == coloured(marker(3, 0, 0, "large"), grey)


def test_a_theme_replaces_every_colour():
    lines = charts.line([(0, 0), (1, 1)], "border"), charts.band([(0, 0)], [(1, 1)])
    drawing = charts.svg(10, 10, [charts.text(0, 0, "a"), *lines, marker(9, 0, 0, "small")], "All")
    ElementTree.fromstring(drawing)
    named = coloured(drawing, {name: f"[{name}]" for name in PRINT})
    assert "var(" not in named
    assert set(re.findall(r"\[(\w+)\]", named)) == {"background", "muted", "border", "panel", "small"}
    assert named.count(charts.FONTS) == 1


@given(st.lists(st.text("ab ", min_size=1, max_size=120).filter(str.strip), min_size=1, max_size=20), st.data())
def test_a_legend_has_every_name_in_reading_order_within_its_width(names, data):
    width = data.draw(st.sampled_from([280.0, 360.0, 640.0]))
    parts, end = charts.legend([(name, f"<i n='{at}'/>") for at, name in enumerate(names)], 8, 50, width)
    found = ElementTree.fromstring(f"<svg>{''.join(parts)}</svg>")
    samples = [each for each in found if each.tag == "g"]
    places = [tuple(map(float, re.findall(r"[\d.]+", each.attrib["transform"])))[::-1] for each in samples]
    assert [each[0].attrib["n"] for each in samples] == [str(at) for at in range(len(names))]
    assert places == sorted(set(places))
    words = [each for each in found if each.tag == "text"]
    assert " ".join(each.text or "" for each in words).replace(" ", "") == "".join(names).replace(" ", "")
    for each in words:
        assert float(each.attrib["x"]) + LETTER * len(each.text or "") <= width
        assert 50 < float(each.attrib["y"]) < end


@given(st.lists(st.tuples(st.sampled_from([100.0, 105.0, 200.0]), st.floats(0, 40)), max_size=14))
def test_only_markers_at_one_place_are_moved_side_by_side(places):
    moved = side_by_side(places)
    assert [y for _, y in moved] == [y for _, y in places]
    for (x, y), (other_x, other_y) in combinations(moved, 2):
        assert max(abs(x - other_x), abs(y - other_y)) >= MARKER_WIDTH
        assert abs(x - other_x) >= 3, "their intervals stand beside each other"
    apart = [(100.0, 50.0), (112.0, 50.0), (104.0, 80.0)]
    assert side_by_side(apart) == apart
