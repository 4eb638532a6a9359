"""Creates a batch in the store, with jobs for every arm that differs from those before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.batch.running.batch_settings import BatchSettings
from baton_reasoning.core.batch.running.provenance import Provenance
from baton_reasoning.core.batch.running.recipes import arm_title
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.store import Store


def create_batch(
    store: Store,
    name: str,
    problems: Sequence[Problem],
    arms: Sequence[Arm],
    seeds: Sequence[int] = (0,),
    parallel: int = 1,
    how: How | Regex = How.AUTO,
    provenance: Provenance | None = None,
) -> str:
    """Create a batch whose jobs all wait; returns its id. Of arms with equal settings the first is run.

    Raises StoreError.
    """
    settings = BatchSettings(
        parallel=parallel,
        seed_numbers=tuple(seeds),
        provenance=provenance or Provenance.of_this_machine(),
    ).graded_by(how)
    different = without_duplicates(arms).arms
    return store.batches.create(name, settings.stored(), problems, [arm.stored() for arm in different], seeds)


def add_arms(store: Store, batch_id: str, arms: Iterable[Arm]) -> tuple[str, ...]:
    """Add jobs for each arm whose name and settings are new; returns what a person should know. Raises StoreError."""
    batch = store.batches.open(batch_id)
    settings, before = BatchSettings.of(batch), list(map(Arm.of, batch.arms))
    known = {arm.name for arm in before}
    found = without_duplicates([*before, *(arm for arm in arms if arm.name not in known)])
    for arm in found.arms:
        if arm.name not in known:
            store.batches.add_arm(batch_id, arm.stored(), settings.seed_numbers)
    return found.notes


class DistinctArms(NamedTuple):
    arms: tuple[Arm, ...]
    notes: tuple[str, ...]
    """A sentence for each arm that was left out."""


def without_duplicates(arms: Iterable[Arm]) -> DistinctArms:
    """Leave out the arms that equal an earlier one in all but the name.

    The earlier one takes the other's place in a sweep, and that of the arm whose large share a control takes.
    """
    different: dict[str, Arm] = {}
    runs_as: dict[str, str] = {}
    notes = []
    for arm in arms:
        key = arm.model_dump_json(exclude={"name", "sweep"})
        first = different.setdefault(key, arm)
        runs_as[arm.name] = first.name
        if first is not arm:
            notes.append(
                f"“{arm_title(arm.name)}” has the same settings as “{arm_title(first.name)}”, which runs once."
            )
            different[key] = first.model_copy(update={"sweep": first.sweep or arm.sweep})
    shared = ((arm, runs_as.get(arm.equal_share_of, arm.equal_share_of)) for arm in different.values())
    return DistinctArms(tuple(arm.model_copy(update={"equal_share_of": of}) for arm, of in shared), tuple(notes))
