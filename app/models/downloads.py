"""Downloads under way, paused and failed: each with its progress, and ways to pause, go on and cancel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from enum import Enum, auto

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.toolkit.background import LatestTask, StreamTask
from baton_reasoning.app.toolkit.controls import ElidedLabel, button, label, progress_bar
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.models.download import DownloadManifest, DownloadProgress, Stage, discard, find_unfinished
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.words.numbers import duration

THOUSANDTHS = 1000


def progress_text(progress: DownloadProgress) -> str:
    amount = f"{in_gib(progress.done)} of {in_gib(progress.total)}"
    match progress.stage:
        case Stage.CHECKING:
            return f"Checking what arrived: {amount}"
        case Stage.WAITING:
            return f"{amount} · {progress.note}"
        case Stage.DOWNLOADING:
            left = progress.seconds_left
            speed = f" · {progress.speed / 1e6:.1f} MB/s" if progress.speed else ""
            return f"{amount}{speed}" + (f" · {duration(left)} left" if left is not None else "")


class DownloadState(Enum):
    RUNNING = auto()
    PAUSED = auto()
    FAILED = auto()
    DONE = auto()
    CANCELLED = auto()


class DownloadRow(QWidget):
    changed = Signal()
    """It has begun, is being stopped, or has stopped."""
    ended = Signal(object)
    """The row itself, when it is done or cancelled."""

    def __init__(self, order: DownloadManifest, controller: ModelsController) -> None:
        super().__init__()
        self.order = order
        self._controller = controller
        self._task: StreamTask[DownloadProgress] | None = None
        self.state = DownloadState.PAUSED
        name = order.model.name
        self.status = label("", Role.MUTED, wrap=True)
        self.bar = progress_bar(f"Progress of {name}")
        self.bar.setRange(0, THOUSANDTHS)
        self.switch = button("Go on", self.toggle)
        cancel = button("Cancel", self.cancel, tip="Remove what has arrived", name=f"Cancel the download of {name}")
        head = hbox((ElidedLabel(name), 1), (self.bar, 1), self.switch, cancel, spacing=10)
        self.setLayout(vbox(head, self.status, margins=0, spacing=2))
        self._show_amount()

    @property
    def is_busy(self) -> bool:
        """Whether it runs, or is still being stopped."""
        return self._task is not None

    def toggle(self) -> None:
        if self.state is DownloadState.RUNNING:
            self._stop(DownloadState.PAUSED)
        elif self._task is None:  # it may still be stopping
            self.start()

    def start(self) -> None:
        order, access = self.order, self._controller.access()
        # The token is for the Hub that it was made for, and no other host that a note on the disk may name.
        own = order.files[0].url.startswith(f"{access.endpoint}/")
        token = access.token if own else None

        def download() -> Iterator[DownloadProgress]:
            from baton_reasoning.core.models.download import Downloader  # with it comes the network

            downloader = Downloader(token)
            try:
                with closing(downloader.download(order)) as steps:
                    yield from steps
            finally:
                downloader.close()

        # What has arrived stays for the next time, so the closing window does not wait for a silent server.
        self._task = StreamTask(self, f"download {order.title}", download, waits=False)
        self._show(DownloadState.RUNNING, "Connecting…")
        self._task.items(self._show_progress).done(self._ended).start()

    def cancel(self) -> None:
        if self._task is None:
            self._discard()
        else:
            self._stop(DownloadState.CANCELLED)

    def _stop(self, state: DownloadState) -> None:
        assert self._task
        self._show(state, "Stopping…")
        self._task.stop()

    def _show_progress(self, steps: list[DownloadProgress]) -> None:
        last = steps[-1]
        self.bar.setValue(last.done * THOUSANDTHS // max(last.total, 1))
        if self.state is DownloadState.RUNNING:
            self.status.setText(progress_text(last))

    def _ended(self, error: BatonError | None) -> None:
        self._task = None
        is_whole = error is None and self.order.model.exists()  # it may have ended before it could be stopped
        if self.state is DownloadState.CANCELLED and not is_whole:
            self._discard()
        elif error is not None:
            self._show(DownloadState.FAILED, f"✗ {error}")
        elif self.state is DownloadState.PAUSED and not is_whole:
            self._show_amount()
        else:
            self._show(DownloadState.DONE, "✓ On this machine")
            self.ended.emit(self)

    def _discard(self) -> None:
        try:
            discard(self.order)
        except BatonError as error:
            self._show(DownloadState.FAILED, f"✗ {error}")
            return
        self._show(DownloadState.CANCELLED, "Cancelled; nothing of it is left")
        self.ended.emit(self)

    def _show_amount(self) -> None:
        here = self.order.bytes_here()
        self.bar.setValue(here * THOUSANDTHS // max(self.order.bytes, 1))
        self._show(DownloadState.PAUSED, f"Paused: {in_gib(here)} of {in_gib(self.order.bytes)} are here")

    def _show(self, state: DownloadState, text: str) -> None:
        self.state = state
        self.status.setText(text)
        set_role(self.status, Role.DANGER if state is DownloadState.FAILED else Role.MUTED)
        self.switch.setText("Pause" if state is DownloadState.RUNNING else "Go on")
        self.switch.setAccessibleName(f"{self.switch.text()}: {self.order.model.name}")
        self.changed.emit()


class Downloads(QWidget):
    """The downloads that have not ended, below the tabs; hidden while there are none."""

    changed = Signal()
    """A download was added, has ended, or has another state."""
    cancelled = Signal()

    def __init__(self, controller: ModelsController) -> None:
        super().__init__()
        self._controller = controller
        self.rows: list[DownloadRow] = []
        self._search = LatestTask(self, "find unfinished downloads", controller.actions.show_error)
        self._column = vbox(margins=(0, 8, 0, 0), spacing=8)
        self.setLayout(self._column)
        self.hide()

    def find_unfinished(self) -> None:
        """Show what an earlier session, or a crash, has left; it waits for a person to go on."""
        folder = self._controller.folder
        self._search.run(lambda: find_unfinished(folder), self._show_unfinished)

    def is_getting(self, file: str) -> bool:
        """Whether a file with this name is being downloaded now."""
        return any(row.is_busy and row.order.model.name == file for row in self.rows)

    def begin(self, order: DownloadManifest) -> None:
        """Start a download; one that is here already goes on."""
        row = self._row_of(order)
        if row.state is not DownloadState.RUNNING:
            row.toggle()

    def _show_unfinished(self, orders: tuple[DownloadManifest, ...]) -> None:
        for order in orders:
            self._row_of(order)

    def _row_of(self, order: DownloadManifest) -> DownloadRow:
        """Return the row of a download; a new one if there is none."""
        for row in self.rows:
            if row.order.model == order.model:
                return row
        row = DownloadRow(order, self._controller)
        row.changed.connect(self.changed)
        row.ended.connect(self._ended)
        self.rows.append(row)
        self._column.addWidget(row)
        self.show()
        self.changed.emit()
        return row

    def _ended(self, row: DownloadRow) -> None:
        self.rows.remove(row)
        row.hide()
        row.deleteLater()
        name = row.order.model.name
        if row.state is DownloadState.DONE:
            self._controller.actions.say(f"{name} is on this machine.")
            self._controller.refresh()
        else:
            self._controller.actions.say(f"The download of {name} was cancelled; nothing of it is left.")
            self.cancelled.emit()
        self.setVisible(bool(self.rows))
        self.changed.emit()
