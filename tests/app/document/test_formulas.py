r"""Mathematics is found however models write it, and set; what cannot be set is refused quietly."""

import re
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton_reasoning.app.document import formulas
from baton_reasoning.app.document.formulas import Formula, lift_formulas, placeholder, put_back
from baton_reasoning.app.document.typeset import LONGEST_LATEX, Typeset, picture, typeset
from tests.tiers import size

START, MONEY = formulas._START.pattern, formulas._MONEY.pattern


def found(text):
    return [(formula.latex, formula.display) for formula in lift_formulas(text).formulas]


@pytest.mark.parametrize(
    ("text", "latex", "display"),
    [
        (r"so \(x_1 + x_2\) is", "x_1 + x_2", False),
        ("so $x_1$ is", "x_1", False),
        (r"\[ a = b \]", "a = b", True),
        ("$$\na = b\n$$", "a = b", True),
        (r"the answer is \boxed{15}.", r"\boxed{15}", False),
        (r"\boxed{\{1, 2\}}", r"\boxed{\{1, 2\}}", False),
        (r"\boxed {7}", r"\boxed {7}", False),
        ("\\begin{aligned}\na&=b\\\\\n+ c\n\\end{aligned}", None, True),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", None, True),
        (r"\begin{align*}a&=b\end{align*}", None, True),
        (r"\[\begin{aligned}a\\[2pt]b\end{aligned}\]", r"\begin{aligned}a\\[2pt]b\end{aligned}", True),
        (r"**\boxed{5}**", r"\boxed{5}", False),
        (r"$\$5$", r"\$5", False),
        (r"\begin{array}{c}\begin{array}{c}x\end{array}\\y\end{array}", None, True),
    ],
)
def test_each_way_of_writing_mathematics_is_found(text, latex, display):
    assert found(text) == [(latex or text, display)]


@pytest.mark.parametrize(
    "text",
    [
        "it costs $5 and $6",
        "between $5-$6",
        "$5 apples cost less than 3$ pears",
        "`$x$` and ``\\(y\\)``",
        "```python\nprint('$x$', '\\\\[1\\\\]')\n```",
        "~~~\n$x$\n~~~",
        "```\n$x$ in a fence that never ends",
        r"\$x\$",
        r"\(x without an end",
        r"\begin{cases} x",
        "$ x $",
        "$x\n\ny$",
        "$$ $$",
        r"\\[2pt]",
    ],
)
def test_money_code_and_unfinished_formulas_are_left_alone(text):
    assert found(text) == []


def test_what_is_no_formula_is_kept_from_markdown():
    text = "a $x$ b \\(y\\)"
    lifted = lift_formulas(text)
    assert lifted.markdown == f"a {placeholder(0)} b {placeholder(1)}"
    assert lifted.formulas == (Formula("x", False, "$x$"), Formula("y", False, r"\(y\)"))
    assert lift_formulas(r"\(x").markdown == r"\\(x"
    assert lift_formulas("2*3*4 and *this*").markdown == r"2\*3\*4 and *this*"
    assert lift_formulas("\ue0000\ue001").markdown == "\ufffd0\ufffd", "marks used inside cannot be smuggled in"


@given(st.text(alphabet="a1 $\\[](){}`\n~*_", max_size=60))
def test_of_any_text_at_all_the_formulas_come_back_as_written(text):
    lifted = lift_formulas(text)
    assert lifted.markdown.count("\ue000") == len(lifted.formulas)
    restored = put_back(lifted.markdown, lifted.formulas)
    assert restored.replace("\\", "") == text.replace("\\", "")  # only protecting backslashes are added


def work_of(text):
    """The calls of formulas.py while formulas are looked for, by the pattern that they search, or ""."""
    calls = Counter[str]()

    def count(frame, event, called):
        if event == "c_call" and frame.f_code.co_filename == formulas.__file__:
            pattern = getattr(called, "__self__", None)
            calls[pattern.pattern if isinstance(pattern, re.Pattern) else ""] += 1

    profiler = sys.getprofile()
    sys.setprofile(count)
    try:
        lift_formulas(text)
    finally:
        sys.setprofile(profiler)
    return calls


@pytest.mark.parametrize(
    ("opening", "close"),
    [
        *((each, "") for each in (r"\boxed{ ", "$x ", r"\( ", r"\[ ", r"\begin{cases} ", "` `` ", "$5 apples ")),
        (r"\begin{cases} \begin{array} ", ""),
        *((r"\( ", "\n\n\\)"), ("$x ", "\n\ny$"), (r"\[ ", "\n\n\\]"), ("$$ ", "\n\n$$")),
    ],
)
def test_openings_without_a_close_that_counts_take_linear_time(opening, close):
    calls, twice = (work_of(opening * times + close) for times in (500, 1000))
    assert twice.total() <= 2 * calls.total() + 50
    assert all(twice[closer] <= 1 for closer in twice if closer not in ("", START, MONEY)), (
        "each searches the text once"
    )


# Typesetting


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


def test_a_fraction_hangs_below_the_baseline_and_a_letter_does_not():
    fraction, letter = typeset(r"\frac{a}{b}", True, 16.0), typeset("x", False, 16.0)
    assert fraction
    assert letter
    assert fraction.descent > 8
    assert letter.descent < 2


def test_the_picture_is_sharp_on_a_fine_screen_and_has_the_colour_asked_for(qapp):
    letter = typeset(r"\mathbf{H}", False, 20.0)
    assert letter is not None
    once, twice = picture(letter, "#c02020", 1.0), picture(letter, "#c02020", 2.0).toImage()
    assert twice.width() == pytest.approx(2 * once.width(), abs=2)
    pixels = [twice.pixelColor(x, y) for x in range(twice.width()) for y in range(twice.height())]
    assert {pixel.name() for pixel in pixels if pixel.alpha() == 255} == {"#c02020"}
    assert picture(letter, "#c02020", 1.0).cacheKey() == once.cacheKey(), "it is drawn once"
    assert picture(letter, "#000001", 1.0).cacheKey() != once.cacheKey()
