"""`baton models`: find models by name; list, search, download and delete them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from baton_reasoning.app.shared.expected_speed import relative_time
from baton_reasoning.app.shared.format import duration, parameter_count, short_path, size
from baton_reasoning.app.terminal.command_line import as_json, command, command_group, deliberate_option, option
from baton_reasoning.app.terminal.output import progress, remark, write, write_table
from baton_reasoning.app.terminal.standard_input import confirmed
from baton_reasoning.app.terminal.streams import ExitCode, report, write_json, write_json_lines
from baton_reasoning.core.engines.remote.known_servers import NAME, KnownServers
from baton_reasoning.core.errors import DownloadError, ModelFileError, SettingsError
from baton_reasoning.core.expected_time import ModelCost
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models.catalog import USUAL_CONTEXT, CatalogPair, catalog_models, pairs_that_fit
from baton_reasoning.core.models.devices import find_devices
from baton_reasoning.core.models.download import Downloader, DownloadManifest, Stage
from baton_reasoning.core.models.hub import Hub, downloaded
from baton_reasoning.core.models.library import (
    Inventory,
    LocalModel,
    delete_for_good,
    known_folders,
    move_to_trash,
    scan,
)
from baton_reasoning.core.models.options import (
    DEMO_FOLDER,
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


@command_group("models")
def models() -> None:
    """List, search, download and delete models.

    The Hub, or a mirror of it, is the one chosen in the window or in HF_ENDPOINT; HF_TOKEN opens gated repositories.
    """


@command("list", models)
@as_json
def list_models(json: bool) -> int:
    """List the models in Baton's folder and in those of LM Studio, llama.cpp and Hugging Face."""
    found = _inventory()
    rows = [
        {
            "name": model.header.name,
            "quantisation": model.header.quantisation,
            "bytes": model.header.file_bytes,
            "parameters": model.header.parameters,
            "context": model.header.context_length,
            "file": str(model.header.shards[0]),
            "folder": model.source.value,
        }
        for model in found.models
    ]
    if json:
        write_json_lines(rows)
    else:
        write_table(
            ("model", "parameters", "quantisation", "size", "context", "file"),
            [
                (
                    model.header.name,
                    parameter_count(model.header.parameters),
                    model.header.quantisation,
                    size(model.header.file_bytes),
                    f"{model.header.context_length:,}",
                    short_path(model.header.shards[0]),
                )
                for model in found.models
            ],
            right=(1, 3, 4),
        )
    for broken in found.broken:
        report(broken.reason)
    return ExitCode.ANSWERED


@command("pairs", models)
@option("-c", "--context", type=click.IntRange(min=256), default=USUAL_CONTEXT, help="Tokens [16384].")
@as_json
def list_pairs(context: int, json: bool) -> int:
    """List the pairs of the catalogue that fit this machine, the lightest first.

    "time": of the pair, of the large model's alone, at a large share of 20%; with ~ estimated from sizes, without
    measured on this machine.
    """
    pairs = [each.pair for each in pairs_that_fit(find_devices(), context)]
    times = [_time_of(pair) for pair in pairs]
    if json:
        write_json_lines(
            {
                "small": pair.small.key,
                "large": pair.large.key,
                "bytes": pair.bytes,
                "time": round(ratio, 2),
                "measured": is_measured,
                "evidence": pair.evidence.value,
                "good_for": pair.good_for,
                "licences": [pair.small.licence, pair.large.licence],
            }
            for pair, (ratio, is_measured) in zip(pairs, times, strict=True)
        )
    else:
        rows = [
            (
                pair.small.key,
                pair.large.key,
                size(pair.bytes),
                f"{ratio:.0%}" if is_measured else f"~{ratio:.0%}",
                pair.evidence.value,
                pair.good_for,
            )
            for pair, (ratio, is_measured) in zip(pairs, times, strict=True)
        ]
        write_table(("--small", "--large", "download", "time", "evidence", "good for"), rows, right=(2, 3))
    if pairs:
        best = pairs[0]
        remark(f'baton solve "…" --small {best.small.key} --large {best.large.key} downloads a pair and uses it.')
    else:
        remark("No pair of the catalogue fits this machine. Try a smaller --context, or a large model on a server.")
    return ExitCode.ANSWERED


def _time_of(pair: CatalogPair) -> tuple[float, bool]:
    """Return the time of a pair of that of its large model alone, and whether both were measured here."""
    costs, folder = ModelCosts(Paths.of_user().model_costs), models_folder()
    files = [downloaded(model.hub_file, folder) for model in (pair.small, pair.large)]
    small, large = (costs.of_file(file) if file else None for file in files)
    is_measured = bool(small and large)
    if not (small and large):
        small, large = (ModelCost.relative(model.active_bytes) for model in (pair.small, pair.large))
    return relative_time(small, large), is_measured


@command("search", models)
@click.argument("words", nargs=-1, required=True)
@as_json
def search_hub(words: tuple[str, ...], json: bool) -> int:
    """Search the Hub for repositories with GGUF files, the most downloaded first."""
    found = Hub(hub_access()).search(" ".join(words))
    if json:
        write_json_lines(
            {"repository": each.name, "downloads": each.downloads, "licence": each.licence, "gated": each.gated}
            for each in found
        )
    else:
        rows = [
            (f"hf:{each.name}", f"{each.downloads:,}", each.licence or "", "gated" if each.gated else "")
            for each in found
        ]
        write_table(("name", "downloads", "licence", ""), rows, right=(1,))
    return ExitCode.ANSWERED


@command("get", models)
@click.argument("name")
@as_json
def get_model(name: str, json: bool) -> int:
    """Download a model and print its path. An interrupted download is resumed by the next call.

    NAME is hf:OWNER/NAME[:QUANT], such as hf:bartowski/DeepSeek-R1-Distill-Qwen-1.5B-GGUF:Q4_K_M, or a name of
    `baton models pairs`. Without a quantisation, the usual one is taken.
    """
    source = source_of(name)
    if not isinstance(source, HubFile):
        raise SettingsError(f"{name} names no model of the Hub.", "Write hf:OWNER/NAME[:QUANT].")
    path = downloaded(source, models_folder()) or fetch(look_up(source))
    if json:
        write_json({"name": str(source), "file": str(path), "bytes": path.stat().st_size})
    else:
        write(str(path))
    return ExitCode.ANSWERED


@command("rm", models)
@click.argument("name")
@deliberate_option("--for-good", help="Delete it instead, which frees the disk at once.")
@deliberate_option("--yes", "-y", help="Do not ask.")
def remove_model(name: str, for_good: bool, yes: bool) -> int:
    """Move all files of a model to the system's trash.

    NAME is a file, hf:OWNER/NAME[:QUANT], or a name of `baton models pairs`.
    """
    model = _model(name)
    file, freed = short_path(model.header.shards[0]), size(model.header.file_bytes)
    question = f"Delete {file} ({freed}) for good?" if for_good else f"Move {file} ({freed}) to the trash?"
    if not yes and not confirmed(question):
        remark("Nothing was deleted.")
        return ExitCode.FAILED
    if for_good:
        delete_for_good(model)
        remark(f"{model.header.name} was deleted; {freed} are free again.")
        return ExitCode.ANSWERED
    try:
        move_to_trash(model)
    except ModelFileError as error:
        raise ModelFileError(error.message, f"{error.advice} --for-good needs no trash.") from error
    remark(f"{model.header.name} is in the system's trash; emptying it frees {freed}.")
    return ExitCode.ANSWERED


def _model(name: str) -> LocalModel:
    """Return the model on this machine with this name. Raises SettingsError."""
    source = source_of(name)
    path = downloaded(source, models_folder()) if isinstance(source, HubFile) else None
    if isinstance(source, LocalFile):
        path = source.path
    wanted = path.resolve() if path else None
    for model in _inventory().models:
        if wanted in {shard.resolve() for shard in model.header.shards}:
            return model
    raise SettingsError(f"{name} is not among the models on this machine.", "See baton models list.")


def _inventory() -> Inventory:
    preferences = load_preferences(Paths.of_user().model_preferences)
    return scan(known_folders(models_folder(), preferences.added, built_in=(DEMO_FOLDER,)))
