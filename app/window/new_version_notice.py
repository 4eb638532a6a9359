"""Tells of a newer version of Baton, if a person wants that."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.background import BackgroundTask
from baton_reasoning.core.version import RELEASES, newer_version, version

SECONDS_APART = 24 * 60 * 60


class NewVersionNotice(QObject):
    """Asks at most once a day, in a thread, from the moment the setting is on; says nothing if there is no answer."""

    def __init__(
        self,
        preferences: Preferences,
        actions: WindowActions,
        parent: QObject,
        newer: Callable[[], str] = newer_version,
    ) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._actions = actions
        self._newer = newer
        preferences.changed.connect(self.ask)

    def ask(self) -> None:
        settings, now = self._preferences.value, time.time()
        was_asked = 0 <= now - settings.window.asked_for_version < SECONDS_APART
        if settings.updates.tell and not was_asked:
            self._preferences.change_window(asked_for_version=now)
            BackgroundTask(self, "ask for a new version", self._newer, waits=False).success(self._show).start()

    def _show(self, newer: str) -> None:
        if newer:
            text = f"Baton {newer} was released; this is {version()}."
            self._actions.say(text, ("See what is new", lambda: QDesktopServices.openUrl(QUrl(RELEASES))))
