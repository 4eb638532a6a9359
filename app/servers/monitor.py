"""Checks servers periodically, so that the top bar is right between requests, too."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState, ServerEngine
from baton_reasoning.app.toolkit.background import LatestTask

EVERY_MS = 15_000


class ServerMonitor(QObject):
    checked = Signal()
    """All servers have been asked."""

    def __init__(self, models: LoadedModels, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self._request = LatestTask(self, "check servers")
        self.timer = QTimer(self)
        self.timer.setInterval(EVERY_MS)
        self.timer.timeout.connect(self.check)
        models.changed.connect(self._models_changed)

    def check(self) -> None:
        """Ask all servers in a thread, unless the last request is still waiting."""
        pair = self._models.pair
        engines: tuple[object, ...] = (pair.small, pair.large)
        servers = [engine for engine in engines if isinstance(engine, ServerEngine)]
        if self._request.busy or not servers:
            return

        def ping() -> None:
            for server in servers:
                server.ping()

        self._request.run(ping, lambda _: self.checked.emit())

    def _models_changed(self) -> None:
        if self._models.state is not LoadState.READY:
            self.timer.stop()
        elif not self.timer.isActive():
            self.timer.start()
            self.check()
