"""A formula over several pieces is set where it closes; nothing of it is lost, and none is invented."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from PySide6.QtGui import QTextDocument
from pytestqt.qtbot import QtBot

from baton_reasoning.app.shared.background import BackgroundTasks
from baton_reasoning.app.shared.rendering import TextStyle, as_plain_text
from baton_reasoning.app.shared.steps.formula_spans import GOES_ON, FormulaSpans
from baton_reasoning.app.shared.steps.steps_document import StepsDocument
from baton_reasoning.app.shared.steps.typesetting import Typesetter
from baton_reasoning.app.shared.theme import current_theme
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import TokenWritten, WriteStarted
from baton_reasoning.core.thinking.trace import Trace

Write = Callable[[Sequence[str]], tuple[StepsDocument, QTextDocument, Trace]]


def told(pieces: Sequence[str]) -> list[str]:
    spanning = FormulaSpans()
    for piece in pieces:
        spanning.add(piece)
    return [spanning.text_of(index, piece) for index, piece in enumerate(pieces)]


@pytest.mark.parametrize(
    "pieces",
    [
        ["So \\[ x = 2\n\n", "+ 3 \\] it is.", " More."],
        ["So $$ x = 2\n\n", "+ 3 $$ it is.", " More."],
        ["So \\begin{align} x = 2\n\n", "+ 3 \\end{align} it is.", " More."],
        ["So \\(x = 2", "+ 3\\) it is.", " More."],
        ["So \\boxed{x = 2", "+ 3} it is.", " More."],
    ],
)
def test_it_is_whole_where_it_closes_and_leaves_a_sign_where_it_began(pieces: list[str]) -> None:
    first, second, third = told(pieces)
    assert first == f"So {GOES_ON}"
    assert second == pieces[0].removeprefix("So ") + pieces[1]
    assert third == " More."


def test_it_may_run_over_a_whole_piece_and_the_next_may_begin_where_it_ends() -> None:
    assert told(["a \\[ 1", "+ 2", "= 3 \\] b \\[ 4", "= 4 \\]"]) == [
        f"a {GOES_ON}",
        f" {GOES_ON}",
        f"\\[ 1+ 2= 3 \\] b {GOES_ON}",
        "\\[ 4= 4 \\]",
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        ["never \\[ closed\n\n", "at all"],
        ["a stray $$ here\n\n", "and $$x$$ there"],
        ["\\[ one\n\n", "\\[ two \\] three"],
        ["it costs $5", " and $6"],
        ["`\\[` is how it opens\n\n", "and \\] how it closes"],
        ["```\n\\[\n```\n\n", "\\]"],
    ],
)
def test_what_is_no_formula_over_pieces_stays_as_it_is(pieces: list[str]) -> None:
    assert told(pieces) == pieces


def test_when_the_closing_piece_is_thrown_away_the_opening_stands_as_source_again() -> None:
    spanning = FormulaSpans()
    spanning.add("So \\[ x")
    assert list(spanning.add("= 2 \\]")) == [0]
    assert list(spanning.cut(1)) == [0]
    assert spanning.text_of(0, "So \\[ x") == "So \\[ x"
    assert list(spanning.add("= 3 \\]")) == [0]
    assert spanning.text_of(1, "= 3 \\]") == "\\[ x= 3 \\]"


@pytest.fixture
def document(qtbot: QtBot) -> Iterator[Write]:
    def write(steps: Sequence[str]) -> tuple[StepsDocument, QTextDocument, Trace]:
        trace = Trace.of([WriteStarted(0.0, Author.SMALL, None, 0)])
        for step in steps:
            trace.apply(TokenWritten(0.1, Author.SMALL, 1, step, ends_step=step.endswith("\n\n")))
        text, typesetter = QTextDocument(), Typesetter()
        steps_document = StepsDocument(text, typesetter)
        steps_document.use_style(TextStyle.of(current_theme().colours, text.defaultFont()), current_theme().colours)
        steps_document.sync(trace, trace.pieces, live=False)
        finish.append(typesetter)
        return steps_document, text, trace

    finish: list[Typesetter] = []
    yield write
    for typesetter in finish:
        BackgroundTasks.of(typesetter).close()


def test_in_the_document_the_formula_is_drawn_and_can_be_copied(document: Write, qtbot: QtBot) -> None:
    _, text, _ = document(["So\n\\[ x = 2\n\n", "+ 3 \\]\n\n", "Done."])
    qtbot.waitUntil(lambda: "\ufffc" in text.toPlainText() and GOES_ON in text.toPlainText())
    assert "\\[" not in text.toPlainText()
    assert "\\[ x = 2\n\n+ 3 \\]" in as_plain_text(text)
    assert text.toPlainText().count("Done.") == 1


def test_one_that_cannot_be_set_stands_there_as_source(document: Write, qtbot: QtBot) -> None:
    _, text, _ = document(["So \\[ \\nosuchcommand{\n\n", "2 \\]\n\n", "Done."])
    qtbot.waitUntil(lambda: GOES_ON in text.toPlainText())
    assert "nosuchcommand" in text.toPlainText()
