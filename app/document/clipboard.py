"""Copy what a model wrote, as it wrote it."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication

from baton_reasoning.app.session.conversation import Exchange


def copy_answer(exchange: Exchange) -> None:
    """Copy the answer, or the whole text if there is none."""
    copy_text(exchange.trace.answer.strip() or exchange.trace.text)


def copy_text(text: str) -> None:
    QGuiApplication.clipboard().setText(text.strip())
