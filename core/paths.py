"""The folders and files of one user, by the conventions of each system (platformdirs)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs

APPLICATION = "baton"


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
        return cls(
            data=platformdirs.user_data_path(APPLICATION),
            config=platformdirs.user_config_path(APPLICATION),
            cache=platformdirs.user_cache_path(APPLICATION),
        )

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
