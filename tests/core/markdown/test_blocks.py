"""Markdown becomes rows in which each letter knows its place; a text that grows has those of a fresh look."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.markdown import growing
from baton_reasoning.core.markdown.blocks import LONGEST_LINE, MOST_TABLE_ROWS, Grid, Kind, read
from baton_reasoning.core.markdown.code import LONGEST_CHUNK
from baton_reasoning.core.markdown.growing import MOST_OPEN_LINES, GrowingText
from baton_reasoning.core.markdown.parser import clean
from tests.tiers import size

BLOCKS = ["- ", "1. ", "> ", "```\n", "~~~\n", "```python\nx = 1\n", "\n", "\n\n", "# ", "---\n", "    ", "\n+ b"]
TABLES = ["| a | b |\n|---|---|\n| 1 | 2 |\n", "|", "\\|"]
SPANS = ["**", "*", "`", "   ", "word ", "[l](http://e.org)", "![p](http://e.org/p)", "<http://e.org>", "<b>", "~~"]
MATHS = ["$x$", "$|x|$", "\\[y\\]", "$$\nz\n$$", "\\boxed{5}", "\\begin{cases}a\\end{cases}"]
OPENINGS = ["\\[", "\\]", "\\(", "$$", "$"]
ODDITIES = ["\x00", "\ue000", "\ufffc", "\u2028", "\u2029", "\ufdd0", "\r\n", "\\", "&amp;", "\\*", "😀"]
TEXTS = st.lists(st.sampled_from(BLOCKS + TABLES + SPANS + MATHS + OPENINGS + ODDITIES), max_size=20)


def cells(row):
    return [cell for cells in row.rows for cell in cells] if isinstance(row, Grid) else [row.runs]


def rows(text):
    return [row for block in read(clean(text)).blocks for row in block.rows]


def shown(text):
    """Each row: its kind, marker and letters."""
    return [(row.kind.name, row.marker, "".join(run.text for run in row.runs)) for row in rows(text)]


@given(TEXTS)
@settings(max_examples=size(150, long=3_000), deadline=None)
@example(["a ", "**b** `c` \\* &amp; <http://e.org>"])
def test_each_letter_of_any_text_knows_its_place(pieces):
    text = clean("".join(pieces))
    last = 0
    for row in rows(text):
        for run in (run for cell in cells(row) for run in cell):
            assert last <= run.start < run.end <= len(text)
            last = run.end
            source = text[run.start : run.end]
            if run.look.formula:
                assert run.look.formula.source.split() == source.replace("\n> ", "\n").replace("\n>", "\n").split()
            elif len(run.text) == len(source):
                assert run.text.split() == source.split()


@given(TEXTS, st.sampled_from([7, 30, growing.AT_ONCE]))
@settings(max_examples=size(100, long=2_000), deadline=None)
@example(["+ b|", "\n-", "-", "-\n"], 7)
@example(["\\[ a\n\n", "b\n\n", "\\]"], 7)
def test_a_text_that_grows_has_the_blocks_of_a_fresh_look(pieces, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "AT_ONCE", at_once)
        text, seen = "", GrowingText()
        for piece in [*pieces, "", "".join(pieces)[:3]]:
            text = clean(text + piece) if piece else text[: len(text) // 2]
            seen.follow(text, is_live=True)
            while not seen.is_read:
                seen.read_on()
            assert seen.blocks == read(text).blocks


def test_a_block_of_any_kind_becomes_rows():
    assert shown("# T\n### t\none\ntwo\n\n---\n3. three\n\n   more\n4. - inner\n\n- ") == [
        ("TITLE", "", "T"),
        ("HEADING", "", "t"),
        ("TEXT", "", "one\ntwo"),
        ("RULE", "", ""),
        ("TEXT", "3.", "three"),
        ("TEXT", "", "more"),
        ("TEXT", "•", "inner"),
        ("TEXT", "•", ""),
    ]
    assert [row.depth for row in rows("- a\n  - b\n    ```\n    c\n    ```\n> d")] == [1, 2, 2, 2, 0]
    assert [row.quotes for row in rows("> a\n> > b\n\nc")] == [1, 2, 0]
    (grid,) = rows("| a | b |\n|---|---|\n| 1 \\| 2 | `c` |")
    assert ["".join(run.text for run in cell) for cell in cells(grid)] == ["a", "b", "1 | 2", "c"]


def test_code_is_coloured_line_by_line_and_kept_as_it_is():
    text = "```python\ndef f(x):\n    return 'a'  # b\n\ny = f(3)\n```"
    head, *lines = rows(text)
    assert (head.kind, head.language) == (Kind.CODE_HEAD, "python")
    assert ["".join(run.text for run in line.runs) for line in lines] == text.split("\n")[1:-1]
    kinds = {run.text: run.look.syntax for line in lines for run in line.runs}
    assert (kinds["def"], kinds["f"], kinds["'a'"], kinds["# b"], kinds["3"]) == (
        "keyword",
        "name",
        "string",
        "comment",
        "number",
    )
    assert {run.look.syntax for row in rows("```nosuchlanguage\nif x:\n```") for run in row.runs} == {""}
    long = "\n".join(['"""', *["text"] * LONGEST_CHUNK, '"""', "x = 1"])
    coloured = rows(f"```python\n{long}\n```")[1:]
    assert "\n".join("".join(run.text for run in row.runs) for row in coloured) == long


@pytest.mark.parametrize("text", ["```\nhalf", "```", "~~~python\n\n# no heading\n", "``` a `b\n"])
def test_a_fence_that_is_not_closed_goes_on_to_the_end(text):
    assert len(read(clean(text + "\n\n- no item")).blocks) == (1 if "`b" not in text else 2)


def test_what_is_too_long_to_be_rendered_stands_as_text():
    table = "| a | b |\n|---|---|\n"
    assert isinstance(rows(table + "| 1 | 2 |\n" * (MOST_TABLE_ROWS - 2))[0], Grid)
    lines = rows(table + "| 1 | 2 |\n" * 10_000)
    assert len(lines) == 10_002
    assert lines[-1].runs[0].text == "| 1 | 2 |"
    assert shown("**b** " + "x" * LONGEST_LINE)[0][2].startswith("**b** x")


@pytest.mark.parametrize(
    ("begin", "line", "end"),
    [
        ("```python\n", "x = 1\n", "```\n"),
        ("| a |\n|---|\n", "| 1 |\n", "\nend"),
        ("", "- an **item**\n", "\nend"),
        ("", "- an **item**\n\n", "end"),
    ],
)
def test_a_long_block_stays_text_while_it_is_written_and_is_read_when_it_ends(begin, line, end):
    text, seen = begin + line * (MOST_OPEN_LINES + 10), GrowingText()
    for length in range(len(text) - 20 * len(line), len(text), 7):
        seen.follow(clean(text[:length]), is_live=True)
        while not seen.is_read:
            seen.read_on()
    written = [run for row in seen.blocks[-1].rows for cell in cells(row) for run in cell]
    assert line.startswith(written[-1].text)
    assert not any(run.look.syntax for run in written), "and is coloured only then"
    seen.follow(clean(text + end), is_live=True)
    while not seen.is_read:
        seen.read_on()
    assert seen.blocks == read(clean(text + end)).blocks
    seen.follow(clean(text), is_live=False)
    while not seen.is_read:
        seen.read_on()
    assert seen.blocks == read(clean(text)).blocks
