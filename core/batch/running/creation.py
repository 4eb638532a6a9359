"""Creates a batch in the store, with jobs for every arm that differs from those before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.batch.running.batch_settings import ArmAlias, BatchSettings
from baton_reasoning.core.batch.running.provenance import Provenance
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
    """Create a batch whose jobs all wait; returns its id. Arms with equal settings run once. Raises StoreError."""
    different, aliases = without_duplicates(arms)
    settings = BatchSettings(
        parallel=parallel,
        seed_numbers=tuple(seeds),
        aliases=aliases,
        provenance=provenance or Provenance.of_this_machine(),
    ).graded_by(how)
    return store.batches.create(name, settings.stored(), problems, [arm.stored() for arm in different], seeds)


def add_arms(store: Store, batch_id: str, arms: Iterable[Arm]) -> None:
    """Add jobs for each arm whose name is new; an arm that equals another shares its results. Raises StoreError."""
    batch = store.batches.open(batch_id)
    settings, before = BatchSettings.of(batch), list(map(Arm.of, batch.arms))
    known = {arm.name for arm in before} | {alias.name for alias in settings.aliases}
    added = [arm for arm in arms if arm.name not in known]
    different, aliases = without_duplicates([*before, *added])
    for arm in different[len(before) :]:
        store.batches.add_arm(batch_id, arm.stored(), settings.seed_numbers)
    if aliases:
        with_aliases = settings.model_copy(update={"aliases": (*settings.aliases, *aliases)})
        store.batches.set_settings(batch_id, with_aliases.stored())


def without_duplicates(arms: Iterable[Arm]) -> tuple[tuple[Arm, ...], tuple[ArmAlias, ...]]:
    """Split off the arms that equal an earlier one in all but the name; returns the others first."""
    different: dict[str, Arm] = {}
    aliases = []
    for arm in arms:
        first = different.setdefault(arm.model_dump_json(exclude={"name", "sweep"}), arm)
        if first is not arm:
            aliases.append(ArmAlias(name=arm.name, same_as=first.name, sweep=arm.sweep))
    return tuple(different.values()), tuple(aliases)
