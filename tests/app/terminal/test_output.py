"""What commands print in a terminal, a pipe or a file; none of it can steer the terminal."""

import io
import json
import re
import time
from dataclasses import replace
from functools import partial
from operator import add

import pytest
from rich.console import Console
from rich.progress import Progress

from baton_reasoning.app.terminal.output import Field, ProgressLine, listing, progress, write, write_parts, write_table
from baton_reasoning.app.terminal.printer import print_run, summary
from baton_reasoning.app.terminal.streams import report, write_json
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.thinking_tags import ThinkingTags
from baton_reasoning.core.table import Column, Table, columns_of
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION
from baton_reasoning.core.thinking.events import (
    Event,
    Finish,
    Noticed,
    RunEnded,
    TextDiscarded,
    TextInserted,
    TokenWritten,
)
from baton_reasoning.core.thinking.reasons import EDITED
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes import mixed

FIELDS: tuple[Field[int], ...] = (
    Field("name", lambda row: f"model\n{row}", "model"),
    Field("bytes", lambda row: row * 1000, "size", "{:,}".format, is_number=True),
    Field("", lambda row: "small" if row < 5 else "", ""),
    Field("whole", lambda row: row == 10),
)


def token(text: str, author: Author = Author.SMALL) -> TokenWritten:
    return TokenWritten(0.0, author, 1, text, ends_step=text.endswith("\n\n"))


def printed(*events: Event, live: bool) -> str:
    out = io.StringIO()
    print_run(events, Console(file=out, force_terminal=live, no_color=True, highlight=False, soft_wrap=True), live)
    return out.getvalue()


def test_discarded_text_is_wiped_off_a_terminal_and_never_in_a_file():
    lookahead = (token("One.\n\n"), token("Wait"), token(","), TextDiscarded(0.0, 6, "Wait,", 2))
    events = (*lookahead, token("Let me see.", Author.LARGE), RunEnded(0.0, Finish.END_OF_TEXT))
    assert "● Wait,\r\033[2K◆ Let me see." in printed(*events, live=True)
    text = printed(*events, live=False)
    assert text.startswith("● One.\n◆ Let me see.\n")
    assert "Wait" not in text


@pytest.mark.parametrize(("long", "rows"), [("word " * 40, 3), ("漢" * 45, 2)])
def test_all_rows_of_a_long_lookahead_are_wiped(monkeypatch, long, rows):
    """A Chinese character is two columns wide."""
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(token("One.\n\n"), token(long), TextDiscarded(0.0, 6, long, 1), live=True)
    assert text.count("\033[1A\033[2K") == rows - 1


def test_inserted_and_edited_text_and_notices_stand_on_lines_of_their_own():
    inserted = TextInserted(0.0, "Let us check.", EXCESSIVE_REFLECTION.id)
    edited = TextInserted(0.0, "No: two.", EDITED.id, Author.PERSON)
    text = printed(token("One.\n\n"), inserted, edited, Noticed(0.0, "It was started again."), live=False)
    assert text == "● One.\n▣ Let us check.\n✎ No: two.\n  It was started again.\n"


def test_the_closing_tag_of_a_model_is_left_out_though_another_goes_on():
    tags = ThinkingTags("<thought>", "</thought>")
    first = mixed.begun(replace(mixed.SMOL, thinking=tags)), *mixed.by(Author.SMALL, "One.", "</thought>", "Two")
    then = mixed.begun(), *mixed.by(Author.SMALL, " or so")
    assert printed(*first, *then, live=False) == "● One.Two\n● or so\n"


def test_a_summary_counts_drafts_and_says_how_a_run_ended_that_did_not_end_by_itself():
    accepted = TokenWritten(0.0, Author.LARGE, 1, "So", drafted=True)
    after = TokenWritten(0.0, Author.LARGE, 2, " it", rejected_drafts=2)
    assert "1 of 3 drafts accepted" in summary(Trace.of([accepted, after]))
    late = summary(Trace.of([token("So"), RunEnded(0.0, Finish.TIME)]))
    assert "ended by: time limit" in late
    assert "drafts" not in late


def test_a_listing_is_a_table_or_json_with_a_row_on_each_line(capsys):
    listing([1, 10], FIELDS, json=False, empty="None.")
    assert capsys.readouterr().out.splitlines() == ["model       size", "model 1    1,000  small", "model 10  10,000"]
    listing([1, 10], FIELDS, json=True, empty="None.")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"name": "model\n1", "bytes": 1000, "whole": False},
        {"name": "model\n10", "bytes": 10_000, "whole": True},
    ]
    listing([], FIELDS, json=False, empty="There is no model yet.")
    assert capsys.readouterr() == ("", "baton: There is no model yet.\n")
    listing([], FIELDS, json=True, empty="There is no model yet.")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_wraps_paragraphs_and_cells_and_a_pipe_gets_lines(capsys, monkeypatch):
    words, name = "right " * 30, "x" * 100
    parts = (words, Table("Arms", columns_of(("policy", "right")), ((name, "1"),), (words,)))
    write_parts(parts)
    head = f"{'policy':100}  right"
    assert capsys.readouterr().out.splitlines() == [words, "", "Arms", head, f"{name}      1", words]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    write_parts(parts)
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(lines).count("x") == 100
    assert " ".join(lines).split().count("right") == 61


def test_a_file_or_pipe_gets_a_line_of_progress_a_minute(capsys, monkeypatch):
    with progress("Batch") as line:
        for seconds in (0, 59, 61, 100, 122):
            monkeypatch.setattr(time, "monotonic", partial(add, time.monotonic(), seconds))
            line.show(0.25, f"{seconds} s")
            monkeypatch.undo()
    assert capsys.readouterr().err.splitlines() == ["baton: Batch: 25% · 61 s", "baton: Batch: 25% · 122 s"]


def test_nothing_that_commands_print_can_steer_the_terminal(capsys, monkeypatch):
    attack = "\x9b2J\x1b]52;c;cm0gLXJm\x07\u202e\x1b[2J"
    written = [printed(token(attack), Noticed(0.0, attack), live=live) for live in (True, False)]
    write(attack)
    write_table(Table("", (Column("model"), Column(attack)), (("a", attack),)))
    write_json({"name": attack})
    monkeypatch.setenv("FORCE_COLOR", "1")
    write_table(Table("", (Column("a model in a terminal"),), ((attack,),)))
    out = io.StringIO()
    with Progress(console=Console(file=out, force_terminal=True, width=200)) as live:
        ProgressLine("Loading", live).remark(attack)
    said = "".join((*written, capsys.readouterr().out, out.getvalue()))
    assert said.count("]52;c;cm0gLXJm") == 10
    assert not {"\x9b", "\x07", "\u202e"} & set(said)
    assert not any(sign in said for sign in ("\x1b]", "\x1b[2J"))
    report("\x1b]0;title\x07" * 1_000_000)
    line = capsys.readouterr().err
    assert line.startswith("baton: ␛]0;title␇␛")
    assert len(line) < 3_000, "every line on standard error is bounded"
