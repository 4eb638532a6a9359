"""What a run looks like in a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from baton_reasoning.app.terminal.printer import print_run, summary
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION
from baton_reasoning.core.thinking.events import (
    Event,
    Finish,
    Noticed,
    PrefillProgressed,
    RunEnded,
    TextDiscarded,
    TextInserted,
    TokenWritten,
)
from baton_reasoning.core.thinking.reasons import EDITED
from baton_reasoning.core.thinking.trace import Trace


def token(text: str, author: Author = Author.SMALL) -> TokenWritten:
    return TokenWritten(0.0, author, 1, text, ends_step=text.endswith("\n\n"))


def console(out: io.StringIO, live: bool) -> Console:
    return Console(file=out, force_terminal=live, no_color=True, highlight=False, soft_wrap=True)


def printed(*events: Event, live: bool, progress: Console | None = None) -> str:
    out = io.StringIO()
    print_run(events, console(out, live), live, progress)
    return out.getvalue()


def summed_up(*events: Event) -> str:
    return summary(Trace.of(events))


LOOKAHEAD = (token("One.\n\n"), token("Wait"), token(","), TextDiscarded(0.0, 6, "Wait,", 2))


def test_discarded_text_never_appears_in_a_file():
    text = printed(*LOOKAHEAD, token("Let me see.", Author.LARGE), RunEnded(0.0, Finish.END_OF_TEXT), live=False)
    assert text.startswith("● One.\n◆ Let me see.\n")
    assert "Wait" not in text


def test_discarded_text_is_wiped_off_a_terminal():
    text = printed(*LOOKAHEAD, token("Let me see.", Author.LARGE), live=True)
    assert "● Wait,\r\033[2K◆ Let me see." in text


@pytest.mark.parametrize(("long", "rows"), [("word " * 40, 3), ("漢" * 45, 2)], ids=["200 columns", "90 columns"])
def test_all_rows_of_a_long_lookahead_are_wiped(monkeypatch, long, rows):
    """A Chinese character is two columns wide."""
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(token("One.\n\n"), token(long), TextDiscarded(0.0, 6, long, 1), live=True)
    assert text.count("\033[1A\033[2K") == rows - 1


def test_inserted_and_edited_text_and_notices_stand_on_lines_of_their_own():
    text = printed(token("One.\n\n"), TextInserted(0.0, "Let us check.", EXCESSIVE_REFLECTION.id), live=False)
    assert "▣ Let us check.\n" in text
    edited = TextInserted(0.0, "No: two.", EDITED.id, Author.PERSON)
    assert "● One.\n✎ No: two.\n" in printed(token("One.\n\n"), edited, live=False)
    assert "  It was started again.\n" in printed(token("One."), Noticed(0.0, "It was started again."), live=False)


def test_a_run_that_did_not_end_by_itself_says_how_it_ended():
    assert "ended by: time limit" in summed_up(token("One."), RunEnded(0.0, Finish.TIME))


def test_drafts_are_counted_in_the_summary():
    accepted = TokenWritten(0.0, Author.LARGE, 1, "So", drafted=True)
    after = TokenWritten(0.0, Author.LARGE, 2, " it", rejected_drafts=2)
    assert "1 of 3 drafts accepted" in summed_up(accepted, after)
    assert "drafts" not in summed_up(token("So"))


def test_a_model_cannot_steer_the_terminal():
    attack = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b2J"
    for live in (True, False):
        text = printed(token(attack), Noticed(0.0, attack), live=live)
        assert "␛]52;c;cm0gLXJm␇␛[2J" in text
        assert "\x1b]" not in text
        assert "\x1b[2J" not in text
        assert "\x9b" not in text


READING = tuple(PrefillProgressed(0.0, Author.SMALL, tokens, 1000) for tokens in (430, 860))


def test_the_progress_of_the_prompt_is_on_standard_error_until_the_first_token():
    error = io.StringIO()
    text = printed(*READING, token("One."), live=True, progress=console(error, live=True))
    erased = "\r\033[2K"
    shown = error.getvalue().replace("\033[2m", "").replace("\033[0m", "")
    assert shown == f"Reading 430 of 1,000 tokens{erased}Reading 860 of 1,000 tokens{erased}"
    assert "Reading" not in text


def test_progress_never_overwrites_text_that_is_being_written():
    error = io.StringIO()
    printed(token("One."), *READING, live=True, progress=console(error, live=True))
    assert error.getvalue() == ""


def test_progress_is_not_shown_where_standard_error_is_no_terminal():
    assert "Reading" not in printed(*READING, token("One."), live=True)
