"""What a person chooses about a model: where it comes from, how it is loaded and writes, and how the Hub is reached.

A source is parsed once from what a person typed, and printed back as the same text:

    demo, demo:small, demo:large    one of the two tiny models that come with Baton
    models/large.gguf               a GGUF file on this machine
    hf:OWNER/NAME[:QUANT]           a GGUF file of a Hugging Face repository
    http://host:port[#MODEL]        a server, and which model where it has several
    http://…,http://…               several servers of the same model

The choices for each model are kept in `models.json`, beside the settings; the Hub's token is in the keyring instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning import resources
from baton_reasoning.core.child_process import environment_secret
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import expanded, read_json, write_json
from baton_reasoning.core.models.gguf_format import TENSOR_TYPES

# Where a model comes from ---------------------------------------------------------------------------------------------

DEMO_FOLDER = Path(resources.__path__[0]) / "demo_pair"
_HUB_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+?)(?::([\w.-]+))?")


class DemoModel(Enum):
    """One of the demo pair, which is part of the program."""

    SMALL = "demo:small"
    LARGE = "demo:large"

    @property
    def path(self) -> Path:
        return DEMO_FOLDER / ("small.gguf" if self is DemoModel.SMALL else "large.gguf")

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A GGUF file on this machine; of a model in several files, any of them."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A GGUF file of a repository on the Hub. `quantisation`, such as Q4_K_M, may be empty: the repository's usual."""

    repository: str
    quantisation: str = ""

    def __str__(self) -> str:
        return f"hf:{self.repository}" + (f":{self.quantisation}" if self.quantisation else "")


@dataclass(frozen=True, slots=True)
class ServerUrls:
    """One server, or several that serve the same model and share its work."""

    urls: tuple[str, ...]

    def __str__(self) -> str:
        return ",".join(self.urls)


ModelSource = DemoModel | LocalFile | HubFile | ServerUrls

_HOST_AND_PORT = re.compile(r"[\w.-]+:\d{1,5}(?:[/,#]|$)")
"""An address without “http”: `localhost:8080`."""


def parse_source(text: str, demo: DemoModel = DemoModel.SMALL) -> ModelSource:
    """Parse the source that a text names; `demo` is what “demo” and an empty text stand for.

    Nothing is looked up: a file need not exist. Raises SettingsError for an `hf:` name without owner and repository,
    for the home of a user that does not exist, and for a file whose name ends in white space.
    """
    text = text.strip()
    if text in ("", "demo"):
        return demo
    if text in ("demo:small", "demo:large"):
        return DemoModel(text)
    if text.startswith("hf:"):
        if not (found := _HUB_NAME.fullmatch(text)):
            raise SettingsError(f"{text} names no repository.", "Write hf:OWNER/NAME, or hf:OWNER/NAME:QUANT.")
        return HubFile(found[1], found[2] or "")
    if text.startswith(("http://", "https://")):
        return ServerUrls(tuple(url.strip() for url in text.split(",") if url.strip()))
    if _HOST_AND_PORT.match(text):
        return parse_source(f"http://{text}", demo)
    path = expanded(Path(text))
    if str(path) != str(path).strip():  # text that is typed or kept in settings loses it
        raise SettingsError(f"The name {path.name!r} ends in white space.", "Rename the file.")
    return LocalFile(path)


def file_source(path: Path) -> DemoModel | LocalFile:
    """Return the source of a file; the demo pair's own files are the demo pair, wherever the program is installed."""
    return next((demo for demo in DemoModel if demo.path == path), LocalFile(path))


def is_demo_pair(small: ModelSource, large: ModelSource) -> bool:
    """Return whether these are the demo pair, each model in its own place."""
    return local_path(small) == DemoModel.SMALL.path and local_path(large) == DemoModel.LARGE.path


def local_path(source: ModelSource) -> Path | None:
    """Return the file of a source; None for a server, and for a Hub file, which may not be downloaded."""
    return source.path if isinstance(source, DemoModel | LocalFile) else None


def server_urls(text: str) -> tuple[str, ...]:
    """Parse a text that can only name servers; one without “http” is taken for a single address."""
    with suppress(SettingsError):  # which says what else the text should be
        if isinstance(source := parse_source(text), ServerUrls):
            return source.urls
    return tuple(filter(None, [text.strip()]))


# How llama.cpp loads it -----------------------------------------------------------------------------------------------


class KvType(Enum):
    """The data type of keys and values in the KV cache; the value is ggml's type number."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q8_0 = 8

    @property
    def is_quantised(self) -> bool:
        return TENSOR_TYPES[self.value].block > 1

    def bytes_for(self, elements: int) -> int:
        kind = TENSOR_TYPES[self.value]
        return elements * kind.size // kind.block


class Switch(Enum):
    """On, off, or llama.cpp decides."""

    AUTOMATIC = "automatic"
    ON = "on"
    OFF = "off"

    @property
    def is_on(self) -> bool | None:
        """True or False; None where llama.cpp decides."""
        return {Switch.AUTOMATIC: None, Switch.ON: True, Switch.OFF: False}[self]


Context = Annotated[
    int,
    Field(
        ge=256,
        le=2**20,
        title="Context",
        description="Maximum tokens for prompt and answer.",
        json_schema_extra={"step": 1024},
    ),
]
Threads = Annotated[
    int,
    Field(
        ge=0,
        le=512,
        title="Threads",
        description="CPU threads per model; 0 is automatic: one for each fast core, fewer while others are busy.",
        json_schema_extra={"lowest": "automatic"},
    ),
]
GpuLayers = Annotated[
    int,
    Field(
        ge=-1,
        le=999,
        title="GPU layers",
        description="Layers on the GPU; -1 is automatic: all that fit.",
        json_schema_extra={"lowest": "automatic"},
    ),
]
Parallel = Annotated[int, Field(ge=1, le=256, title="Parallel requests", description="Each has the whole context.")]


class LoadOptions(BaseModel):
    """What a person may choose for loading a model. The names are llama.cpp's."""

    model_config = ConfigDict(frozen=True)

    context: Context = 8192
    batch: int = Field(512, ge=16, le=8192, title="Batch", description="Prompt tokens a decode: larger reads faster.")
    threads: Threads = 0
    gpu_layers: GpuLayers = -1
    kv_type: KvType = Field(
        KvType.F16,
        title="KV cache",
        description="q8_0 takes half the memory of f16.",
        json_schema_extra={"names": {str(kind.value): kind.name.lower() for kind in KvType}},
    )
    flash_attention: Switch = Field(
        Switch.AUTOMATIC,
        title="Flash attention",
        description="Automatic: on a GPU. On a CPU it makes a text depend on the number of threads.",
    )
    drafts: Switch = Field(
        Switch.AUTOMATIC, title="Drafts", description="The small model drafts for it. Automatic: on a GPU."
    )
    parallel: Parallel = 1

    @property
    def conflict(self) -> str:
        """Why llama.cpp cannot load a model with these options, and what to change; empty if it can."""
        if self.kv_type.is_quantised and self.flash_attention is Switch.OFF:
            name = self.kv_type.name.lower()
            return f"A {name} KV cache needs flash attention: leave that automatic, or choose f16."
        return ""


DEFAULT_OPTIONS = LoadOptions()


# How it writes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn: paper §4 defaults. Temperature 0 is greedy, top_k 0 is no limit."""

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 50


@dataclass(frozen=True, slots=True)
class ThinkingTags:
    """The texts that open and close the thinking of a model, exactly as it writes them.

    For most models `<think>`, with a newline behind it, and `</think>`.
    """

    opening: str
    closing: str


KNOWN_TAGS = (
    ThinkingTags("<think>\n", "</think>"),  # DeepSeek, Qwen, Phi, Nemotron and most others
    ThinkingTags("[THINK]", "[/THINK]"),  # Magistral, Ministral
    ThinkingTags("<seed:think>", "</seed:think>"),  # Seed-OSS
    ThinkingTags("<|START_THINKING|>", "<|END_THINKING|>"),  # Command R7B and A
    ThinkingTags("<|channel>thought\n", "<channel|>"),  # Gemma 4
    ThinkingTags("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),  # gpt-oss
    ThinkingTags("Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]"),  # Apriel
)


R1_TURN = "<｜Assistant｜>"
"""The first templates of the R1 distills end with it, and name the closing tag alone, to remove earlier thinking."""


def tags_in(template: str) -> ThinkingTags | None:
    """Guess the thinking tags of a chat template, or of a prompt rendered with it, by the opening that it names.

    Whoever renders the template knows better: see `core.engines.template_thinking`.
    """
    is_r1 = R1_TURN in template and KNOWN_TAGS[0].closing in template
    return next((tags for tags in KNOWN_TAGS if tags.opening.strip() in template), KNOWN_TAGS[0] if is_r1 else None)


class Effort(Enum):
    """How much a model is to think, in the words of gpt-oss's chat template."""

    DEFAULT = "default"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class TagSource(Enum):
    """Where the thinking tags of a model come from."""

    TEMPLATE = "its template's"
    OTHER = "others"
    NONE = "none"


def _unset(title: str, description: str, **bounds: Any) -> Any:
    """Make the field of a value that the run decides while it is not set; a form names that “Default”."""
    return Field(None, title=title, description=description, json_schema_extra={"none": "Default"}, **bounds)


class ModelOverrides(BaseModel):
    """What a person set for one model. None and “” keep the run's settings and the tags of the chat template."""

    model_config = ConfigDict(frozen=True)

    temperature: float | None = _unset("Temperature", "0 takes the likeliest token.", ge=0, le=5)
    top_p: float | None = _unset("Top-p", "Sample from this share of the probability.", gt=0, le=1)
    top_k: int | None = _unset("Top-k", "Sample from the top k tokens (0 = off).", ge=0, le=1000)
    tags: TagSource = Field(
        TagSource.TEMPLATE, title="Thinking tags", description="What opens and closes its thinking."
    )
    effort: Effort = Field(
        Effort.DEFAULT, title="Reasoning effort", description="Of models whose chat template has one, as gpt-oss."
    )
    opening: str = Field("", title="Opening tag", description="Exactly as it writes it; \\n is a newline.")
    closing: str = Field("", title="Closing tag")
    cue_list: str = Field("", title="Cues", description="Of its family, as JSON; used while it is the small model.")

    def sampling(self, run: Sampling) -> Sampling:
        """Apply this model's own values to the sampling of a run."""
        return Sampling(
            run.temperature if self.temperature is None else self.temperature,
            run.top_p if self.top_p is None else self.top_p,
            run.top_k if self.top_k is None else self.top_k,
        )

    @property
    def reasoning_effort(self) -> str:
        """The value of the template's variable of this name; empty: the template's own."""
        return "" if self.effort is Effort.DEFAULT else self.effort.value

    def thinking_tags(self, of_template: ThinkingTags | None) -> ThinkingTags | None:
        """Return the tags to use for a chat template with these tags. An incomplete pair of own tags does not count."""
        if self.tags is TagSource.NONE:
            return None
        if self.tags is TagSource.OTHER and self.opening and self.closing:
            return ThinkingTags(self.opening.replace("\\n", "\n"), self.closing.replace("\\n", "\n"))
        return of_template


NO_OVERRIDES = ModelOverrides()


# What is kept in models.json ------------------------------------------------------------------------------------------

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
