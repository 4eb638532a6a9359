"""Executes a batch with the models that it names, one pair after another: what window and terminal run and draw.

execute ──open_pair──► Runner of the arms of that pair ──events──► window, terminal
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import NamedTuple

from baton_reasoning.core.awake import kept_awake
from baton_reasoning.core.batch.running.arms import Arm, OtherModels, by_models, needs
from baton_reasoning.core.batch.running.batch import BatchSettings, local_context
from baton_reasoning.core.batch.running.control import BatchControl
from baton_reasoning.core.batch.running.progress import BatchEvent, BatchProgress, Opened, Opening
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import Cancelled
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.policy import Needs


class WantedPair(NamedTuple):
    """The models with which some arms of a batch run, and what they are loaded for."""

    small: str
    """As it was named: a file, an address, or a name; empty for none."""
    large: str
    needs: Needs
    parallel: int
    """Texts at once."""
    context: int
    """Tokens that the models on this machine held before; 0 if they were never loaded."""


OpenPair = Callable[[WantedPair], AbstractContextManager[Pair]]
"""Loads a pair for the time of a block. Blocks meanwhile; raises Cancelled if the batch was stopped."""
ITS_OWN = OtherModels()


def pairs_to_open(
    store: Store, batch: str, parallel: int = 0, moved: OtherModels = ITS_OWN
) -> dict[OtherModels, WantedPair]:
    """Return the pairs of the arms that have jobs to run, by the names in their arms, in the order in which they run.

    `parallel`: 0 for as many texts at once as before. `moved`: what opens the batch's own models, where that has
    changed. Raises SettingsError, StoreError.
    """
    opened = store.batches.open(batch)
    settings, counts = BatchSettings.of(opened), BatchProgress(store.batches.totals(batch), 1)
    context = local_context(settings.small, settings.large)
    found = {}
    for names, arms in by_models([arm for arm in map(Arm.of, opened.arms) if counts.to_run(arm.name)]).items():
        both = settings.named(OtherModels(names.small or moved.small, names.large or moved.large))
        found[names] = WantedPair(*both, needs(arms), parallel or settings.parallel, context)
    return found


def execute(
    store: Store,
    batch: str,
    open_pair: OpenPair,
    control: BatchControl | None = None,
    grader: Grader | None = None,
    *,
    parallel: int = 0,
    moved: OtherModels = ITS_OWN,
) -> Generator[BatchEvent, None, None]:
    """Run the jobs that wait or ended in an error, and yield all that happens; closing the generator stops it.

    `parallel`, `moved`: see `pairs_to_open`. A problem that fails is a result with an error. Raises what `open_pair`
    raises, StoreError when results cannot be saved, and SettingsError if the batch was begun with other models; errors
    stay until the models that try again are loaded.
    """
    control = control or BatchControl()
    with kept_awake(), grader or Grader() as grades:
        for names, wanted in pairs_to_open(store, batch, parallel, moved).items():
            yield Opening()
            try:
                with open_pair(wanted) as pair:
                    yield Opened()
                    yield from Runner(store, batch, pair, grades, wanted.parallel, names, control).run()
            except Cancelled:
                return
            if control.ending:
                return
