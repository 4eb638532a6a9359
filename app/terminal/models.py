"""`baton models`: find models by name; list, search, download and delete them."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path

import click

from baton_reasoning.app.terminal.command_line import as_json, command_group, option
from baton_reasoning.app.terminal.output import Field, listing, progress, write
from baton_reasoning.app.terminal.streams import ExitCode, confirmed, remark, report, write_json
from baton_reasoning.core.demo_pair.costly import DemoFiles
from baton_reasoning.core.engines import sources
from baton_reasoning.core.engines.remote.known_servers import KnownServers
from baton_reasoning.core.errors import DownloadError, ModelFileError, SettingsError
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models import library
from baton_reasoning.core.models.catalog import USUAL_CONTEXT
from baton_reasoning.core.models.devices import disk_free, find_devices
from baton_reasoning.core.models.download import Downloader, DownloadManifest
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.hub import Hub, Repository, downloaded
from baton_reasoning.core.models.preferences import HubAccess, load_preferences
from baton_reasoning.core.models.source import DEMO_FOLDER, DemoModel, HubFile, ModelSource, local_path
from baton_reasoning.core.pairs import JudgedPair, judge_pairs, recommended
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.table import NOTHING
from baton_reasoning.core.words.downloads import progress_text
from baton_reasoning.core.words.numbers import parameter_count, short_path


def source_of(text: str, demo: DemoModel = DemoModel.SMALL) -> ModelSource:
    """Return the model that a text names. Raises SettingsError, ModelFileError."""
    return sources.source_of(text, KnownServers(Paths.of_user().servers), demo)


def hub_access() -> HubAccess:
    """Return the Hub or mirror chosen in the window or by HF_ENDPOINT and HF_TOKEN, without the keyring's token."""
    return load_preferences(Paths.of_user().model_preferences).access(None)


def models_folder() -> Path:
    """Return the folder for downloads."""
    paths = Paths.of_user()
    return load_preferences(paths.model_preferences).folder or paths.models


def file_here(source: ModelSource) -> Path | None:
    """Return the file of a model on this machine; None for a server, and for what is not downloaded."""
    return downloaded(source, models_folder()) if isinstance(source, HubFile) else local_path(source)


def file_of(source: HubFile, yes: bool) -> Path:
    """Return the file of a model on the Hub; ask, then download it if needed. Raises DownloadError, SettingsError."""
    if path := downloaded(source, models_folder()):
        return path
    with progress("Asking the Hub"):
        manifest = Hub(hub_access()).manifest(source, models_folder())
    here = manifest.bytes_here()
    rest = f", {in_gib(here)} of it here already" if here else ""
    question = f"Download {manifest.title} ({in_gib(manifest.bytes)}{rest}) into {short_path(manifest.folder)}?"
    if not yes and not confirmed(question, default=True):
        raise DownloadError(f"{manifest.title} was not downloaded.")
    return fetch(manifest)


def fetch(manifest: DownloadManifest) -> Path:
    """Download with progress. An interrupted download is kept, and the next call resumes it."""
    with closing(Downloader(hub_access().token)) as downloader, progress(f"Downloading {manifest.title}") as line:
        for step in downloader.download(manifest):
            line.show(step.done / max(1, step.total), progress_text(step))
    remark(f"{short_path(manifest.model)} is complete.")
    return manifest.model


MODEL_FIELDS: tuple[Field[library.LocalModel], ...] = (
    Field("name", lambda model: model.name, "model"),
    Field("parameters", lambda model: model.header.parameters, "parameters", parameter_count, True),
    Field("quantisation", lambda model: model.header.quantisation, "quantisation"),
    Field("bytes", lambda model: model.header.file_bytes, "size", in_gib, True),
    Field("context", lambda model: model.header.context_length, "context", "{:,}".format, True),
    Field("file", lambda model: str(model.header.shards[0]), "file", lambda file: short_path(Path(file))),
    Field("folder", lambda model: model.origin.value),
)


def _time_of(pair: JudgedPair) -> str:
    return f"{'' if pair.is_measured else '~'}{pair.time:.0%}" if pair.time else NOTHING


PAIR_FIELDS: tuple[Field[JudgedPair], ...] = (
    Field("small", lambda row: row.small.key, "--small"),
    Field("large", lambda row: row.large.key, "--large"),
    Field("bytes", lambda row: row.download_bytes),
    Field("", lambda row: row.place, "download", is_number=True),
    Field("time", lambda row: row.time and round(row.time, 2)),
    Field("", _time_of, "time", is_number=True),
    Field("measured", lambda row: row.is_measured),
    Field("evidence", lambda row: row.evidence.value if row.evidence else "", "evidence"),
    Field("good_for", lambda row: row.good_for, "good for"),
    Field("licences", lambda row: [row.small.licence, row.large.licence]),
)
HUB_FIELDS: tuple[Field[Repository], ...] = (
    Field("", lambda found: f"hf:{found.name}", "name"),
    Field("repository", lambda found: found.name),
    Field("downloads", lambda found: found.downloads, "downloads", "{:,}".format, True),
    Field("licence", lambda found: found.licence, "licence", lambda licence: licence or ""),
    Field("gated", lambda found: found.gated, "", lambda gated: "gated" if gated else ""),
)


@command_group("models")
def models() -> None:
    """List, search, download and delete models.

    The Hub, or a mirror of it, is the one chosen in the window or in HF_ENDPOINT; HF_TOKEN opens gated repositories.
    """


@models.command("list")
@as_json
def list_models(json: bool) -> None:
    """List the models in Baton's folder and in those of Ollama, LM Studio, llama.cpp and Hugging Face."""
    found = _inventory()
    listing(found.models, MODEL_FIELDS, json, "There is no model yet. To find some: baton models pairs")
    for broken in found.broken:
        report(broken.reason)


@models.command("pairs")
@option("-c", "--context", type=click.IntRange(min=256), default=USUAL_CONTEXT, help="Tokens of context [16384].")
@as_json
def list_pairs(context: int, json: bool) -> None:
    """List the pairs that fit this machine, the fastest first.

    They are the catalogue's pairs, pairs of your files, the demo pair, and your servers beside one of your files.

    "time" is that of the pair relative to the large model alone, at a large share of 20%. A value with ~ is estimated
    from file sizes; any other was measured on this machine.
    """
    paths = Paths.of_user()
    costs, demo, servers = ModelCosts(paths.model_costs), DemoFiles(paths.demo_pair), KnownServers(paths.servers)
    free = disk_free(models_folder())
    pairs = judge_pairs(find_devices(), free, _inventory().models, costs, demo, servers.titles(), context)
    nothing = "No pair fits this machine. Try a smaller --context, or a large model on a server."
    listing(pairs, PAIR_FIELDS, json, nothing)
    if chosen := recommended(pairs):
        models = f"--small {shlex.quote(chosen.small.key)} --large {shlex.quote(chosen.large.key)}"
        remark(f'baton solve "…" {models} uses the recommended pair{", and downloads it" if chosen.missing else ""}.')


@models.command("search")
@click.argument("words", nargs=-1, required=True)
@as_json
def search_hub(words: tuple[str, ...], json: bool) -> None:
    """Search the Hub for repositories with GGUF files, the most downloaded first."""
    found = Hub(hub_access()).search(" ".join(words))
    listing(found, HUB_FIELDS, json, "The Hub has no GGUF files of that name. Try fewer words.")


@models.command("get")
@click.argument("name")
@as_json
def get_model(name: str, json: bool) -> None:
    """Download a model and print its path. An interrupted download is resumed by the next call.

    NAME is hf:OWNER/NAME[:QUANT], such as hf:bartowski/DeepSeek-R1-Distill-Qwen-1.5B-GGUF:Q4_K_M, or a name of
    `baton models pairs`. Without a quantisation, the usual one is taken.
    """
    source = source_of(name)
    if not isinstance(source, HubFile):
        raise SettingsError(f"{name} names no model of the Hub.", "Write hf:OWNER/NAME[:QUANT].")
    path = file_of(source, yes=True)
    if json:
        write_json({"name": str(source), "file": str(path), "bytes": path.stat().st_size})
    else:
        write(str(path))


@models.command("rm")
@click.argument("name")
@click.option("--for-good", is_flag=True, help="Delete the files instead, which frees the disk at once.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")  # no variable sets it: BATON_YES is for downloads
def remove_model(name: str, for_good: bool, yes: bool) -> int:
    """Move all files of a model to the system's trash.

    NAME is a file, hf:OWNER/NAME[:QUANT], or a name of `baton models pairs`.
    """
    model = _model(name)
    if model.why_kept:
        raise ModelFileError(model.why_kept)
    file, freed = short_path(model.header.shards[0]), in_gib(model.header.file_bytes)
    question = f"Delete {file} ({freed}) for good?" if for_good else f"Move {file} ({freed}) to the trash?"
    if not yes and not confirmed(question):
        return ExitCode.FAILED
    if for_good:
        library.delete_for_good(model)
        remark(f"{model.header.name} was deleted; {freed} are free again.")
        return ExitCode.ANSWERED
    library.move_to_trash(model)
    remark(f"{model.header.name} is in the system's trash; emptying it frees {freed}.")
    return ExitCode.ANSWERED


def _model(name: str) -> library.LocalModel:
    """Return the model on this machine with this name. Raises SettingsError."""
    path = file_here(source_of(name))
    wanted = path.resolve() if path else None
    for model in _inventory().models:
        if wanted in {shard.resolve() for shard in model.header.shards}:
            return model
    raise SettingsError(f"{name} is not among the models on this machine.", "See baton models list.")


def _inventory() -> library.Inventory:
    preferences = load_preferences(Paths.of_user().model_preferences)
    return library.scan(library.known_folders(models_folder(), preferences.added, built_in=(DEMO_FOLDER,)))
