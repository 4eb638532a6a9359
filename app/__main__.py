"""`baton-window`: open the window at once, then what takes longer. Without a display, the demo in the terminal."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from baton_reasoning.app import cli
from baton_reasoning.app.display import display_problem

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from baton_reasoning.app.window.main_window import MainWindow

SWITCH_INTERVAL = 0.0001
"""Seconds after which a working thread lets the window go on. Each time that Qt calls a Python method the window may
have to wait so long, a hundred times for one paint."""


@click.command("baton-window", context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True})
@click.argument("qt_options", nargs=-1, type=click.UNPROCESSED)
@click.option("-V", "--version", is_flag=True, help="Print versions.")
def start(qt_options: tuple[str, ...], version: bool) -> int:
    """Open Baton's window; without a display, run the demo in the terminal.

    QT_OPTIONS are passed to Qt, -style Fusion for example. `baton --help` lists the commands for the terminal.
    """
    if version:
        from baton_reasoning.core.version import versions

        click.echo(versions())
        return 0
    if reason := display_problem():
        click.echo(f"{reason} Here is the demo in the terminal instead; baton --help lists what else it can do.\n")
        return cli.main(["demo"])
    return open_window(qt_options)


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit code; wrong usage is one sentence."""
    try:
        code: int = start.main(argv, prog_name="baton-window", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"baton-window: {error.format_message()}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130
    return code


def open_window(qt_options: Sequence[str]) -> int:
    """Show the window and work until it is closed; returns Qt's exit code."""
    from PySide6.QtCore import QTimer

    application, window = shown_window(qt_options)

    def begin() -> None:
        from baton_reasoning.app.window.models_page import LazyModelsPage

        window.begin_work()
        LazyModelsPage(window)

    QTimer.singleShot(0, window, begin)
    return application.exec()


def shown_window(qt_options: Sequence[str] = ()) -> tuple[QApplication, MainWindow]:
    """Make the application and show its window, which waits for its first paint; files and models come after it."""
    gc.disable()  # until MainThreadCollector: what is imported stays, so there is nothing to collect
    # Imported here: without a display Qt's libraries need not even be there.
    from PySide6.QtWidgets import QApplication

    from baton_reasoning.app.session.pair_loader import PairLoader
    from baton_reasoning.app.toolkit.background import MainThreadCollector
    from baton_reasoning.app.window.main_window import MainWindow
    from baton_reasoning.core.paths import APPLICATION, Paths

    sys.setswitchinterval(SWITCH_INTERVAL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QApplication([sys.argv[0], *qt_options])
    application.setApplicationName(APPLICATION)
    application.setApplicationDisplayName("Baton")
    MainThreadCollector(application)
    paths = Paths.of_user()
    window = MainWindow(paths, PairLoader(paths))
    window.show()
    return application, window


if __name__ == "__main__":
    sys.exit(main())
