"""The empty batch page, which opens a file, or resumes an earlier batch."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import (
    QFrame,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from baton_reasoning.app.toolkit.controls import (
    ElidedButton,
    ElidedLabel,
    IconButton,
    button,
    label,
    line_edit,
    plain_tip,
    progress_bar,
    see_through,
)
from baton_reasoning.app.toolkit.layout import STRETCH, Spacer, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.batch.running.arms import arm_title
from baton_reasoning.core.batch.running.progress import BatchProgress
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.text import counted
from baton_reasoning.core.words.numbers import count, day_and_time

WIDEST, SHORTEST, TALLEST, BAR = 640, 80, 260, 60
"""Pixels of the card, of the list of earlier batches (which scrolls), and of a progress bar."""


class BatchWelcome(QWidget):
    file_wanted = Signal()
    folder_wanted = Signal()
    sample_wanted = Signal()
    data_set_wanted = Signal(str)
    batch_wanted = Signal(str)
    delete_wanted = Signal(object)  # a Batch

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        card = QFrame()
        set_role(card, Role.CARD)
        card.setMaximumWidth(WIDEST)
        text = label(
            "JSON, CSV, text, Excel, Parquet, or a folder of them. Baton solves and grades them, several "
            "at once, and compares ways to share the reasoning. Resumes where it stopped, even after a crash.",
            Role.MUTED,
            wrap=True,
        )
        self.choose = button("Choose a file…", self.file_wanted.emit, Role.PRIMARY)
        self.sample = button("Sample: 300 problems of the demo pair", self.sample_wanted.emit)
        self.data_set = line_edit("Data set on the Hugging Face Hub", "Hugging Face data set: hf:OWNER/NAME")
        self.data_set.setToolTip("Such as hf:openai/gsm8k:main/test, also with @REVISION, or the address of its page")
        self.data_set.returnPressed.connect(self._read_data_set)
        self.read_data_set = button("Read", self._read_data_set, tip="Download the data set and look at its problems")
        self.read_data_set.setEnabled(False)
        self.data_set.textChanged.connect(lambda _: self.show_reading(False))
        self._heading = label("Earlier batches", Role.MUTED)
        rows = QWidget()
        self._earlier = QVBoxLayout(rows)
        self._earlier.setContentsMargins(0, 0, 0, 0)
        self._earlier.setSpacing(2)
        self._scroll = ListArea(rows)
        card.setLayout(
            vbox(
                label("Drop a file of problems", Role.TITLE),
                text,
                self.choose,
                button("Choose a folder…", self.folder_wanted.emit),
                self.sample,
                hbox((self.data_set, 1), self.read_data_set),
                8,
                self._heading,
                self._scroll,
                margins=(28, 24, 28, 24),
                spacing=10,
            )
        )
        self.setLayout(vbox(STRETCH, hbox(STRETCH, (card, 1000), STRETCH), Spacer(2)))
        self._shown: Sequence[Batch] | None = None
        self._rows: dict[str, BatchRow] = {}
        self._running = ""
        """The id of the batch that runs."""

    def show_reading(self, reads: bool) -> None:
        """Show whether a data set is being read; another name can replace it meanwhile."""
        self.read_data_set.setText("Reading…" if reads else "Read")
        self.read_data_set.setEnabled(not reads and bool(self.data_set.text().strip()))

    def _read_data_set(self) -> None:
        if name := self.data_set.text().strip():
            self.data_set_wanted.emit(name)

    def show_batches(self, batches: Sequence[Batch]) -> None:
        if batches == self._shown:
            return  # rows that a person may be pointing at stay
        self._shown = batches
        while item := self._earlier.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        for part in (self._heading, self._scroll):
            part.setVisible(bool(batches))
        self._rows = {batch.id: BatchRow(batch) for batch in batches}
        for row in self._rows.values():
            row.opened.connect(self.batch_wanted)
            row.deleted.connect(self.delete_wanted)
            row.show_progress(row.batch.done, row.batch.jobs, row.batch.id == self._running)
            self._earlier.addWidget(row)

    def show_running(self, batch_id: str) -> None:
        """Mark the batch that runs; "" for none."""
        self._running = batch_id
        for row in self._rows.values():
            row.show_progress(row.done, row.batch.jobs, row.batch.id == batch_id)

    def show_progress(self, batch: Batch, progress: BatchProgress) -> None:
        """Show how far the running batch is."""
        if row := self._rows.get(batch.id):
            row.show_progress(progress.total.done, progress.total.jobs, batch.id == self._running)


class BatchRow(QWidget):
    """One earlier batch; a click anywhere opens it."""

    opened = Signal(str)
    """The id of the batch."""
    deleted = Signal(object)
    """The Batch."""

    def __init__(self, batch: Batch, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.batch = batch
        self.done = batch.done
        arms = batch.arms
        policies = arm_title(arms[0].name) if len(arms) == 1 else count(len(arms), "policy", "policies")
        self._created = day_and_time(batch.created)
        self._text = f"{counted(batch.problems, 'problem')} · {policies}"
        self._choose = ElidedButton(batch.name)
        set_role(self._choose, Role.FLAT)
        self._choose.clicked.connect(lambda: self.opened.emit(batch.id))
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
                IconButton("trash", f"Delete the batch “{batch.name}”", lambda: self.deleted.emit(batch)),
                margins=0,
            )
        )

    def show_progress(self, done: int, jobs: int, runs: bool) -> None:
        """Show how many jobs have ended, and whether it runs."""
        self.done = done
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
            self.opened.emit(self.batch.id)


class ListArea(QScrollArea):
    """A list that is as high as its content, up to a limit."""

    def __init__(self, inside: QWidget) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._inside = inside
        self.setWidget(inside)
        see_through(self, inside)
        inside.installEventFilter(self)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), min(self._inside.sizeHint().height(), TALLEST))

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), min(self.sizeHint().height(), SHORTEST))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)
