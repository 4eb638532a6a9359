"""The folders and files of one user, by the conventions of each system (platformdirs)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

APPLICATION = "baton"


def folder_variable(kind: str) -> str:
    """Return the environment variable that moves a folder. `kind`: DATA, CONFIG or CACHE."""
    return "WIN_PD_OVERRIDE_LOCAL_APPDATA" if sys.platform == "win32" else f"XDG_{kind}_HOME"


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one user, which need not exist."""

    data: Path
    """Conversations, batch runs, downloaded models."""
    config: Path
    cache: Path
    """What can be made again."""

    @classmethod
    def of_user(cls) -> Paths:
        """Return the folders of this user; data and settings share one on Windows and macOS."""
        folders = platformdirs.PlatformDirs(APPLICATION, appauthor=False)  # or Windows would have baton\baton
        return cls(folders.user_data_path, folders.user_config_path, folders.user_cache_path)

    @classmethod
    def under(cls, folder: Path) -> Paths:
        """Put all into one folder: for a portable program, and for tests."""
        return cls(folder / "data", folder / "config", folder / "cache")

    @property
    def settings(self) -> Path:
        return self.config / "settings.json"

    @property
    def model_preferences(self) -> Path:
        return self.config / "models.json"

    @property
    def servers(self) -> Path:
        return self.config / "servers.json"

    @property
    def store(self) -> Path:
        return self.data / "baton.sqlite"

    @property
    def model_costs(self) -> Path:
        return self.cache / "model_costs.json"

    @property
    def demo_pair(self) -> Path:
        """Holds the demo pair at the cost of a real one."""
        return self.cache / "demo pair"

    @property
    def models(self) -> Path:
        return self.data / "models"
