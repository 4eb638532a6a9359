"""Finds the model that a person named: a file, an address, or a name that servers, Ollama or the catalogue know."""

from __future__ import annotations

import re

from baton_reasoning.core.engines.remote.known_servers import NAME, KnownServers
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.catalog import catalog_models
from baton_reasoning.core.models.library import source_named
from baton_reasoning.core.models.source import DemoModel, LocalFile, ModelSource, parse_source

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
_HUB_URL = re.compile(r"https?://[^/]+/([\w.-]+/[\w.-]+)/(?:resolve|blob)/[^/]+/.*\.gguf(?:\?.*)?")


def source_of(text: str, servers: KnownServers, demo: DemoModel = DemoModel.SMALL) -> ModelSource:
    """Return the model that a text names. Reads files. Raises SettingsError, ModelFileError."""
    if address := servers.address_of(text.strip()):
        return parse_source(address)
    if page := _HUB_URL.fullmatch(text.strip()):
        raise SettingsError(f"{text} is a file on the Hub, not a server.", f"Write hf:{page[1]}:QUANT.")
    source = source_named(text, demo)
    if not isinstance(source, LocalFile) or source.path.exists():
        return source
    if model := catalog_models().get(text.strip().lower()):
        return model.hub_file
    if _REPOSITORY.fullmatch(text) and not text.lower().endswith(".gguf"):
        raise SettingsError(f"There is no file {text}.", f"For a repository on the Hub, write hf:{text}.")
    if NAME.fullmatch(text):
        raise SettingsError(
            f"There is no file, model or server called {text}.", "See baton models pairs and baton servers list."
        )
    return source
