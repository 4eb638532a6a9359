"""Copy a step, all steps, the answer or the selection as text or Markdown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu

from baton_reasoning.app.shared.conversations.conversation import Exchange
from baton_reasoning.app.shared.rendering import CopyFormat, RichText, converted, written_as
from baton_reasoning.core.thinking.trace import Piece


def copy_answer(exchange: Exchange, form: CopyFormat) -> None:
    """Copy the answer, or the whole text if there is none."""
    copy_text(exchange.trace.answer.strip() or exchange.trace.text, form)


def copy_steps(exchange: Exchange, form: CopyFormat) -> None:
    copy_text(exchange.trace.text, form)


def copy_piece(piece: Piece, form: CopyFormat) -> None:
    copy_text(piece.text, form)


def copy_text(markdown: str, form: CopyFormat) -> None:
    QGuiApplication.clipboard().setText(converted(markdown, form))


def copy_selection(text: RichText, form: CopyFormat) -> None:
    QGuiApplication.clipboard().setText(written_as(text.textCursor(), form))


def add_copies(menu: QMenu, what: str, copy: Callable[[CopyFormat], None]) -> None:
    """Add a menu of the formats: "Copy the step as ▸"."""
    forms = menu.addMenu(f"Copy {what} as")
    for form in CopyFormat:
        forms.addAction(form.value[0].upper() + form.value[1:], partial(copy, form))
