"""A listing declares its columns once, for its table and its JSON lines."""

from __future__ import annotations

import json

from baton_reasoning.app.terminal.output import Field, listing

FIELDS: tuple[Field[int], ...] = (
    Field("name", lambda row: f"model\n{row}", "model"),
    Field("bytes", lambda row: row * 1000, "size", "{:,}".format, is_number=True),
    Field("", lambda row: "small" if row < 5 else "", ""),
    Field("whole", lambda row: row == 10),
)


def test_a_listing_is_a_table_or_json_with_a_row_on_each_line(capsys):
    listing([1, 10], FIELDS, json=False, empty="None.")
    assert capsys.readouterr().out.splitlines() == ["model       size", "model 1    1,000  small", "model 10  10,000"]
    listing([1, 10], FIELDS, json=True, empty="None.")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"name": "model\n1", "bytes": 1000, "whole": False},
        {"name": "model\n10", "bytes": 10_000, "whole": True},
    ]


def test_a_listing_without_rows_is_a_remark_and_no_table(capsys):
    listing([], FIELDS, json=False, empty="There is no model yet.")
    assert capsys.readouterr() == ("", "baton: There is no model yet.\n")
    listing([], FIELDS, json=True, empty="There is no model yet.")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_wraps_the_cells_of_a_listing(capsys, monkeypatch):
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "20"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    listing(["a word " * 8], (Field[str]("", str, "text"), Field[str]("", len, "length")), False, "None.")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 4
    assert "56" in lines[1]
