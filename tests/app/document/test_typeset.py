"""What models write is set; what cannot be set is refused quietly, and dangerous requests too."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton_reasoning.app.document.typeset import LONGEST_LATEX, Typeset, picture, typeset
from tests.tiers import size


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{a}{b}",
        r"\boxed{\frac{3}{4}}",
        r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        r"\begin{cases}x & \text{if } y > 0 \\ z & \text{otherwise}\end{cases}",
        r"\begin{aligned}a &= b \\ &= c\end{aligned}",
        r"\begin{align*}a &= b \label{eq:1} \\ c &= d \nonumber\end{align*}",
        r"\begin{alignat}{2}a &= b \\ c &= d\end{alignat}",
        r"\begin{align}a &= b \tag{1}\end{align}",
        r"\begin{array}{c|c}a & b \\ \hline c & d\end{array}",
        r"\sum_{i=1}^{n} \binom{n}{i} \pmod{7}",
        r"\big\{ x \in \mathbb{R} \big\}",
        r"90^\circ \angle ABC \implies \overline{AB}",
        "π ≤ 4",
    ],
)
def test_the_mathematics_of_models_is_set(latex):
    result = typeset(latex, True, 16.0)
    assert result is not None
    assert result.width > 2
    assert result.ascent > 2


@pytest.mark.parametrize(
    "latex",
    [
        "",
        r"\frac{1}{",
        r"\left( x",
        r"\begin{cases} x",
        "a_b_c",
        "a & b",
        "\x00",
        r"\nosuchcommand{x}",
        "{" * 300 + "x" + "}" * 300,
        "x" * (LONGEST_LATEX + 1),
        r"\rule{9999cm}{1cm}",
        r"\rule{200cm}{200cm}",
        r"\rule{50cm}{50cm}",
        r"\def\a{\b\b}\def\b{\c\c}\a",
        r"\newcommand{\x}{y}",
        r"\\",
    ],
)
def test_what_cannot_be_set_is_refused_without_an_exception(latex):
    assert typeset(latex, False, 16.0) is None


@pytest.mark.parametrize("depth", [12, 40, 90])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("{", "}"), (r"\sqrt{", "}"), (r"\left(", r"\right)"), (r"\frac{1}{", "}"), (r"\begin{matrix}", r"\end{matrix}")],
)
def test_groups_in_groups_are_not_set_if_it_took_exponential_time(opening, closing, depth):
    assert typeset(opening * depth + "1" + closing * depth, False, 16.0) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "latex",
    [
        r"1+\cfrac{1}{1+\cfrac{1}{1+\cfrac{1}{1+\cfrac{1}{x_{n+1}}}}}",
        r"\left(\left[\left\{\frac{a_{1}}{b_{1}}\right\}\right]\right)^{2}",
        r"\sum_{i=1}^{n} \frac{x_{i}^{2}}{\sqrt{1+y_{i}^{2}}} + " * 12 + "1",
    ],
)
def test_what_people_write_is_not_nested_too_deeply(latex):
    assert typeset(latex, False, 16.0) is not None


PIECES = st.sampled_from(
    r"\frac \sqrt { } [ ] ( ) \left \right ^ _ & \\ x 1 = \boxed \text \begin{cases} \end{cases} \begin{aligned}"
    r" \end{aligned} \hline \over \lim \color \hspace \rule \middle | \tag \not \prime ' % < > # ~"
    r" \href \style".split()
)


@settings(max_examples=size(60, long=1_000), deadline=None)
@given(st.lists(PIECES, max_size=12))
def test_no_formula_however_broken_raises(pieces):
    result = typeset(" ".join(pieces), False, 16.0)
    assert result is None or isinstance(result, Typeset)


def test_a_fraction_hangs_below_the_baseline_and_a_letter_does_not():
    fraction, letter = typeset(r"\frac{a}{b}", True, 16.0), typeset("x", False, 16.0)
    assert fraction is not None
    assert letter is not None
    assert fraction.descent > 8
    assert letter.descent < 2


def test_the_picture_is_sharp_on_a_fine_screen_and_has_the_colour_asked_for(qapp):
    letter = typeset(r"\mathbf{H}", False, 20.0)
    assert letter is not None
    once, twice = picture(letter, "#c02020", 1.0), picture(letter, "#c02020", 2.0).toImage()
    assert twice.width() == pytest.approx(2 * once.width(), abs=2)
    pixels = [twice.pixelColor(x, y) for x in range(twice.width()) for y in range(twice.height())]
    assert {pixel.name() for pixel in pixels if pixel.alpha() == 255} == {"#c02020"}


def test_a_long_chain_of_terms_is_set():
    assert typeset("+".join("x" * 150), True, 16.0) is not None


def test_a_picture_is_drawn_once(qapp):
    letter = typeset("z_3", False, 16.0)
    assert letter is not None
    first = picture(letter, "#000000", 1.0).cacheKey()
    assert picture(letter, "#000000", 1.0).cacheKey() == first
    assert picture(letter, "#000001", 1.0).cacheKey() != first


def test_the_same_formula_is_set_only_once():
    assert typeset("y^3", False, 16.0) is typeset("y^3", False, 16.0)


def test_the_window_does_not_pay_for_loading_ziamath():
    modules = "baton_reasoning.app.document, baton_reasoning.app.toolkit.theme"
    code = f"import sys, {modules}; sys.exit('ziamath' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
