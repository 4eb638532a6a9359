"""What an installed Baton is called and started by: the package `baton`, which holds `app`, `core` and `resources`.

In the repository those three lie at the top, and import each other as `core…` and `app…`. Installed there they would
take names that other projects use, and uninstalling either would damage the other. So the wheel puts them inside this
package (setup.py), and the commands add this folder to `sys.path` before they import anything of it. Child processes
inherit `sys.path` from their parent, so they find the same modules.
"""

from __future__ import annotations

import sys
from pathlib import Path


def terminal() -> int:
    """The command `baton`."""
    add_program_to_path()
    from app.cli import main

    return main()


def window() -> int:
    """The command `baton-window`."""
    add_program_to_path()
    from app.__main__ import main

    return main()


def add_program_to_path() -> None:
    """Let `import app` and `import core` find Baton's own packages, before any others of these names."""
    folder = str(program_folder())
    if folder not in sys.path:
        sys.path.insert(0, folder)


def program_folder() -> Path:
    """The folder that holds `app`, `core` and `resources`: this package, or the repository in an editable install."""
    here = Path(__file__).resolve().parent
    return here if (here / "core").is_dir() else here.parent.parent
