"""Tables as data, and as text and Markdown."""

from __future__ import annotations

from baton_reasoning.core.table import NOTHING, Column, Table, columns_of

TABLE = Table(
    "Accuracy",
    (Column("policy", is_number=False), Column("correct (%)"), Column("money")),
    (("Small alone", "60.0", NOTHING), ("A|B", "9.5", NOTHING)),
)


def test_numbers_stand_at_the_right_and_names_at_the_left():
    assert TABLE.without_empty().as_text() == (
        "policy       correct (%)\nSmall alone         60.0\nA|B                  9.5"
    )


def test_a_column_without_a_value_can_be_left_out():
    assert TABLE.without_empty().headings == ("policy", "correct (%)")
    assert Table("", TABLE.columns, ()).without_empty().headings == TABLE.headings


def test_markdown_escapes_what_would_end_a_cell():
    assert TABLE.without_empty().as_markdown() == (
        "| policy | correct (%) |\n| --- | ---: |\n| Small alone | 60.0 |\n| A\\|B | 9.5 |"
    )


def test_a_row_is_a_line_whatever_its_cells_hold():
    table = Table("", columns_of(("id", "right")), (("a\n# b\r\nc", "1"),))
    assert table.as_text() == "id       right\na # b c      1"
    assert table.as_markdown().splitlines()[2:] == ["| a # b c | 1 |"]
