"""The empty batch page, which opens a file, or resumes an earlier batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QWidget

from baton_reasoning.app.batch.execution import OpenedBatch
from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.toolkit.controls import (
    ElidedButton,
    ElidedLabel,
    IconButton,
    button,
    label,
    plain_tip,
    progress_bar,
    scrolling,
)
from baton_reasoning.app.toolkit.layout import STRETCH, Spacer, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.batch.running.arms import arm_title
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.text import counted
from baton_reasoning.core.words.numbers import count, day_and_time

WIDEST, BAR = 640, 60
"""Pixels of the card, and of a progress bar."""


class BatchWelcome(QWidget):
    problems_wanted = Signal(object)
    """The Path of a file or a folder."""

    def __init__(self, session: BatchSession) -> None:
        """`session`: opens and deletes the earlier batches."""
        super().__init__()
        self._session = session
        card = QFrame()
        set_role(card, Role.CARD)
        card.setMaximumWidth(WIDEST)
        text = label(
            "JSON, CSV, text, Excel, Parquet, or a folder of them. Baton solves and grades them, several "
            "at once, and compares ways to share the reasoning. Resumes where it stopped, even after a crash.",
            Role.MUTED,
            wrap=True,
        )
        self._heading = label("Earlier batches", Role.MUTED)
        self._earlier = vbox(margins=0, spacing=2)
        card.setLayout(
            vbox(
                label("Drop a file of problems", Role.TITLE),
                text,
                button("Choose a file…", self.choose_file, Role.PRIMARY),
                button("Choose a folder…", self._choose_folder),
                button("Sample: 300 problems of the demo pair", partial(self.problems_wanted.emit, BATCH_PROBLEMS)),
                8,
                self._heading,
                self._earlier,
                margins=(28, 24, 28, 24),
                spacing=10,
            )
        )
        page = holder(vbox(STRETCH, hbox(STRETCH, (card, 1000), STRETCH), Spacer(2)))
        self.setLayout(vbox(scrolling(page), margins=0))
        self._shown: Sequence[Batch] | None = None
        self._rows: dict[str, BatchRow] = {}
        session.rows_changed.connect(self._show_progress)

    def choose_file(self) -> None:
        where, _ = QFileDialog.getOpenFileName(self, "Problems")
        if where:
            self.problems_wanted.emit(Path(where))

    def _choose_folder(self) -> None:
        if where := QFileDialog.getExistingDirectory(self, "Folder of problems"):
            self.problems_wanted.emit(Path(where))

    def show_batches(self, batches: Sequence[Batch]) -> None:
        if batches == self._shown:
            return  # rows that a person may be pointing at stay
        self._shown = batches
        for row in self._rows.values():
            row.hide()
            row.deleteLater()
        self._heading.setVisible(bool(batches))
        self._rows = {batch.id: BatchRow(batch, self._session) for batch in batches}
        for row in self._rows.values():
            self._earlier.addWidget(row)

    def _show_progress(self, opened: OpenedBatch) -> None:
        if row := self._rows.get(opened.batch.id):
            row.show_progress()


class BatchRow(QWidget):
    """One earlier batch; a click anywhere opens it."""

    def __init__(self, batch: Batch, session: BatchSession) -> None:
        super().__init__()
        self._open = partial(session.open, batch.id)
        self.batch, self._session = batch, session
        arms = batch.arms
        policies = arm_title(arms[0].name) if len(arms) == 1 else count(len(arms), "policy", "policies")
        self._created = day_and_time(batch.created)
        self._text = f"{counted(batch.problems, 'problem')} · {policies}"
        self._choose = ElidedButton(batch.name)
        set_role(self._choose, Role.FLAT)
        self._choose.clicked.connect(lambda: self._open())
        self.bar = progress_bar(f"Progress of “{batch.name}”")
        self.bar.setFixedWidth(BAR)
        self.state = label("", Role.MUTED)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setLayout(
            hbox(
                self._choose,
                (ElidedLabel(self._text, Role.MUTED), 1),
                self.bar,
                self.state,
                label(self._created, Role.MUTED),
                IconButton("trash", f"Delete the batch “{batch.name}”", partial(session.delete, batch)),
                margins=0,
            )
        )
        session.changed.connect(self.show_progress)
        self.show_progress()

    def show_progress(self) -> None:
        """Show how many jobs have ended, and whether it runs."""
        executed, jobs = self._session.executed, self.batch.jobs
        runs = executed is not None and executed.batch.id == self.batch.id
        done = executed.progress.total.done if executed and runs else self.batch.done
        is_done = done == jobs
        text = "done" if is_done else f"{done:,} of {jobs:,} done"
        words = f"running, {text}" if runs else text
        self.bar.setMaximum(max(1, jobs))
        self.bar.setValue(done)
        self.bar.setVisible(not is_done)
        self.bar.setToolTip(words)
        self.state.setText(("▶ " if runs else "") + ("✓" if is_done else f"{done:,} of {jobs:,}"))
        name = f"Open the batch “{self.batch.name}” of {self._created}: {self._text}, {words}"
        self._choose.setAccessibleName(name)
        self._choose.setToolTip(plain_tip(f"{self.batch.name}\n{self._created} · {self._text} · {words}"))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() is Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self._open()
