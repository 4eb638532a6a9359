"""A legend names each arm by the marker at its place, and the lines behind the arms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.batch.reporting.charts import share_chart, shares_in_words, takeovers_by_reason
from baton_reasoning.core.batch.reporting.report import ArmReport, Report
from baton_reasoning.core.charts import MARKER_WIDTH
from baton_reasoning.core.intervals import Estimate, wilson

TOKENS = 1000


def arm_report(name: str, large_tokens: int, right: int, policy: str = "keywords", sweep: str = "") -> ArmReport:
    """An arm of 20 answers and `TOKENS` tokens."""
    fields: dict[str, Any] = {
        "name": name,
        "sweep": sweep,
        "settings": {"settings": {"policy": {"policy": policy}}},
        "accuracy": Estimate(right / 20, *wilson(right, 20)),
        "small_tokens": TOKENS - large_tokens,
        "large_tokens": large_tokens,
        "takeovers": {},
    }
    return ArmReport.model_construct(**fields)


def report(*arms: ArmReport) -> Report:
    fields: dict[str, Any] = {"arms": arms}
    return Report.model_construct(**fields)


SMALL, LARGE = arm_report("small", 0, 12, "never"), arm_report("large", TOKENS, 19, "always")


class Marker(NamedTuple):
    look: tuple[str, ...]
    """Shape and colours, or a number."""
    x: float
    y: float


class Drawing:
    """What one sees in the SVG of a chart."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg.replace(' xmlns="http://www.w3.org/2000/svg"', ""))
        self.markers = list(markers_in(self.root))
        self.legend: dict[str, ElementTree.Element] = {}
        """Samples by their name, in reading order."""
        elements = list(self.root)
        samples = [at for at, each in enumerate(elements) if each.tag == "g"]
        for at, end in pairwise([*samples, len(elements)]):
            self.legend[" ".join(each.text or "" for each in elements[at + 1 : end])] = elements[at]

    def look(self, name: str) -> tuple[str, ...]:
        """The marker of this name in the legend."""
        (marker,) = markers_in(self.legend[name])
        return marker.look

    def place(self, share: float, percent: float) -> tuple[float, float]:
        """Where one would look for a point, by the numbers at the axes."""
        texts = [each for each in self.root if each.tag == "text" and re.fullmatch(r"\d+", each.text or "")]
        across = [(float(each.text or ""), float(each.attrib["x"])) for each in texts if is_below(each)]
        up = [(float(each.text or ""), float(each.attrib["y"]) - 4) for each in texts if is_left(each)]
        return between(across, share), between(up, percent)

    def points(self, *corners: tuple[float, float]) -> str:
        """A line as it is written, through these shares and percents."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.place(*corner) for corner in corners))

    def lines(self, name: str) -> list[str]:
        """The points of each line that looks as the legend's sample of this name."""
        (sample,) = self.legend[name].iter("polyline")
        look = {key: value for key, value in sample.attrib.items() if key != "points"}
        return [each.attrib["points"] for each in self.root if {**look, "points": each.get("points")} == each.attrib]


def is_below(text: ElementTree.Element) -> bool:
    return text.attrib["text-anchor"] == "middle"


def is_left(text: ElementTree.Element) -> bool:
    return text.attrib["text-anchor"] == "end"


def between(ticks: list[tuple[float, float]], value: float) -> float:
    (first, start), (last, end) = min(ticks), max(ticks)
    return start + (end - start) * (value - first) / (last - first)


def markers_in(drawing: ElementTree.Element) -> Iterator[Marker]:
    elements = list(drawing)
    for at, each in enumerate(elements):
        if each.tag == "path":
            x, y = map(float, re.findall(r"-?[\d.]+", each.attrib["transform"]))
            yield Marker((each.attrib["d"], each.attrib["fill"], each.attrib["stroke"]), x, y)
        elif each.tag == "circle":
            yield Marker((elements[at + 1].text or "",), float(each.attrib["cx"]), float(each.attrib["cy"]))


@given(
    st.lists(
        st.tuples(st.text("abcdef", min_size=1, max_size=12), st.integers(0, TOKENS), st.integers(0, 20)),
        min_size=1,
        max_size=24,
        unique_by=lambda arm: arm[0],
    ),
    st.sampled_from([360, 640]),
)
def test_the_marker_of_each_arm_in_the_legend_is_the_marker_at_its_place(arms, width):
    drawing = Drawing(share_chart(report(*(arm_report(*arm) for arm in arms)), width))
    assert list(drawing.legend) == [name for name, *_ in arms]
    places = [drawing.place(100 * large / TOKENS, 5 * right) for _, large, right in arms]
    for (name, *_), (x, y) in zip(arms, places, strict=True):
        (marker,) = (marker for marker in drawing.markers if marker.look == drawing.look(name))
        assert marker.y == pytest.approx(y, abs=0.2)
        crowd = sum(abs(x - other) < MARKER_WIDTH * len(arms) for other, _ in places)
        assert abs(marker.x - x) <= MARKER_WIDTH * (crowd - 1) + 0.2
    for one, other in combinations(drawing.markers, 2):
        assert max(abs(one.x - other.x), abs(one.y - other.y)) >= MARKER_WIDTH - 0.2, "no marker hides another"


def test_a_line_of_chance_leads_from_the_small_model_alone_to_each_large_one():
    other = arm_report("large, 32B", TOKENS, 20, "always")
    drawing = Drawing(share_chart(report(SMALL, LARGE, other, arm_report("c = 3", 280, 19))))
    for name, right in (("Large only", 95), ("Large only, 32B", 100)):
        assert drawing.points((0, 60), (100, right)) in drawing.lines(f"By chance, from Small only to {name}")
    drafted = arm_report("drafted", TOKENS, 19, "drafted")
    lone = share_chart(report(SMALL, drafted, arm_report("silent", 0, 12)))
    assert "By chance" not in lone, "an arm that drafts, or whose large model never stepped in, is no model alone"


def test_a_line_of_its_own_dashes_joins_the_arms_of_a_sweep():
    arms = [arm_report(f"c = {c}", 10 * c, c % 20, sweep="c") for c in (15, 3, 50)]
    others = [arm_report(f"n = {n}", 10 * n, 10, sweep="n") for n in (1, 2)]
    drawing = Drawing(share_chart(report(SMALL, *arms, *others)))
    for name, corners in (("c", ((3, 15), (15, 75), (50, 50))), ("n", ((1, 50), (2, 50)))):
        assert drawing.points(*corners) in drawing.lines(f"Values of {name}")
    assert [len(line.split()) for line in drawing.lines("Values of c")] == [3, *[2] * 6], "intervals are solid, too"
    assert [len(line.split()) for line in drawing.lines("Values of n")] == [2]


def test_names_in_a_chart_are_text():
    name = "<script>alert(1)</script>"
    assert list(Drawing(share_chart(report(arm_report(name, 280, 19)))).legend) == [name]


def test_a_chart_without_an_answer_says_so():
    silent = report(SMALL.model_copy(update={"accuracy": None}))
    assert "No graded answer yet." in share_chart(silent)
    assert shares_in_words(silent) == "No graded answer yet."
    assert shares_in_words(report(SMALL, LARGE)) == "Small only 60% at 0.0%; Large only 95% at 100.0%"


def test_bars_say_how_often_the_large_model_stepped_in_and_why():
    drawing = Drawing(takeovers_by_reason(SMALL.model_copy(update={"takeovers": {"reflection": 1500, "opening": 500}})))
    texts = [each.text for each in drawing.root.iter("text")]
    assert texts == ["Reflection", "75% (1,500)", "Opening", "25% (500)"]
    assert "No takeover." in takeovers_by_reason(SMALL)
