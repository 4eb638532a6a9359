r"""Mathematics is found however models write it, and nothing else is taken for it."""

import re
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.app.document import formulas
from baton_reasoning.app.document.formulas import Formula, lift_formulas, placeholder, put_back

START, MONEY = formulas._START.pattern, formulas._MONEY.pattern
TraceFunction = Callable[[FrameType, str, Any], Any]


def found(text: str) -> list[tuple[str, bool]]:
    return [(formula.latex, formula.display) for formula in lift_formulas(text).formulas]


@pytest.mark.parametrize(
    ("text", "latex", "display"),
    [
        (r"so \(x_1 + x_2\) is", "x_1 + x_2", False),
        ("so $x_1$ is", "x_1", False),
        (r"\[ a = b \]", "a = b", True),
        ("$$\na = b\n$$", "a = b", True),
        (r"the answer is \boxed{15}.", r"\boxed{15}", False),
        (r"\boxed{\frac{3}{4}}", r"\boxed{\frac{3}{4}}", False),
        (r"\boxed{\{1, 2\}}", r"\boxed{\{1, 2\}}", False),
        (r"\boxed {7}", r"\boxed {7}", False),
        ("\\begin{aligned}\na&=b\\\\\n+ c\n\\end{aligned}", None, True),
        (r"\begin{cases}x & y\\z & w\end{cases}", None, True),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", None, True),
        (r"\begin{align*}a&=b\end{align*}", None, True),
        (r"\[\begin{aligned}a\\[2pt]b\end{aligned}\]", r"\begin{aligned}a\\[2pt]b\end{aligned}", True),
        (r"**\boxed{5}**", r"\boxed{5}", False),
        (r"$\$5$", r"\$5", False),
        ("$5$ apples", "5", False),
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
        r"\boxed{15",
        r"\begin{cases} x",
        "$ x $",
        "$x\n\ny$",
        "$$ $$",
        r"\\[2pt]",
    ],
)
def test_money_code_and_unfinished_formulas_are_left_alone(text):
    assert found(text) == []


def test_nested_environments_of_one_name_end_together():
    text = r"\begin{array}{c}\begin{array}{c}x\end{array}\\y\end{array} tail"
    assert found(text) == [(text.removesuffix(" tail"), True)]


def test_an_opening_without_its_close_keeps_its_backslash_from_markdown():
    assert lift_formulas(r"\(x").markdown == r"\\(x"


def test_a_star_between_factors_is_kept_from_markdown():
    assert lift_formulas("2*3*4 and *this*").markdown == r"2\*3\*4 and *this*"


def test_formulas_are_put_back_as_they_were_written():
    text = "a $x$ b \\(y\\)"
    lifted = lift_formulas(text)
    assert lifted.markdown == f"a {placeholder(0)} b {placeholder(1)}"
    assert lifted.formulas == (Formula("x", False, "$x$"), Formula("y", False, r"\(y\)"))
    assert put_back(lifted.markdown, lifted.formulas) == text


def test_the_marks_used_inside_cannot_be_smuggled_in():
    assert lift_formulas("\ue0000\ue001").markdown == "\ufffd0\ufffd"


@given(st.text(alphabet="a1 $\\[](){}`\n~*_", max_size=60))
def test_of_any_text_at_all_the_formulas_come_back_as_written(text):
    lifted = lift_formulas(text)
    assert lifted.markdown.count("\ue000") == len(lifted.formulas)
    restored = put_back(lifted.markdown, lifted.formulas)
    assert restored.replace("\\", "") == text.replace("\\", "")  # only protecting backslashes are added


def work_of(text: str) -> tuple[int, Counter[str]]:
    """Lines of formulas.py that run while formulas are looked for, and how often each pattern searches the text."""
    lines, searches = 0, Counter[str]()

    def count_lines(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        nonlocal lines
        if frame.f_code.co_filename != formulas.__file__:
            return None
        lines += event == "line"
        return count_lines

    def count_searches(frame: FrameType, event: str, called: object) -> None:
        pattern = getattr(called, "__self__", None)
        if event == "c_call" and frame.f_code.co_filename == formulas.__file__ and isinstance(pattern, re.Pattern):
            searches[pattern.pattern] += 1

    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(count_lines)
    sys.setprofile(count_searches)
    try:
        lift_formulas(text)
    finally:
        sys.settrace(tracer)
        sys.setprofile(profiler)
    return lines, searches


@pytest.mark.parametrize(
    "opening",
    [r"\boxed{ ", "$x ", r"\( ", r"\[ ", r"\begin{cases} ", r"\begin{cases} \begin{array} ", "` `` ", "$5 apples "],
)
def test_openings_that_never_close_take_linear_time(opening):
    assert_linear(opening * 500, opening * 1000)


@pytest.mark.parametrize(("opening", "close"), [(r"\( ", r"\)"), ("$x ", "y$"), (r"\[ ", r"\]"), ("$$ ", "$$")])
def test_openings_whose_close_is_beyond_a_blank_line_take_linear_time(opening, close):
    assert_linear(*(f"{opening * count}\n\n{close}" for count in (500, 1000)))


def assert_linear(text: str, of_twice_the_length: str) -> None:
    lines, _ = work_of(text)
    twice, searches = work_of(of_twice_the_length)
    assert twice <= 2 * lines + 50
    closers = {pattern: calls for pattern, calls in searches.items() if pattern not in (START, MONEY)}
    assert all(calls <= 1 for calls in closers.values()), "a pattern searches the text once"


def test_thousands_of_unclosed_openings_stay_as_they_were():
    assert found(r"\boxed{" * 8_000) == []
    assert found("$x " * 20_000) == []
    assert found("$x " * 20_000 + "y$") == [("x " + "$x " * 19_999 + "y", False)]
