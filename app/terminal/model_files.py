"""Find a model by its name, and download it if it is not on this machine."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from baton_reasoning.app.shared.format import duration, short_path, size
from baton_reasoning.app.terminal.output import progress, remark
from baton_reasoning.core.engines.remote.known_servers import NAME, KnownServers
from baton_reasoning.core.errors import DownloadError, SettingsError
from baton_reasoning.core.models.catalog import catalog_models
from baton_reasoning.core.models.download import Downloader, DownloadManifest, Stage
from baton_reasoning.core.models.hub import Hub, downloaded
from baton_reasoning.core.models.options import (
    DemoModel,
    HubAccess,
    HubFile,
    LocalFile,
    ModelSource,
    load_preferences,
    parse_source,
)
from baton_reasoning.core.paths import Paths

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
_HUB_URL = re.compile(r"https?://[^/]+/([\w.-]+/[\w.-]+)/(?:resolve|blob)/[^/]+/.*\.gguf(?:\?.*)?")


def source_of(text: str, demo: DemoModel = DemoModel.SMALL) -> ModelSource:
    """Return the model that a text names, also by the name of a server or in the catalogue. Raises SettingsError."""
    if address := KnownServers(Paths.of_user().servers).address_of(text.strip()):
        return parse_source(address)
    if page := _HUB_URL.fullmatch(text.strip()):
        raise SettingsError(f"{text} is a file on the Hub, not a server.", f"Write hf:{page[1]}:QUANT.")
    source = parse_source(text, demo)
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


def hub_access() -> HubAccess:
    """Return the Hub or mirror chosen in the window or by HF_ENDPOINT and HF_TOKEN, without the keyring's token."""
    return load_preferences(Paths.of_user().model_preferences).access(None)


def models_folder() -> Path:
    """Return the folder for downloads."""
    paths = Paths.of_user()
    return load_preferences(paths.model_preferences).folder or paths.models


def file_of(source: HubFile, yes: bool = False) -> Path:
    """Return the file of a model on the Hub; ask, then download it if needed. Raises DownloadError, SettingsError."""
    if path := downloaded(source, models_folder()):
        return path
    manifest = look_up(source)
    if not yes:
        _ask(manifest)
    return fetch(manifest)


def look_up(source: HubFile) -> DownloadManifest:
    """Ask the Hub which files to download. Raises DownloadError."""
    access = hub_access()
    with progress(f"Asking {urlsplit(access.endpoint).hostname or access.endpoint}"):
        return Hub(access).manifest(source, models_folder())


def fetch(manifest: DownloadManifest) -> Path:
    """Download with progress. An interrupted download is kept, and the next call resumes it."""
    downloader = Downloader(hub_access().token)
    try:
        with progress(f"Downloading {manifest.title}") as line:
            for step in downloader.download(manifest):
                left = step.seconds_left
                words = f"{size(step.done)} of {size(step.total)}"
                if step.stage is Stage.CHECKING:
                    words = "checking the hash"
                elif step.note:
                    words = step.note
                elif left is not None:
                    words += f", {size(step.speed)}/s, {duration(left)} left"
                line.show(step.done / max(1, step.total), words)
    finally:
        downloader.close()
    remark(f"{short_path(manifest.model)} is complete.")
    return manifest.model


def _ask(manifest: DownloadManifest) -> None:
    """Ask whether to download. Raises DownloadError if the answer is no, or nobody can answer."""
    here = manifest.bytes_here()
    rest = f", {size(here)} of it here already" if here else ""
    if sys.stdin is None or not sys.stdin.isatty():
        raise DownloadError(f"{manifest.title} is not on this machine ({size(manifest.bytes)}{rest}).", "Add --yes.")
    question = f"Download {manifest.title} ({size(manifest.bytes)}{rest}) into {short_path(manifest.folder)}?"
    if not click.confirm(question, default=True, err=True):
        raise DownloadError(f"{manifest.title} was not downloaded.")
