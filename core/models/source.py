"""Where a model comes from.

A source is parsed once from what a person typed, and printed back as the same text:

    demo, demo:small, demo:large    one of the two tiny models that come with Baton
    models/large.gguf               a GGUF file on this machine
    hf:OWNER/NAME[:QUANT]           a GGUF file of a Hugging Face repository
    http://host:port[#MODEL]        a server, and which model where it has several
    http://…,http://…               several servers of the same model
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import expanded
from baton_reasoning.resources import FOLDER

DEMO_FOLDER = FOLDER / "demo_pair"
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
