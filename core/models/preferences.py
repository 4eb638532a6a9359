"""What a person chose about models: where they are kept, how the Hub is reached, how each is loaded and writes.

Kept in one file, `models.json`, beside the settings; the Hub's token is not in it, but in the keyring.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from core.files import read_json, write_json
from core.models.fit import KvType, MemoryEstimate, estimate
from core.models.gguf import GgufHeader
from core.models.hub_listing import ENDPOINT, HubAccess
from core.models.loading import LocalOptions
from core.models.overrides import NO_TAGS, ModelOverrides, ThinkingTags


class Switch(Enum):
    """A switch that may be left to llama.cpp."""

    AUTOMATIC = "automatic"
    ON = "on"
    OFF = "off"


class LoadingChoice(BaseModel):
    """How one model is loaded. The names are llama.cpp's."""

    model_config = ConfigDict(frozen=True)

    context: int = Field(8192, ge=256, le=2**20, title="Context", description="Tokens of prompt and answer.")
    batch: int = Field(512, ge=16, le=8192, title="Batch", description="Tokens read at once: larger reads faster.")
    threads: int = Field(0, ge=0, le=512, title="Threads", description="On the CPU; 0 leaves room for the window.")
    gpu_layers: int = Field(-1, ge=-1, le=999, title="GPU layers", description="-1 is as many as fit.")
    kv_type: KvType = Field(KvType.F16, title="KV cache", description="q8_0 takes half the memory of f16.")
    flash_attention: Switch = Field(Switch.AUTOMATIC, title="Flash attention")

    @property
    def conflict(self) -> str:
        """Why it could not be loaded like this at all, and what would do; empty if it could."""
        if self.kv_type is KvType.Q8_0 and self.flash_attention is Switch.OFF:
            return "A q8_0 KV cache needs flash attention: leave that automatic, or choose f16."
        return ""

    def estimate(self, header: GgufHeader) -> MemoryEstimate:
        """What the model would take, loaded like this."""
        flash = self.flash_attention is not Switch.OFF
        return estimate(header, self.context, self.kv_type, batch=self.batch, flash_attention=flash)

    def options(self) -> LocalOptions:
        flash = {Switch.AUTOMATIC: None, Switch.ON: True, Switch.OFF: False}[self.flash_attention]
        return LocalOptions(
            context=self.context,
            batch=self.batch,
            threads=self.threads,
            gpu_layers=self.gpu_layers,
            kv_type=self.kv_type.name.lower(),
            flash_attention=flash,
        )


class Tags(Enum):
    """Where the thinking tags of a model come from."""

    TEMPLATE = "its template's"
    OTHER = "others"
    NONE = "none"


_THE_RUNS: JsonDict = {"none": "as the run"}
"""For a form: what a value that is not set is called."""


class WritingChoice(BaseModel):
    """How one model writes, wherever that is to be other than the run's settings; None and “” leave those."""

    model_config = ConfigDict(frozen=True)

    temperature: float | None = Field(
        None, ge=0, le=5, title="Temperature", description="0 takes the likeliest token.", json_schema_extra=_THE_RUNS
    )
    top_p: float | None = Field(
        None, gt=0, le=1, title="Top-p", description="Draw from a share of the chances.", json_schema_extra=_THE_RUNS
    )
    top_k: int | None = Field(
        None, ge=0, le=1000, title="Top-k", description="Draw from so many; 0 is no limit.", json_schema_extra=_THE_RUNS
    )
    tags: Tags = Field(Tags.TEMPLATE, title="Thinking tags", description="What opens and closes its thinking.")
    opening: str = Field("", title="Opening tag")
    closing: str = Field("", title="Closing tag")
    cue_list: str = Field("", title="Cues", description="Of its family, as JSON; used while it is the small model.")

    @property
    def own(self) -> ModelOverrides:
        thinking = {Tags.TEMPLATE: None, Tags.NONE: NO_TAGS, Tags.OTHER: self._other_tags}[self.tags]
        return ModelOverrides(self.temperature, self.top_p, self.top_k, thinking, self.cue_list)

    @property
    def _other_tags(self) -> ThinkingTags | None:
        """None while one of the two is missing."""
        return ThinkingTags(self.opening, self.closing) if self.opening and self.closing else None


class ModelPreferences(BaseModel):
    model_config = ConfigDict(frozen=True)

    folder: Path | None = None
    """Where downloads go; None is the program's own folder."""
    more_folders: tuple[Path, ...] = ()
    """Looked into, and never changed but for a deletion that a person asked for."""
    endpoint: str = Field(
        ENDPOINT, title="Hub", pattern=r"^https?://[^\s]+$", description="Or the address of a mirror."
    )
    offline: bool = Field(False, title="Offline", description="Never ask the Hub.")
    loading: Mapping[str, LoadingChoice] = Field(default_factory=dict)
    """By the path of the model."""
    writing: Mapping[str, WritingChoice] = Field(default_factory=dict)
    """By the path of the model."""
    cue_shares: Mapping[str, float] = Field(default_factory=dict)
    """By the path of the model: how many of its steps open with a known cue, as its profile found (0 to 1)."""

    def loading_of(self, model: Path) -> LoadingChoice | None:
        """None if a person has chosen nothing for it."""
        return self.loading.get(_key(model))

    def writing_of(self, model: Path) -> WritingChoice:
        return self.writing.get(_key(model), WritingChoice())

    def cue_share_of(self, model: Path) -> float | None:
        return self.cue_shares.get(_key(model))

    def options_for(self, model: Path, otherwise: LocalOptions) -> LocalOptions:
        """What a person chose for this model; `otherwise` if nothing. Texts at once are never a model's own choice."""
        choice = self.loading_of(model)
        options = replace(choice.options(), parallel=otherwise.parallel) if choice else otherwise
        return replace(options, own=self.writing_of(model).own)

    def with_loading(self, model: Path, choice: LoadingChoice) -> "ModelPreferences":
        return self.model_copy(update={"loading": {**self.loading, _key(model): choice}})

    def with_writing(self, model: Path, choice: WritingChoice) -> "ModelPreferences":
        writing = {**self.writing, _key(model): choice}
        if choice == WritingChoice():
            del writing[_key(model)]
        return self.model_copy(update={"writing": writing})

    def with_cue_share(self, model: Path, share: float) -> "ModelPreferences":
        return self.model_copy(update={"cue_shares": {**self.cue_shares, _key(model): share}})

    def access(self, token: str | None) -> HubAccess:
        """HF_ENDPOINT counts unless a person set a mirror; HF_TOKEN unless there is one in the keyring."""
        endpoint = self.endpoint if self.endpoint != ENDPOINT else os.environ.get("HF_ENDPOINT", ENDPOINT)
        return HubAccess(endpoint.rstrip("/"), token or os.environ.get("HF_TOKEN") or None, self.offline)


def _key(model: Path) -> str:
    """One name for a file, from wherever it is named."""
    return str(model.expanduser().absolute())


def load_preferences(path: Path) -> ModelPreferences:
    """What the file says; the default for what is missing or wrong in it."""
    return read_json(ModelPreferences, path)


def save_preferences(preferences: ModelPreferences, path: Path) -> None:
    """Write the whole file, or leave the old one as it is. Raises SettingsError."""
    write_json(preferences, path, "The choices about models")
