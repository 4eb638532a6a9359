"""Keeps what a person chose, as pydantic models: the form in the window and the settings file are made from them.

A value that is wrong or unknown (another version of Baton, a slip in an editor) falls back to its default alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_serializer, field_validator

from baton_reasoning.core.demo_pair import demo_settings
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import read_json, write_json
from baton_reasoning.core.models.load_options import Context, GpuLayers, LoadOptions, Parallel, Threads
from baton_reasoning.core.models.source import DemoModel, ModelSource, ServerUrls, is_demo_pair, parse_source
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.automatic import with_policy
from baton_reasoning.core.thinking.policies.automatic import Automatic

SMALLEST_TEXT, LARGEST_TEXT = 0.7, 2.5
"""The text sizes that can be chosen, as shares of the usual one."""


class ColourScheme(Enum):
    """The theme. `SYSTEM` follows the desktop, also when it changes at dusk."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Appearance(BaseModel):
    model_config = ConfigDict(frozen=True)

    look: ColourScheme = Field(
        ColourScheme.SYSTEM,
        title="Theme",
        description="Light, dark, or as the desktop is.",
        json_schema_extra={"names": {"system": "Match system", "light": "Light", "dark": "Dark"}},
    )
    text_size: float = Field(
        1.0,
        ge=SMALLEST_TEXT,
        le=LARGEST_TEXT,
        title="Text size",
        description="100% is the system's own size, 13 pixels at least.",
        json_schema_extra={"percent": True},
    )


DEMO_OF = {Author.SMALL: DemoModel.SMALL, Author.LARGE: DemoModel.LARGE}


class ModelChoice(BaseModel):
    """The two models of the window; at first the demo pair. In the settings file each is a string (`parse_source`)."""

    model_config = ConfigDict(frozen=True)

    small: ModelSource = Field(
        DemoModel.SMALL, title="Small model", description="A GGUF file, or the address of a server."
    )
    large: ModelSource = Field(
        DemoModel.LARGE, title="Large model", description="A GGUF file, or the address of a server."
    )
    context: Context = 8192
    threads: Threads = 0
    gpu_layers: GpuLayers = -1
    parallel: Parallel = Field(1, description="A batch asks for as many as it needs.")

    @field_validator("small", "large", mode="before")
    @classmethod
    def _parse(cls, value: Any, field: ValidationInfo) -> Any:
        try:
            return parse_source(value, DEMO_OF[Author(field.field_name)]) if isinstance(value, str) else value
        except SettingsError as error:
            raise ValueError(error.message) from error

    @field_serializer("small", "large")
    def _print(self, source: ModelSource) -> str:
        return str(source)

    def get(self, author: Author) -> ModelSource:
        return self.small if author is Author.SMALL else self.large

    @property
    def load_options(self) -> LoadOptions:
        """How a file is loaded for which a person has chosen nothing on the Models page."""
        return LoadOptions(**self.model_dump(include=set(LoadOptions.model_fields)))

    def replaced(self, author: Author, source: ModelSource) -> ModelChoice:
        """Return the choice with another model in one place."""
        return self.model_copy(update={author.value: source})

    @property
    def on_server(self) -> Author | None:
        """Return the model that is on a server, the large one if both are; None if neither is."""
        authors = (Author.LARGE, Author.SMALL)
        return next((author for author in authors if isinstance(self.get(author), ServerUrls)), None)

    @property
    def is_demo(self) -> bool:
        return is_demo_pair(self.small, self.large)


class WindowState(BaseModel):
    """How the window was left. No form asks for any of it."""

    model_config = ConfigDict(frozen=True)

    geometry: str = ""
    """Qt's own bytes, in base64."""
    sidebar: bool = True
    sidebar_width: int = Field(228, ge=120)
    inspector_width: int = Field(372, ge=200)
    expert: bool = False
    """Whether the settings dialog shows all settings, not only the usual ones."""
    recent_pairs: tuple[tuple[str, str], ...] = ()
    """Small and large model of the pairs that were used, newest first: files and addresses."""
    folds_reasoning: bool = True
    """Whether a person folded the reasoning last, or opened it: so it is in the next answers."""
    model_folder: str = ""
    """Where a model was chosen last."""
    file_folder: str = ""
    """The folder of the last export or import."""
    page: str = "chat"
    conversation: str = ""
    """The conversation that was open."""
    compared: tuple[str, ...] = ()
    """The arms that were compared last, from left to right; empty means the usual three."""


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True)

    appearance: Appearance = Field(default_factory=Appearance, title="Appearance")
    models: ModelChoice = Field(default_factory=ModelChoice, title="Models")
    run: RunSettings = Field(
        default_factory=lambda: RunSettings(policy=Automatic.Settings(), alternatives=5), title="Answers"
    )
    window: WindowState = Field(default_factory=WindowState, title="Window")

    def effective_run(self, cards: Mapping[Author, ModelCard] | None = None) -> RunSettings:
        """Return the settings of the next answer. `cards`: of the chosen models, once they are loaded."""
        return with_policy(demo_settings(self.run) if self.models.is_demo else self.run, cards or {})


class SettingsFile:
    """Reads and writes the settings on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Settings:
        """Read the settings; a value that is missing or wrong has its default. Never raises."""
        return read_json(Settings, self.path)

    def save(self, settings: Settings) -> None:
        """Write the whole file, or leave the old one as it is. Raises SettingsError."""
        write_json(settings, self.path, "The settings")
