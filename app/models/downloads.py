"""Downloads under way: each with its progress, and a way to stop it. What has arrived stays for the next time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.app.toolkit.controls import ElidedLabel, button, label, progress_bar
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.models.download import Downloader, DownloadManifest, DownloadProgress
from baton_reasoning.core.words.downloads import progress_text

THOUSANDTHS = 1000


class DownloadRow(QWidget):
    def __init__(self, order: DownloadManifest, token: str | None) -> None:
        super().__init__()
        self.order = order
        name = order.model.name
        self.status = label("Connecting…", Role.MUTED, wrap=True)
        self.bar = progress_bar(f"Progress of {name}")
        self.bar.setRange(0, THOUSANDTHS)
        self.stop = button("Stop", self._stop, tip="What has arrived stays", name=f"Stop the download of {name}")
        head = hbox((ElidedLabel(name), 1), (self.bar, 1), self.stop, spacing=10)
        self.setLayout(vbox(head, self.status, margins=0, spacing=2))

        def download() -> Iterator[DownloadProgress]:
            with closing(Downloader(token)) as downloader, closing(downloader.download(order)) as steps:
                yield from steps

        # What has arrived stays for the next time, so the closing window does not wait for a silent server.
        self.task = StreamTask(self, f"download {order.title}", download, waits=False).items(self._show_progress)

    def _stop(self) -> None:
        self.stop.setEnabled(False)
        self.status.setText("Stopping…")
        self.task.stop()

    def _show_progress(self, steps: list[DownloadProgress]) -> None:
        last = steps[-1]
        self.bar.setValue(last.done * THOUSANDTHS // max(last.total, 1))
        if self.stop.isEnabled():
            self.status.setText(progress_text(last))


class Downloads(QWidget):
    """The downloads under way, below the tabs; hidden while there are none."""

    changed = Signal()
    """A download has begun or ended."""
    stopped = Signal()
    """One has ended without its model, by a person or an error."""

    def __init__(self, controller: ModelsController) -> None:
        super().__init__()
        self._controller = controller
        self.rows: list[DownloadRow] = []
        self._column = vbox(margins=(0, 8, 0, 0), spacing=8)
        self.setLayout(self._column)
        self.hide()

    def is_getting(self, file: str) -> bool:
        """Whether a file with this name is being downloaded now."""
        return any(row.order.model.name == file for row in self.rows)

    def begin(self, order: DownloadManifest) -> None:
        """Start a download, unless it is under way."""
        if any(row.order.model == order.model for row in self.rows):
            return
        row = DownloadRow(order, self._controller.access().token)
        self.rows.append(row)
        self._column.addWidget(row)
        self.show()
        row.task.done(lambda error: self._ended(row, error)).start()
        self.changed.emit()

    def _ended(self, row: DownloadRow, error: BatonError | None) -> None:
        self.rows.remove(row)
        row.hide()
        row.deleteLater()
        self.setVisible(bool(self.rows))
        name, actions = row.order.model.name, self._controller.actions
        if error is None and row.order.model.exists():  # it may have ended before it could be stopped
            actions.say(f"{name} is on this machine.")
            self._controller.refresh()
        else:
            self.stopped.emit()
            if error:
                actions.show_error(error)
            else:
                actions.say(f"The download of {name} has stopped; getting it again goes on from there.")
        self.changed.emit()
