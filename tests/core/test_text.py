"""Text of models, servers and files cannot steer a terminal, and cannot flood it; tables are text, too."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.table import NOTHING, Column, Table, columns_of
from baton_reasoning.core.text import LONGEST_MESSAGE, counted, one_line, safe_json, safe_text, shell_command, some_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;cm0gLXJm\x07", "␛]52;c;cm0gLXJm␇"),
        ("\x9b2J", "\ufffd2J"),
        ("abc\rxyz\x7f", "abc␍xyz␡"),
        ("evil\u202egpj.exe", "evil\ufffdgpj.exe"),
        ("half \ud83d", "half \ufffd"),
        ("one\r\ntwo", "one\ntwo"),
        ("Let x = 2.\n\tΔ ≠ 漢字, עברית, عربي 👩‍🔬\n", "Let x = 2.\n\tΔ ≠ 漢字, עברית, عربي 👩‍🔬\n"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown_instead_and_all_other_text_stays(text, shown):
    assert safe_text(text) == shown


@given(st.text(st.characters(), max_size=300))
def test_whatever_a_text_holds_it_can_be_printed_and_json_keeps_its_values(text):
    safe_text(text).encode()
    assert not set(safe_text(text)) & {chr(code) for code in range(32)} - {"\n", "\t"}
    assert one_line(text, 20).isprintable()
    assert len(one_line(text, 20)) <= 20
    document = safe_json(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(document) == {"text": text}
    assert not set(document.encode().decode()) & set("\x7f\x9b\u202a\u202e\u2066\u2069")


def test_long_texts_and_lists_are_cut_off():
    line = one_line("x\n" * 5_000_000, LONGEST_MESSAGE)
    assert (len(line), line[-1]) == (2_000, "…")
    assert (one_line("short", 5), one_line("longer", 5)) == ("short", "long…")
    assert (one_line("a \x1bb\nc", 9), one_line("longer", 5)) == ("a ␛b c", "long…")
    assert (some_of(["a", "b"], 2), some_of(["a", "b", "c"], 2)) == ("a, b", "a, b and 1 more")
    assert counted(1_200, "problem") == "1,200 problems"


@pytest.mark.parametrize(
    ("argument", "posix", "windows"),
    [
        (r"C:\Users\me\out", r"'C:\Users\me\out'", r"C:\Users\me\out"),
        ("My results", "'My results'", '"My results"'),
        ("My results\\", "'My results\\'", '"My results\\\\"'),
        ('Is it "5"?', "'Is it \"5\"?'", r'"Is it \"5\"?"'),
        ("x^2<4&y", "'x^2<4&y'", '"x^2<4&y"'),
        ("http://a:1,http://b:2", "http://a:1,http://b:2", '"http://a:1,http://b:2"'),
        ("", "''", '""'),
        ("n1=30", "n1=30", "n1=30"),
    ],
)
def test_a_command_to_be_copied_has_the_quotes_of_this_systems_shells(argument, posix, windows, monkeypatch):
    for platform, quoted in (("linux", posix), ("darwin", posix), ("win32", windows)):
        monkeypatch.setattr(sys, "platform", platform)
        assert shell_command(["baton", argument]) == f"baton {quoted}"


TABLE = Table(
    "Accuracy",
    (Column("policy", is_number=False), Column("correct (%)"), Column("money")),
    (("Small alone", "60.0", NOTHING), ("A|B\r\n# c", "9.5", NOTHING)),
)


def test_a_table_is_aligned_text_or_markdown_a_line_for_each_row_without_empty_columns():
    table = TABLE.without_empty()
    assert table.as_text().splitlines() == [
        "policy       correct (%)",
        "Small alone         60.0",
        "A|B # c              9.5",
    ]
    assert table.as_markdown().splitlines() == [
        "| policy | correct (%) |",
        "| --- | ---: |",
        "| Small alone | 60.0 |",
        "| A\\|B # c | 9.5 |",
    ]
    assert Table("", columns_of(TABLE.headings), ()).without_empty() == Table("", TABLE.columns, ())
