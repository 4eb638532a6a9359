"""Looks now and then whether servers are still there, so that the top bar is right while nobody asks them anything."""

from __future__ import annotations

from collections.abc import Generator

from PySide6.QtCore import QObject, QTimer

from app.shared.background import BackgroundTask
from app.shared.loaded_models import LoadedModels, LoadState, ServerEngine

EVERY_MS = 15_000


class ServerMonitor(QObject):
    def __init__(self, models: LoadedModels, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self._errand: BackgroundTask | None = None
        self.timer = QTimer(self)
        self.timer.setInterval(EVERY_MS)
        self.timer.timeout.connect(self.look)
        models.changed.connect(self._models_changed)

    def look(self) -> None:
        """In a thread; not while it still waits for an answer to the last look."""
        pair = self._models.pair
        engines: tuple[object, ...] = (pair.small, pair.large)
        servers = [engine for engine in engines if isinstance(engine, ServerEngine)]
        if self._errand or not servers:
            return

        def work() -> Generator[None, None, None]:
            for server in servers:
                server.ping()
                yield

        self._errand = BackgroundTask("look at servers", work, parent=self)
        self._errand.ended.connect(self._looked)
        self._errand.start()

    def finish(self) -> None:
        """The window is closing: a silent server is not waited for."""
        self.timer.stop()
        if self._errand:
            self._errand.stop()

    def _models_changed(self) -> None:
        if self._models.state is not LoadState.READY:
            self.timer.stop()
        elif not self.timer.isActive():
            self.timer.start()
            self.look()

    def _looked(self) -> None:
        if self._errand:
            self._errand.deleteLater()
        self._errand = None
