"""Checks servers periodically, so that the top bar is right between requests, too."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from baton_reasoning.app.session.loaded_models import LoadedModels, ServerEngine
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
        models.changed.connect(self.timer.stop)
        models.ready.connect(self.timer.start)
        models.ready.connect(self.check)

    def check(self) -> None:
        """Ask all servers in a thread, unless the last request is still waiting."""
        servers = [engine for engine in self._models.pair.engines.values() if isinstance(engine, ServerEngine)]

        def ping() -> None:
            for server in servers:
                server.ping()

        if servers and not self._request.busy:
            self._request.run(ping, lambda _: self.checked.emit())
