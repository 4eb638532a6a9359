"""Whatever is read can be read, and the authors differ for everybody."""

from itertools import combinations

import pytest
from PySide6.QtGui import QColor

from baton_reasoning.app.toolkit.theme.colours import DARK, LIGHT, Colours, blend

both = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])

# What deuteranopes and protanopes see, on linear RGB at full severity: Machado, Oliveira and Fernandes,
# "A physiologically-based model for simulation of color vision deficiency", IEEE TVCG 2009, table 1.
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)

Matrix = tuple[tuple[float, ...], ...]


def linear(colour: str) -> list[float]:
    c = QColor(colour)
    parts = c.redF(), c.greenF(), c.blueF()
    return [float(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4) for part in parts]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 (equal) to 21 (black on white); WCAG 2.2, "contrast ratio"."""
    darker, brighter = sorted(
        sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))
        for colour in (one, other)
    )
    return float((brighter + 0.05) / (darker + 0.05))


def grounds(c: Colours) -> list[str]:
    """What text may stand on: the three plain grounds and the tints of the authors."""
    return [c.background, c.surface, c.panel, c.small_tint, c.large_tint, c.inserted_tint, c.person_tint]


def inks(c: Colours) -> list[str]:
    """What may be written on any of them."""
    return [c.text, c.muted, c.small, c.large, c.inserted, c.person, c.success, c.danger]


def lab(linear_rgb: list[float]) -> tuple[float, float, float]:
    """CIE L*a*b* under D65."""
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    x, y, z = (
        max(sum(m * c for m, c in zip(row, linear_rgb, strict=True)) / w, 0.0) ** (1 / 3)
        for row, w in zip(to_xyz, white, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one: str, other: str, sight: Matrix) -> float:
    """CIE 1976 colour difference as somebody with that sight sees it; about 2.3 is just noticeable."""

    def seen(colour: str) -> tuple[float, float, float]:
        rgb = linear(colour)
        return lab([min(max(sum(m * c for m, c in zip(row, rgb, strict=True)), 0.0), 1.0) for row in sight])

    return float(sum((a - b) ** 2 for a, b in zip(seen(one), seen(other), strict=True)) ** 0.5)


@both
def test_every_ink_can_be_read_on_every_ground(colours):
    poor = [(ink, g) for ink in inks(colours) for g in grounds(colours) if contrast(ink, g) < 4.5]
    assert poor == []


@both
def test_buttons_and_words_that_are_selected_or_found_can_be_read(colours):
    assert contrast(colours.on_accent, colours.accent) >= 4.5
    assert contrast(colours.on_danger, colours.danger) >= 4.5
    assert contrast(colours.text, colours.selection) >= 4.5
    assert contrast(colours.text, colours.match) >= 4.5
    assert contrast(colours.text, colours.current_match) >= 4.5
    assert contrast(colours.match, colours.current_match) >= 1.3


@both
def test_edges_of_fields_stand_out_from_their_ground(colours):
    assert min(contrast(colours.outline, g) for g in (colours.background, colours.surface)) >= 3


@both
@pytest.mark.parametrize("sight", [DEUTERANOPIA, PROTANOPIA], ids=["no green", "no red"])
def test_the_authors_differ_without_red_or_green(colours, sight):
    authors = colours.small, colours.large, colours.inserted, colours.person
    assert min(difference(a, b, sight) for a, b in combinations(authors, 2)) > 20


def test_contrast_runs_from_one_to_twenty_one():
    assert contrast("#808080", "#808080") == 1
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_blending_goes_from_the_ground_to_the_ink():
    assert blend("#000000", "#ffffff", 0) == "#000000"
    assert blend("#000000", "#ffffff", 1) == "#ffffff"
    assert blend("#000000", "#ff0000", 0.5) in ("#7f0000", "#800000")
