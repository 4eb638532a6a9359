"""Checks servers periodically, so that the top bar is right between requests, too."""

from __future__ import annotations

from collections.abc import Generator

from PySide6.QtCore import QObject, QTimer, Signal

from app.shared.background import BackgroundTask, run_in_background
from app.shared.loaded_models import LoadedModels, LoadState, ServerEngine
from core.errors import BatonError

EVERY_MS = 15_000


class ServerMonitor(QObject):
    looked = Signal()
    """All servers have been asked."""

    def __init__(self, models: LoadedModels, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self._task: BackgroundTask | None = None
        self.timer = QTimer(self)
        self.timer.setInterval(EVERY_MS)
        self.timer.timeout.connect(self.look)
        models.changed.connect(self._models_changed)

    def look(self) -> None:
        """In a thread; not while it still waits for an answer to the last look."""
        pair = self._models.pair
        engines: tuple[object, ...] = (pair.small, pair.large)
        servers = [engine for engine in engines if isinstance(engine, ServerEngine)]
        if self._task or not servers:
            return

        def work() -> Generator[None, None, None]:
            for server in servers:
                server.ping()
                yield

        self._task = run_in_background(self, "check servers", work, ended=self._looked, waits=False)

    def _models_changed(self) -> None:
        if self._models.state is not LoadState.READY:
            self.timer.stop()
        elif not self.timer.isActive():
            self.timer.start()
            self.look()

    def _looked(self, _error: BatonError | None) -> None:
        self._task = None
        self.looked.emit()
