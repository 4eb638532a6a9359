"""Finds the models on this machine, read where they are and never copied, and deletes those that a person chose."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.gguf import GgufHeader, read_header
from baton_reasoning.core.models.gguf_format import shard_group
from baton_reasoning.core.models.ollama import find, is_blob, models_in, shown_name, stores
from baton_reasoning.core.models.source import DemoModel, HubFile, LocalFile, ModelSource, parse_source

DEEPEST_LEVEL = 6  # the Hub cache puts files up to five folders deep


class FolderOrigin(Enum):
    """Who put a model there; the value is what a person reads."""

    BUILT_IN = "built in"
    OWN = "Baton"
    OLLAMA = "Ollama"
    LM_STUDIO = "LM Studio"
    LLAMA_CPP = "llama.cpp"
    HUB_CACHE = "Hugging Face cache"
    USER = "added by you"


@dataclass(frozen=True)
class Folder:
    path: Path
    """A folder, or a single file."""
    origin: FolderOrigin


@dataclass(frozen=True)
class LocalModel:
    """A model that can be loaded."""

    header: GgufHeader
    origin: FolderOrigin

    @property
    def name(self) -> str:
        """What it calls itself; in Ollama's store what Ollama calls it."""
        return shown_name(self.header.path) if self.origin is FolderOrigin.OLLAMA else self.header.name

    @property
    def why_kept(self) -> str:
        """Why Baton does not delete it, as a sentence; “” if it can be deleted."""
        if self.origin is FolderOrigin.BUILT_IN:
            return f"{self.name} comes with the program and cannot be deleted."
        if self.origin is FolderOrigin.OLLAMA:
            name = shown_name(self.header.path.resolve())
            return f"{name} belongs to Ollama, and Baton leaves it alone. To delete it: ollama rm {name}"
        return ""


@dataclass(frozen=True)
class BrokenFile:
    """A file that looks like a model and cannot be used."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Inventory:
    """The result of a scan, by name."""

    models: tuple[LocalModel, ...]
    broken: tuple[BrokenFile, ...]


def scan(folders: Iterable[Folder]) -> Inventory:
    """Read the header of every model there: 10–30 ms each. Never raises for a bad file."""
    models: dict[Path, LocalModel] = {}
    broken: dict[Path, BrokenFile] = {}
    for folder in folders:
        of_ollama = folder.origin is FolderOrigin.OLLAMA
        for path in (file for _, file in models_in(folder.path)) if of_ollama else _gguf_files(folder.path):
            # A file that is reached twice (by a link in the Hub cache, a folder in a folder) counts once.
            real = path.resolve()
            if real in models or real in broken:
                continue
            try:
                header = read_header(path)
                origin = FolderOrigin.OLLAMA if is_blob(real) else folder.origin  # also where a link leads there
                models.setdefault(header.path.resolve(), LocalModel(header, origin))
            except ModelFileError as error:
                broken[real] = BrokenFile(path, str(error))
    return Inventory(
        tuple(sorted(models.values(), key=lambda model: (model.name.lower(), model.header.file_bytes))),
        tuple(sorted(broken.values(), key=lambda file: file.path)),
    )


def known_folders(
    own: Path,
    chosen: tuple[Path, ...] = (),
    *,
    built_in: tuple[Path, ...] = (),
    home: Path | None = None,
) -> tuple[Folder, ...]:
    """List where models may be: the program's own folder, those of other programs, the folders and files that a person
    chose, and the built-in."""
    home = Path.home() if home is None else home
    cache = home / ".cache"
    hub_home = Path(os.environ.get("HF_HOME", cache / "huggingface"))
    return (
        *(Folder(store, FolderOrigin.OLLAMA) for store in stores(home)),  # first: links to it may lie in the others
        Folder(own, FolderOrigin.OWN),
        Folder(home / ".lmstudio" / "models", FolderOrigin.LM_STUDIO),
        Folder(cache / "lm-studio" / "models", FolderOrigin.LM_STUDIO),
        Folder(Path(os.environ.get("LLAMA_CACHE", _llama_cpp_cache(home))), FolderOrigin.LLAMA_CPP),
        Folder(Path(os.environ.get("HF_HUB_CACHE", hub_home / "hub")), FolderOrigin.HUB_CACHE),
        *(Folder(path, FolderOrigin.USER) for path in chosen),
        *(Folder(path, FolderOrigin.BUILT_IN) for path in built_in),
    )


def _llama_cpp_cache(home: Path) -> Path:
    """Return llama.cpp's cache folder, as its `fs_get_cache_directory` does."""
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "llama.cpp"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "llama.cpp"
    return Path(os.environ.get("XDG_CACHE_HOME", home / ".cache")) / "llama.cpp"


def _gguf_files(folder: Path) -> Iterator[Path]:
    """Yield the files to read, in order of path; of a model in several files, the first that is there.

    What cannot be reached is left out, where `Path.is_file` and `Path.exists` would raise PermissionError.
    """
    if os.path.isfile(folder):  # noqa: PTH113
        yield folder
    for where, folders, files in os.walk(folder):
        here = Path(where)
        level = len(here.relative_to(folder).parts)
        folders[:] = sorted(folders) if level < DEEPEST_LEVEL else []
        groups: set[str] = set()
        for path in (here / name for name in sorted(files)):
            if path.suffix.lower() != ".gguf" or not os.path.exists(path):  # noqa: PTH110
                continue
            group = shard_group(path)
            if group is None or group not in groups:
                yield path
            if group is not None:
                groups.add(group)


# By name --------------------------------------------------------------------------------------------------------------


def source_named(text: str, demo: DemoModel = DemoModel.SMALL) -> ModelSource:
    """Parse a source, as `parse_source` does; the name of a model in Ollama's store stands for its file.

    Raises SettingsError; ModelFileError if Ollama's file cannot be used.
    """
    source = parse_source(text, demo)
    if isinstance(source, DemoModel | HubFile):
        return source
    try:
        file = find(text.strip())
    except ModelFileError:
        if isinstance(source, LocalFile):
            raise
        return source  # “model:7” is an address, too
    return LocalFile(file) if file else source


def text_of(source: ModelSource) -> str:
    """Return the text that `source_named` takes for a source: the name of a model in Ollama's store, not its path."""
    if isinstance(source, LocalFile) and is_blob(source.path):
        with suppress(ModelFileError):
            if find(name := shown_name(source.path)) == source.path:
                return name
    return str(source)


# Deleting -------------------------------------------------------------------------------------------------------------


def move_to_trash(model: LocalModel) -> None:
    """Move all files of a model to the system's trash. Raises ModelFileError if it does not take them."""
    from send2trash import send2trash  # looks for the way of this desktop when it is imported

    _remove(model, send2trash, "could not be moved to the system's trash", "Its disk may have none.")


def delete_for_good(model: LocalModel) -> None:
    """Delete all files of a model. Raises ModelFileError."""
    advice = "Close the programs that use it, and check that you may change its folder."
    _remove(model, lambda file: file.unlink(missing_ok=True), "could not be deleted", advice)


def _remove(model: LocalModel, remove: Callable[[Path], object], failed: str, advice: str) -> None:
    header = model.header
    if model.why_kept:
        raise ModelFileError(model.why_kept)
    # In the Hub cache a model is a link; the bytes lie elsewhere. Links first, while what they point to is still there.
    files = {file for shard in header.shards for file in (shard, shard.resolve())}
    for file in sorted(files, key=lambda file: (not file.is_symlink(), file)):
        try:
            remove(file)
        except OSError as error:
            raise ModelFileError(f"{file} {failed}: {error.strerror or error}.", advice) from error
