"""Tells whether another program has the database open, by a lock on its folder that ends with the program.

Windows needs none: there an open file cannot be renamed.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class FolderLock:
    def __init__(self, folder: Path) -> None:
        """Wait for a program that looks whether its file is damaged. Raises OSError if there is no such folder."""
        self.is_alone = True
        """Whether no other program has a database in this folder open; until `share`, none opens one."""
        if sys.platform != "win32":
            self._folder = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # held, or a file system without locks
                self.is_alone = False
                self.share()

    def share(self) -> None:
        if sys.platform != "win32":
            with suppress(OSError):
                fcntl.flock(self._folder, fcntl.LOCK_SH)

    def close(self) -> None:
        if sys.platform != "win32":
            os.close(self._folder)
