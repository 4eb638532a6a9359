"""Creates a batch in the store: the jobs of every arm that differs from those before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.batch.arms import Arm
from core.batch.batch_settings import ArmAlias, BatchSettings
from core.batch.provenance import Provenance
from core.grading.verdict import How, Regex
from core.problem import Problem
from core.store.store import Store


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
    """All jobs, waiting; returns the id of the batch. Arms with equal settings run once. Raises StoreError."""
    different, aliases = without_duplicates(arms)
    settings = BatchSettings(
        source=name,
        parallel=parallel,
        seeds=len(seeds),
        seed_numbers=tuple(seeds),
        aliases=aliases,
        provenance=provenance or Provenance.of_this_machine(),
    ).graded_by(how)
    return store.batches.create(name, settings.stored(), problems, [arm.stored() for arm in different], seeds)


def without_duplicates(arms: Iterable[Arm]) -> tuple[tuple[Arm, ...], tuple[ArmAlias, ...]]:
    """The arms that differ in more than their names, and for each other arm which one it equals."""
    different: dict[str, Arm] = {}
    aliases = []
    for arm in arms:
        first = different.setdefault(arm.model_dump_json(exclude={"name", "sweep"}), arm)
        if first is not arm:
            aliases.append(ArmAlias(name=arm.name, same_as=first.name, sweep=arm.sweep))
    return tuple(different.values()), tuple(aliases)
