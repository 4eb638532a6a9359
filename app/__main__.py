"""`baton-window`: open the window at once, then everything that takes longer."""

from __future__ import annotations

import multiprocessing
import signal
import sys

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.loading import PairLoader
from app.window import Window
from core.paths import APPLICATION, Paths

SWITCH_INTERVAL = 0.001
"""Seconds after which a thread that sets formulas lets the window go on; Python's own 5 ms would be seen."""


def main() -> int:
    multiprocessing.freeze_support()
    sys.setswitchinterval(SWITCH_INTERVAL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QApplication(sys.argv)
    application.setApplicationName(APPLICATION)
    application.setApplicationDisplayName("Baton")
    paths = Paths.of_user()
    window = Window(paths, PairLoader())
    window.show()
    QTimer.singleShot(0, window, window.begin_work)
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
