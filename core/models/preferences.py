"""What is kept in `models.json`: where models are, how the Hub is reached, and the choices for each model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.child_process import environment_secret
from baton_reasoning.core.files import expanded, read_json, write_json
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.overrides import ModelOverrides

ENDPOINT = "https://huggingface.co"


@dataclass(frozen=True)
class HubAccess:
    """How the Hub is reached. `endpoint`: as HF_ENDPOINT, for a mirror; `token`: never written to a file."""

    endpoint: str = ENDPOINT
    token: str | None = None
    offline: bool = False


TOKEN = "huggingface.co"
"""The name of the Hub's token in the keyring."""


class LocalChoices(NamedTuple):
    """What a person chose for one model on this machine."""

    load: LoadOptions = LoadOptions()
    overrides: ModelOverrides = ModelOverrides()


class ModelPreferences(BaseModel):
    """The content of `models.json`: where models are, how the Hub is reached, and the choices for each model."""

    model_config = ConfigDict(frozen=True)

    folder: Path | None = None
    """Where downloads go; None is the program's own folder."""
    added: tuple[Path, ...] = ()
    """Files, and folders that are scanned; never changed except for a deletion that a person asked for."""
    endpoint: str = Field(ENDPOINT, pattern=r"^https?://[^\s]+$")
    offline: bool = False
    """Never ask the Hub."""
    loading: Mapping[str, LoadOptions] = Field(default_factory=dict)
    """By the path of the model."""
    overrides: Mapping[str, ModelOverrides] = Field(default_factory=dict)
    """By the path of the model."""

    def loading_of(self, model: Path) -> LoadOptions | None:
        """Return how a person chose to load the model; None if they chose nothing for it."""
        return self.loading.get(_key(model))

    def overrides_of(self, model: Path) -> ModelOverrides:
        return self.overrides.get(_key(model), ModelOverrides())

    def choices_for(self, model: Path, otherwise: LoadOptions) -> LocalChoices:
        """Return what a person chose for this model, with `otherwise` if they chose nothing about loading it.

        `parallel` is always that of `otherwise`: it depends on the work, not on the model.
        """
        chosen = self.loading_of(model)
        load = chosen.model_copy(update={"parallel": otherwise.parallel}) if chosen else otherwise
        return LocalChoices(load, self.overrides_of(model))

    def with_loading(self, model: Path, choice: LoadOptions) -> ModelPreferences:
        return self.model_copy(update={"loading": {**self.loading, _key(model): choice}})

    def with_overrides(self, model: Path, overrides: ModelOverrides) -> ModelPreferences:
        changed = {**self.overrides, _key(model): overrides}
        if overrides == ModelOverrides():
            del changed[_key(model)]
        return self.model_copy(update={"overrides": changed})

    def access(self, token: str | None) -> HubAccess:
        """Return how to reach the Hub.

        HF_ENDPOINT holds unless a person set a mirror, HF_TOKEN unless `token` is given, HF_HUB_OFFLINE always.
        """
        endpoint = self.endpoint if self.endpoint != ENDPOINT else os.environ.get("HF_ENDPOINT", ENDPOINT)
        offline = self.offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        return HubAccess(endpoint.rstrip("/"), token or environment_secret("HF_TOKEN"), offline)


def _key(model: Path) -> str:
    """Return one name for a file, however it is named."""
    return str(expanded(model).absolute())


def load_preferences(path: Path) -> ModelPreferences:
    """Read the file; what is missing or wrong in it has its default."""
    return read_json(ModelPreferences, path)


def save_preferences(preferences: ModelPreferences, path: Path) -> None:
    """Write the file atomically. Raises SettingsError."""
    write_json(preferences, path, "The choices about models")
