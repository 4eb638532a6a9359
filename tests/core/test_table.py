"""Tables as data, and as text and Markdown."""

from __future__ import annotations

from baton_reasoning.core.table import NOTHING, Column, Table

TABLE = Table(
    "Accuracy",
    (Column("policy", is_number=False), Column("correct", "%"), Column("money")),
    (("Small alone", "60.0", NOTHING), ("A|B", "9.5", NOTHING)),
)


def test_numbers_stand_at_the_right_and_names_at_the_left() -> None:
    assert TABLE.without_empty().as_text() == (
        "policy       correct (%)\nSmall alone         60.0\nA|B                  9.5"
    )


def test_columns_that_do_not_fit_follow_below_the_first_column() -> None:
    assert TABLE.as_text(26).splitlines() == [
        "policy       correct (%)",
        "Small alone         60.0",
        "A|B                  9.5",
        "",
        "policy       money",
        "Small alone      –",
        "A|B              –",
    ]
    assert TABLE.as_text(5).splitlines()[0] == "policy       correct (%)"  # never less than one


def test_a_column_without_a_value_can_be_left_out() -> None:
    assert TABLE.without_empty().headings == ("policy", "correct (%)")
    assert Table("", TABLE.columns, ()).without_empty().headings == TABLE.headings


def test_markdown_escapes_what_would_end_a_cell() -> None:
    assert TABLE.without_empty().as_markdown() == (
        "| policy | correct (%) |\n| --- | ---: |\n| Small alone | 60.0 |\n| A\\|B | 9.5 |"
    )
