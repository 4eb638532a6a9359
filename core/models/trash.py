"""Deletes models: moves their files to the system's trash, or deletes them for good."""

from collections.abc import Callable
from pathlib import Path

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.library import LocalModel


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
    if not model.can_be_deleted:
        raise ModelFileError(f"{header.name} comes with the program and cannot be deleted.")
    # In the Hub cache a model is a link; the bytes lie elsewhere. Links first, while what they point to is still there.
    files = {file for shard in header.shards for file in (shard, shard.resolve())}
    for file in sorted(files, key=lambda file: (not file.is_symlink(), file)):
        try:
            remove(file)
        except OSError as error:
            raise ModelFileError(f"{file} {failed}: {error.strerror or error}.", advice) from error
