"""Deletes a model with undo: what Baton downloaded stays in a trash folder until the program ends; any other file goes
to the system's trash if there is one.
"""

import errno
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.library import HIDDEN_TRASH, FolderOrigin, LocalModel


@dataclass(frozen=True)
class Move:
    """A file that was moved to the trash."""

    origin: Path
    trashed: Path


SystemTrash = Callable[[Path], Path | None]
"""Moves a file to the system's trash, and returns where it is now; None if it could not."""


@dataclass(frozen=True)
class Deletion:
    """A deletion that can be undone; `freed_bytes`: once the trash is emptied."""

    name: str
    freed_bytes: int
    moves: tuple[Move, ...]
    in_system_trash: bool = False
    """Whether a person empties that trash, not Baton when it closes."""


class Trash:
    """A folder for deleted models. Files are renamed, never copied, so that large ones take no time.

    For a model on another disk: a hidden folder beside its files.
    """

    def __init__(self, folder: Path, system: SystemTrash = lambda _: None) -> None:
        self.folder = folder
        self._system = system
        # The paths of hidden folders are kept in a file, so that they are emptied after a crash, too.
        self._elsewhere = folder / "elsewhere.txt"

    def delete(self, model: LocalModel) -> Deletion:
        """Move a model to the trash. Raises ModelFileError, with nothing changed, if a file cannot be moved."""
        header = model.header
        if not model.can_be_deleted:
            raise ModelFileError(f"{header.name} comes with the program and cannot be deleted.")
        # In the Hub cache a model is a link; the bytes lie elsewhere.
        files = {file for shard in header.shards for file in (shard, shard.resolve())}
        freed = sum(file.stat().st_size for file in files if file.exists() and not file.is_symlink())
        done: list[Move] = []
        uses_system = model.source is not FolderOrigin.OWN and not any(file.is_symlink() for file in files)
        try:
            # Links first: what they point to is still there while they move.
            for file in sorted(files, key=lambda file: (not file.is_symlink(), file)):
                trashed = self._system(file) if uses_system else None
                uses_system = trashed is not None
                done.append(Move(file, trashed or self._move_to_trash(file)))
        except OSError as error:
            self._move_back(done)
            raise ModelFileError(
                f"{header.name} could not be deleted: {error.strerror or error}.",
                "Close every program that uses it, and check that you may change its folder.",
            ) from error
        return Deletion(header.name, freed, tuple(done), in_system_trash=uses_system)

    def undo(self, deletion: Deletion) -> None:
        """Put a model back where it was. Raises ModelFileError if its place was taken or the trash emptied."""
        for move in deletion.moves:
            if move.origin.exists() or not (move.trashed.exists() or move.trashed.is_symlink()):
                raise ModelFileError(
                    f"{deletion.name} cannot be put back: {move.origin.name} "
                    + ("is there again." if move.origin.exists() else "is gone for good."),
                    "" if move.origin.exists() else "Download it again.",
                )
        try:
            self._move_back(list(deletion.moves))
        except OSError as error:
            raise ModelFileError(
                f"{deletion.name} could not be put back: {error.strerror or error}.",
                f"Its files are in {deletion.moves[0].trashed.parent}; move them back by hand.",
            ) from error

    def erase(self, deletion: Deletion) -> None:
        """Free the space of one deletion, which cannot be undone any more; others stay."""
        for move in deletion.moves:
            move.trashed.unlink(missing_ok=True)
            with suppress(OSError):  # others are still in it
                move.trashed.parent.rmdir()

    def empty(self) -> None:
        """Free the space: when the program ends, and when it starts, after a crash."""
        if self._elsewhere.exists():
            for line in self._elsewhere.read_text(encoding="utf-8").splitlines():
                if Path(line).name == HIDDEN_TRASH:
                    shutil.rmtree(line, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _move_to_trash(self, file: Path) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            return _rename_into(self.folder, file)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        beside = file.parent / HIDDEN_TRASH
        beside.mkdir(exist_ok=True)
        with self._elsewhere.open("a", encoding="utf-8") as list_of_folders:
            list_of_folders.write(f"{beside}\n")
        return _rename_into(beside, file)

    @staticmethod
    def _move_back(moves: list[Move]) -> None:
        for move in reversed(moves):
            move.trashed.rename(move.origin)
            # In the trash of a Linux desktop (freedesktop.org) a file beside it says where it was.
            note = move.trashed.parent.parent / "info" / f"{move.trashed.name}.trashinfo"
            note.unlink(missing_ok=True)


def _rename_into(folder: Path, file: Path) -> Path:
    return file.rename(folder / f"{uuid4().hex}-{file.name}")
