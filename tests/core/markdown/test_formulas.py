r"""Mathematics is found in Markdown however models write it."""

import re
import sys
from collections import Counter

import pytest

from baton_reasoning.core.markdown import formulas
from baton_reasoning.core.markdown.blocks import Grid, read
from baton_reasoning.core.markdown.formulas import LONGEST_LATEX, Formula
from baton_reasoning.core.markdown.parser import clean


def runs(text):
    """All runs of a text, from its beginning to its end."""
    for block in read(clean(text)).blocks:
        for row in block.rows:
            cells = [cell for cells in row.rows for cell in cells] if isinstance(row, Grid) else [row.runs]
            yield from (run for cell in cells for run in cell)


def formulas_in(text):
    return [run.look.formula for run in runs(text) if run.look.formula]


def found(text):
    return [(formula.latex, formula.display) for formula in formulas_in(text)]


def shown(text):
    return "".join(run.text for run in runs(text))


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


def test_a_formula_knows_its_source_and_what_is_none_is_kept_from_markdown():
    assert formulas_in("a $x$ b \\(y\\)") == [Formula("x", False, "$x$"), Formula("y", False, r"\(y\)")]
    assert shown(r"\(x") == r"\(x"
    assert shown("2*3*4 and *this*") == "2*3*4 and this"
    assert shown("a|b $|x \ue000") == "a|b $|x \ufffd", "the sign that is used inside cannot be smuggled in"


def test_a_formula_may_have_lines_of_any_kind_and_blank_ones():
    text = "So\n\\[\na = b\n\n+ c\n# d\n\\] it is.\n\n- $$\nx\n$$\n> \\begin{cases}y\\end{cases}"
    assert [latex for latex, _ in found(text)] == ["a = b\n\n+ c\n# d", "x", r"\begin{cases}y\end{cases}"]
    assert found("\\[ x" + "\n\ny" * LONGEST_LATEX + "\\]") == [], "this is text that lost its closing delimiter"
    assert found("`\\[` opens.\n\n- one\n\n`\\]` closes.") == []


def test_a_bar_in_a_formula_parts_no_cells():
    cells = found("| $|x|$ | \\(|y|\\) |\n|---|---|\n| $\\|z\\|$ | |")
    assert cells == [("|x|", False), ("|y|", False), (r"\|z\|", False)]


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
        read(text)
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
    opens = ("", *(getattr(formulas, name).pattern for name in ("_OPENING", "_DISPLAYED_IN_LINE", "_MONEY", "_TIMES")))
    assert all(twice[closer] <= 3 for closer in twice if closer not in opens), "each searches text and lines once"
