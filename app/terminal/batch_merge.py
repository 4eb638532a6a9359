"""Merge the batches of several folders into another folder, for `baton batch merge`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from baton_reasoning.app.terminal.batch_folder import BatchFolder
from baton_reasoning.app.terminal.batch_run import BatchRun, report_again
from baton_reasoning.core.batch.reading.problem_set import ProblemOrigin
from baton_reasoning.core.batch.running.merging import BatchToMerge, merged
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.files import expanded


def merge_folders(run: BatchRun, folders: Sequence[Path]) -> int:
    """Join the batches in these folders into one with a store of its own in the folder of `run`, and report it."""
    with ExitStack() as stack:
        parts = [_opened(BatchFolder(expanded(folder)), folder, stack) for folder in folders]
        batch = merged(parts, run.provenance(ProblemOrigin()))
        with run.place.reserved(), run.place.store() as store:
            batch.save(store)
    return report_again(run)


def _opened(folder: BatchFolder, name: Path, stack: ExitStack) -> BatchToMerge:
    store = stack.enter_context(folder.store())
    try:
        batch = folder.batch(store)
    except StoreError as error:
        raise SettingsError(
            f"{name} names a batch that is not in the history of this computer.",
            f"Where it ran, put it into a folder that can be copied: baton batch merge {name} --out OTHER.",
        ) from error
    return BatchToMerge.of(name.as_posix(), store, batch)
