"""The empty batch page, which opens a file, or resumes an earlier batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QFrame, QWidget

from baton_reasoning.app.batch.opened_batch import OpenedBatch
from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.toolkit.controls import (
    ElidedButton,
    ElidedLabel,
    IconButton,
    button,
    label,
    plain_tip,
    scrolling,
)
from baton_reasoning.app.toolkit.layout import STRETCH, Spacer, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.batch.running.batch import models_of
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.text import counted
from baton_reasoning.core.words.numbers import day_and_time

WIDEST = 640
"""Pixels of the card."""


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
        self._heading.hide()
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
    """One earlier batch."""

    def __init__(self, batch: Batch, session: BatchSession) -> None:
        super().__init__()
        self.batch, self._session = batch, session
        arms = batch.arms
        names = arms[0].name if len(arms) == 1 else counted(len(arms), "arm")
        self._created = day_and_time(batch.created)
        self._text = f"{counted(batch.problems, 'problem')} · {names}"
        self.models = ElidedLabel(models_of(batch), Role.MUTED)
        self._choose = ElidedButton(batch.name)
        set_role(self._choose, Role.FLAT)
        self._choose.clicked.connect(lambda: session.open(batch.id))
        self.state = label("", Role.MUTED)
        row = hbox(
            self._choose,
            (ElidedLabel(self._text, Role.MUTED), 1),
            self.state,
            label(self._created, Role.MUTED),
            IconButton("trash", f"Delete the batch “{batch.name}”", partial(session.delete, batch)),
            margins=0,
            spacing=8,
        )
        self.setLayout(vbox(row, hbox(12, (self.models, 1), margins=0), margins=0, spacing=0))
        session.changed.connect(self.show_progress)
        self.show_progress()

    def show_progress(self) -> None:
        """Show how many jobs have ended, and whether it runs."""
        executed, jobs = self._session.executed, self.batch.jobs
        runs = executed is not None and executed.batch.id == self.batch.id
        done = executed.progress.total.done if executed and runs else self.batch.done
        state = "done" if done == jobs else f"{done:,} of {jobs:,}"
        self.state.setText(f"running, {state}" if runs else state)
        facts = ", ".join(filter(None, (self._text, self.models.text(), self.state.text())))
        name = f"Open the batch “{self.batch.name}” of {self._created}: {facts}"
        self._choose.setAccessibleName(name)
        self._choose.setToolTip(plain_tip(name))
