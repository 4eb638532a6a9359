"""Markdown becomes rows in which each letter knows its place; a text that grows has those of a fresh look."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.markdown import code, growing
from baton_reasoning.core.markdown.blocks import LONGEST_LINE, MOST_TABLE_ROWS, Gap, Grid, Kind, read
from baton_reasoning.core.markdown.code import LONGEST_CHUNK
from baton_reasoning.core.markdown.growing import MOST_OPEN_LINES, GrowingText
from baton_reasoning.core.markdown.parser import clean
from tests.tiers import size

BLOCKS = ["- ", "1. ", "> ", "```\n", "~~~\n", "```python\nx = 1\n", "\n", "\n\n", "# ", "---\n", "    ", "\n+ b"]
BLOCKS += ["```python\n'''a\n\n", "b = 1\n"]
TABLES = ["| a | b |\n|---|---|\n| 1 | 2 |\n", "|", "\\|"]
SPANS = ["**", "*", "`", "   ", "word ", "[l](http://e.org)", "![p](http://e.org/p)", "<http://e.org>", "<b>", "~~"]
MATHS = ["$x$", "$|x|$", "\\[y\\]", "$$\nz\n$$", "\\boxed{5}", "\\begin{cases}a\\end{cases}"]
OPENINGS = ["\\[", "\\]", "\\(", "$$", "$"]
ODDITIES = ["\x00", "\ue000", "\ufffc", "\u2028", "\u2029", "\ufdd0", "\r\n", "\\", "&amp;", "\\*", "😀"]
TEXTS = st.lists(st.sampled_from(BLOCKS + TABLES + SPANS + MATHS + OPENINGS + ODDITIES), max_size=20)


def cells(row):
    return [cell for cells in row.rows for cell in cells] if isinstance(row, Grid) else [row.runs]


def follow(growing, text, is_live=True):
    growing.follow(text, is_live=is_live)
    while not growing.is_read:
        growing.read_on()


def rows(text):
    return [row for block in read(clean(text)).blocks for row in block.rows]


def shown(text):
    return [(row.kind.name, row.marker, "".join(run.text for run in row.runs)) for row in rows(text)]


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("- a\n- b\n- c", ["c"]),
        ("- a\n\n- b\n \n- c", ["a", "b", "c"]),
        ("- a\n- b\n\n- c", ["b", "c"]),
        ("1. a\n   - b\n\n2. c", ["b", "c"]),
        ("> - a\n> - b\n>\n> - c", ["b", "c"]),
        ("- a\n\n  b\n- c", ["a", "c"]),
    ],
)
def test_items_are_set_apart_where_an_empty_line_stands_between_them(text, apart):
    assert [row.runs[0].text for row in rows(text) if row.gap is Gap.FULL] == apart


@given(TEXTS)
@settings(max_examples=size(150, long=3_000), deadline=None)
@example(["a ", "**b** `c` \\* &amp; <http://e.org>"])
@example(["\\[", "```\n", "> ", "\\[y\\]"])
def test_each_letter_of_any_text_knows_its_place(pieces):
    text = clean("".join(pieces))
    last = 0
    for row in rows(text):
        for run in (run for cell in cells(row) for run in cell):
            assert last <= run.start < run.end <= len(text)
            last = run.end
            source = text[run.start : run.end]
            if run.look.formula:
                unquoted = source.replace("\n> ", "\n").replace("\n>", "\n")  # unless “>” is in the formula itself
                assert run.look.formula.source.split() in (source.split(), unquoted.split())
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
            follow(seen, text)
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
    expected = {"def": "keyword", "f": "name", "'a'": "string", "# b": "comment", "3": "number"}
    assert kinds.items() >= expected.items()
    assert {run.look.syntax for row in rows("```nosuchlanguage\nif x:\n```") for run in row.runs} == {""}
    long = "\n".join(['"""', *["text"] * LONGEST_CHUNK, '"""', "x = 1"])
    coloured = rows(f"```python\n{long}\n```")[1:]
    assert "\n".join("".join(run.text for run in row.runs) for row in coloured) == long


def kinds_of(text, language="python"):
    """What each character of each line of some code is shown as."""
    return [[run.look.syntax for run in row.runs for _ in run.text] for row in rows(f"```{language}\n{text}\n```")[1:]]


WHOLE_LANGUAGES = {
    "python": '''def f(a, *b):  # c\n    """One\n\nat the margin\n"""\n    x = f"{a!r}" + \'b\'\n@f\nclass A: "b"\n''',
    "c": "/* one\n   if two */\nint f(int a) { // b\n  return \"c\";\n}\n\nchar d = 'e';\n",
    "javascript": "/* one\n   if two */\nconst a = `b\n  ${c}`;\n\nfunction f() {\n  return /d/;\n}\n",
    "html": "<!-- one\n<b>two</b> -->\n<p class='a'>if</p>\n",
}


@pytest.mark.parametrize("language", WHOLE_LANGUAGES)
def test_code_that_is_coloured_line_by_line_looks_as_if_lexed_as_a_whole(language):
    text = (WHOLE_LANGUAGES[language] * 9).rstrip()
    whole, _ = code._lexed(language, text)
    assert kinds_of(text, language) == [[part.kind for part in line for _ in part.text] for line in whole]


def test_a_string_is_not_cut_where_code_is_lexed_anew_unless_it_is_very_long():
    string = [*['"""', "", *["if at the margin", ""] * 40], '"""']
    for before in (["x = 1"], ["x = 1"] * (LONGEST_CHUNK - 10)):
        kinds = kinds_of("\n".join([*before, *string, "y = 2"]))
        inside = kinds[len(before) : -1]
        assert {kind for line in inside for kind in line} == {"string"}
        assert "number" in kinds[-1]


def test_a_line_of_code_is_lexed_alone_while_it_is_written(monkeypatch):
    lexed: list[int] = []
    lex = code._lexed

    def counted(language, text):
        lexed.append(text.count("\n"))
        return lex(language, text)

    monkeypatch.setattr(code, "_lexed", counted)
    text = "```python\n" + "\n".join(f"written_{number} = {number}" for number in range(LONGEST_CHUNK - 10))
    growing = GrowingText()
    for end in range(20, len(text), 5):
        growing.follow(text[:end], is_live=True)
        growing.read_on()
    assert max(lexed) <= 1


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


def test_rows_of_code_stay_as_they_are_where_it_gets_too_long_to_be_coloured():
    seen, text = GrowingText(), "```python\n" + "x = 1  # $a|b\n\n" * (MOST_OPEN_LINES // 2)
    written = []
    for more in "y", "y = 2\nz = 3":
        seen.follow(clean(text + more), is_live=True)
        seen.read_on()
        written.append(seen.blocks[-1].rows)
    before, after = written
    assert after[: MOST_OPEN_LINES + 1] == before[: MOST_OPEN_LINES + 1]
    assert ["".join(run.text for run in cells(row)[0]) for row in after[-2:]] == ["y = 2", "z = 3"]


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
        follow(seen, clean(text[:length]))
    written = [run for row in seen.blocks[-1].rows for cell in cells(row) for run in cell]
    assert line.startswith(written[-1].text)
    coloured = {run.start for run in written if run.look.syntax}
    assert max(coloured, default=0) < len(begin + line * MOST_OPEN_LINES), "the rest is coloured only then"
    for whole, is_live in ((text + end, True), (text, False)):
        follow(seen, clean(whole), is_live)
        assert seen.blocks == read(clean(whole)).blocks
