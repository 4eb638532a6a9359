"""`baton-window`: open the window at once, then what takes longer. Without a display, the demo in the terminal."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

from app import cli

SWITCH_INTERVAL = 0.001
"""Seconds after which a thread that sets formulas lets the window go on; Python's own 5 ms would be seen."""


def main() -> int:
    multiprocessing.freeze_support()
    if not has_display():
        print("There is no display, so here is the demo in the terminal (baton --help lists what else it can do).\n")
        return cli.main(["demo"])
    return open_window()


def has_display() -> bool:
    """Whether a window can be opened; macOS and Windows always have one."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def open_window() -> int:
    # Imported here: without a display Qt's libraries need not even be there.
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from app.chat.welcome import DEMO_NOTE
    from app.shared.pair_loader import PairLoader
    from app.window.main_window import MainWindow
    from app.window.models_page import add_models_page
    from core.paths import APPLICATION, Paths

    sys.setswitchinterval(SWITCH_INTERVAL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QApplication(sys.argv)
    application.setApplicationName(APPLICATION)
    application.setApplicationDisplayName("Baton")
    paths = Paths.of_user()
    window = MainWindow(paths, PairLoader(paths))
    window.show()

    def begin() -> None:
        window.begin_work()
        add_models_page(window)
        if window.chat.greet():
            window.notice.tell(DEMO_NOTE, ("Choose models …", window.dialogs.choose_models), warns=False)

    QTimer.singleShot(0, window, begin)
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
