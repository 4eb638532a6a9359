"""Mathematics is set; what cannot be set is refused quietly."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton_reasoning.core.markdown.formulas import LONGEST_LATEX
from baton_reasoning.core.markdown.latex import Typeset, _understood, typeset
from tests.tiers import size


@pytest.mark.parametrize(
    "latex",
    [
        r"\boxed{\frac{3}{4}}",
        r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        r"\begin{cases}x & \text{if } y > 0 \\ z & \text{otherwise}\end{cases}",
        r"\begin{aligned}a &= b \\ &= c\end{aligned}",
        r"\begin{align*}a &= b \label{eq:1} \\ c &= d \nonumber\end{align*}",
        r"\begin{alignat}{2}a &= b \\ c &= d\end{alignat}",
        r"\begin{align}a &= b \tag{1}\end{align}",
        r"\begin{array}{c|c}a & b \\ \hline c & d\end{array}",
        r"\sum_{i=1}^{n} \binom{n}{i} \pmod{7}",
        r"90^\circ \angle ABC \implies \overline{AB}",
        "+".join("x" * 150),
        r"1+\cfrac{1}{1+\cfrac{1}{1+\cfrac{1}{1+\cfrac{1}{x_{n+1}}}}}",
        r"\left(\left[\left\{\frac{a_{1}}{b_{1}}\right\}\right]\right)^{2}",
        pytest.param(r"\sum_{i=1}^{n} \frac{x_{i}^{2}}{\sqrt{1+y_{i}^{2}}} + " * 12 + "1", marks=pytest.mark.slow),
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
        "\x00",
        r"\nosuchcommand{x}",
        "{" * 300 + "x" + "}" * 300,
        "x" * (LONGEST_LATEX + 1),
        r"\rule{9999cm}{1cm}",
        r"\rule{50cm}{50cm}",
        r"\def\a{\b\b}\def\b{\c\c}\a",
        r"\newcommand{\x}{y}",
        r"\\",
        r"\sqrt{" * 12 + "1" + "}" * 12,
        r"\left(" * 12 + "1" + r"\right)" * 12,
        r"\begin{matrix}" * 12 + "1" + r"\end{matrix}" * 12,  # groups in groups take exponential time
    ],
)
def test_what_cannot_be_set_is_refused_without_an_exception(latex):
    assert typeset(latex, False, 16.0) is None


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


@pytest.mark.parametrize(
    ("latex", "grouped"),
    [
        ("b = -5", "b = {-}5"),
        ("(-5)^2", "({-}5)^2"),
        (r"\left(-5, \, -3\right)", r"\left({-}5, \, {-}3\right)"),
        (r"x \le -1", r"x \le {-}1"),
        (r"2 \cdot -3 - 1", r"2 \cdot {-}3 - 1"),
        (r"x = \pm 3", r"x = {\pm} 3"),
    ],
)
def test_a_sign_before_a_number_has_no_space_after_it(latex, grouped):
    assert typeset(latex, True, 16.0) == typeset(grouped, True, 16.0)


@pytest.mark.parametrize(
    "latex",
    ["a - b", r"\text{(-5)}", r"\begin{cases}1 \\[-2pt] 2\end{cases}", r"|a| - b", "n! - 1", "x^* - 1", "e^+ - 1"],
)
def test_any_other_minus_stays_as_it_is(latex):
    assert _understood(latex) == latex


def test_a_fraction_hangs_below_the_baseline_and_a_letter_does_not():
    fraction, letter = typeset(r"\frac{a}{b}", True, 16.0), typeset("x", False, 16.0)
    assert fraction
    assert letter
    assert fraction.descent > 8
    assert letter.descent < 2
