"""The empty batch page: open or drop a file, or resume an earlier batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.shared.theme import Role, set_role
from app.shared.widgets.controls import IconButton, button, label, scrolling
from core.store.batch_rows import Batch

TALLEST = 260
"""Pixels of the list of earlier batches; more of them are scrolled to."""


class BatchWelcome(QWidget):
    file_wanted = Signal()
    folder_wanted = Signal()
    sample_wanted = Signal()
    batch_wanted = Signal(str)
    delete_wanted = Signal(object)  # a Batch

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        card = QFrame()
        set_role(card, Role.CARD)
        card.setFixedWidth(560)
        inside = QVBoxLayout(card)
        inside.setContentsMargins(28, 24, 28, 24)
        inside.setSpacing(10)
        inside.addWidget(label("Drop a file of problems", Role.TITLE))
        words = label(
            "JSON, CSV, text, Markdown, Parquet, or a folder of them. Baton solves and grades them, several at once, "
            "and compares ways to share the reasoning. Resumes where it stopped, even after a crash.",
            Role.MUTED,
        )
        words.setWordWrap(True)
        inside.addWidget(words)
        self.choose = button("Choose a file…", self.file_wanted.emit, Role.PRIMARY)
        self.sample = button("Sample: 300 problems of the demo pair", self.sample_wanted.emit)
        for way in (self.choose, button("Choose a folder…", self.folder_wanted.emit), self.sample):
            inside.addWidget(way)
        self._heading = label("Earlier batches", Role.CAPTION)
        inside.addSpacing(8)
        inside.addWidget(self._heading)
        rows = QWidget()
        self._earlier = QVBoxLayout(rows)
        self._earlier.setContentsMargins(0, 0, 0, 0)
        self._earlier.setSpacing(2)
        self._scroll = scrolling(rows)
        inside.addWidget(self._scroll)
        column = QVBoxLayout(self)
        column.addStretch(1)
        middle = QHBoxLayout()  # an alignment would take the height of the words on one line
        middle.addStretch(1)
        middle.addWidget(card)
        middle.addStretch(1)
        column.addLayout(middle)
        column.addStretch(2)
        self._shown: Sequence[Batch] | None = None

    def show_batches(self, batches: Sequence[Batch]) -> None:
        if batches == self._shown:
            return  # rows that a person may be pointing at stay
        self._shown = batches
        while item := self._earlier.takeAt(0):
            if widget := item.widget():
                widget.deleteLater()
        for part in (self._heading, self._scroll):
            part.setVisible(bool(batches))
        for batch in batches:
            self._earlier.addWidget(self._row(batch))
        self._scroll.setFixedHeight(min(self._earlier.sizeHint().height(), TALLEST))

    def _row(self, batch: Batch) -> QWidget:
        done = "done" if batch.done == batch.jobs else f"{batch.done:,} of {batch.jobs:,} done"
        arms = f"{len(batch.arms)} arms" if len(batch.arms) != 1 else batch.arms[0].name
        words = f"{batch.name}  ·  {batch.problems:,} problems, {arms}  ·  {done}"
        row = QWidget()
        side_by_side = QHBoxLayout(row)
        side_by_side.setContentsMargins(0, 0, 0, 0)
        side_by_side.addWidget(button(words, partial(self.batch_wanted.emit, batch.id), Role.FLAT), 1)
        name = f"Delete the batch “{batch.name}”"
        side_by_side.addWidget(IconButton("trash", name, partial(self.delete_wanted.emit, batch)))
        return row
