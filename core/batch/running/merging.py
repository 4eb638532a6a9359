"""Joins batches of several machines into one: the same arms on other problems or with other seeds, or other arms.

Everything is checked before anything is written. What does not fit is refused, since a table would hide it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from baton_reasoning.core.batch.reading.problem_set import ProblemOrigin
from baton_reasoning.core.batch.reading.problems import unique_ids
from baton_reasoning.core.batch.running.arms import Arm, OtherModels
from baton_reasoning.core.batch.running.batch_settings import BatchSettings, ModelSummary
from baton_reasoning.core.batch.running.creation import without_duplicates
from baton_reasoning.core.batch.running.provenance import Provenance
from baton_reasoning.core.batch.running.recipes import arm_title
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batch_rows import Batch, Conditions, ResultRow
from baton_reasoning.core.store.batches import Batches
from baton_reasoning.core.store.job_copies import JobCopy
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import one_line

LONGEST_VALUE = 60
"""Characters of a setting's value within a message."""


@dataclass(frozen=True)
class BatchToMerge:
    place: str
    """Its folder, as a person named it."""
    store: Store
    batch: Batch
    settings: BatchSettings

    @classmethod
    def of(cls, place: str, store: Store, batch: Batch) -> BatchToMerge:
        """Raises SettingsError for settings of another version of Baton."""
        return cls(place, store, batch, BatchSettings.of(batch))

    @property
    def arms(self) -> list[Arm]:
        """All arms, those that equal another included; without the seed, which each job replaces."""
        ran = {stored.name: Arm.of(stored) for stored in self.batch.arms}
        twins = [
            ran[alias.same_as].model_copy(update={"name": alias.name, "sweep": alias.sweep})
            for alias in self.settings.aliases
        ]
        return [
            arm.model_copy(update={"settings": arm.settings.model_copy(update={"seed": 0})})
            for arm in (*ran.values(), *twins)
        ]

    def models(self, names: OtherModels = OtherModels()) -> dict[str, ModelSummary | None]:  # noqa: B008 - immutable
        """Return the batch's small and large model, or the others with these names; None where none was loaded."""
        return {"small": self.settings.small_of(names.small), "large": self.settings.large_of(names.large)}


class _JobKey(NamedTuple):
    """Names a job in the merged batch; jobs are sorted by it."""

    position: int
    """Index of the problem."""
    seed: int
    arm: int
    """Index of the arm."""


class _FoundJob(NamedTuple):
    part: BatchToMerge
    row: ResultRow


class MergedBatch(NamedTuple):
    """A batch that fits together, before it is saved."""

    name: str
    settings: BatchSettings
    problems: Sequence[Problem]
    arms: Sequence[Arm]
    jobs: Sequence[tuple[Batches, JobCopy]]

    def save(self, store: Store) -> str:
        """Create the batch, and return its id. The stores of its parts must still be open. Raises StoreError."""
        arms = [arm.stored() for arm in self.arms]
        batch = store.batches.create(self.name, self.settings.stored(), self.problems, arms, seeds=())
        store.batches.add_copies(batch, self.jobs)
        return batch


def merged(parts: Sequence[BatchToMerge], provenance: Provenance) -> MergedBatch:
    """Join the jobs of all these batches into one batch.

    A problem is the same in two batches if its text is. An answer of one batch takes the place of a job that waits, or
    ended in an error, in another. The chance of a random arm is the mean of those that each batch found, by jobs.
    `provenance`: of the merge.

    Raises SettingsError, with the difference, if models, settings, grading or expected answers differ, or if two
    batches have answered a problem under the same arm with the same seed.
    """
    _refuse_other_grading(parts)
    _refuse_other_models(parts)
    arms, aliases = without_duplicates(_joined_arms(parts))
    problems, positions = _joined_problems(parts)
    order = {arm.name: number for number, arm in enumerate(arms)}
    order |= {alias.name: order[alias.same_as] for alias in aliases}
    jobs = _joined_jobs(parts, positions, order, problems)
    settings = BatchSettings(
        parallel=max(part.settings.parallel for part in parts),
        seed_numbers=tuple(sorted({seed for part in parts for seed in part.settings.seed_numbers})),
        grade=parts[0].settings.grade,
        pattern=parts[0].settings.pattern,
        small=next((part.settings.small for part in parts if part.settings.small), None),
        large=next((part.settings.large for part in parts if part.settings.large), None),
        other_smalls={name: model for part in parts[::-1] for name, model in part.settings.other_smalls.items()},
        other_larges={name: model for part in parts[::-1] for name, model in part.settings.other_larges.items()},
        aliases=aliases,
        warm_up_tokens=min(part.settings.warm_up_tokens for part in parts),
        energy_measured=_listed(part.settings.energy_measured for part in parts),
        energy_missing=_listed(part.settings.energy_missing for part in parts),
        chances=_mean_by_jobs([(part, part.settings.chances) for part in parts]),
        shares=_mean_by_jobs([(part, part.settings.shares) for part in parts]),
        provenance=provenance.model_copy(
            update={
                "merged": {part.place: part.settings.provenance for part in parts},
                "problems": _joined_origin([part.settings.provenance.problems for part in parts]),
            }
        ),
    )
    name = " + ".join(dict.fromkeys(part.batch.name for part in parts))
    return MergedBatch(name, settings, problems, arms, list(_copies(jobs, arms)))


def _copies(jobs: Mapping[_JobKey, _FoundJob], arms: Sequence[Arm]) -> Iterator[tuple[Batches, JobCopy]]:
    for key, (part, row) in sorted(jobs.items(), key=lambda job: job[0]):
        conditions = _on_machine(part.place, row.conditions) if row.conditions else None
        yield part.store.batches, JobCopy(row.job, arms[key.arm].name, key.position, conditions)


def _on_machine(place: str, found: Conditions) -> Conditions:
    """Name the machine by the batch's folder, and after it the machine in a batch that was merged itself."""
    machine = f"{place}, {found.machine}" if found.machine else place
    return found.model_copy(update={"machine": machine})


def _refuse_other_grading(parts: Sequence[BatchToMerge]) -> None:
    first = parts[0]
    for part in parts[1:]:
        if (first.settings.grade, first.settings.pattern) != (part.settings.grade, part.settings.pattern):
            one, other = (f"{each.settings.grade.value} {each.settings.pattern}".strip() for each in (first, part))
            raise SettingsError(
                f"{first.place} is graded by “{one}”, and {part.place} by “{other}”.",
                f"Grade one of them as the other: baton batch grade {part.place} --grade ….",
            )


def _refuse_other_models(parts: Sequence[BatchToMerge]) -> None:
    for first, part in combinations(parts, 2):
        others = first.settings.other_smalls.keys() | first.settings.other_larges.keys()
        for names in (OtherModels(), *(OtherModels(name, name) for name in sorted(others))):
            _refuse_different(first, first.models(names), part, part.models(names))


def _refuse_different(
    first: BatchToMerge,
    before: Mapping[str, ModelSummary | None],
    part: BatchToMerge,
    now: Mapping[str, ModelSummary | None],
) -> None:
    for which, model in before.items():
        other = now[which]
        if model and other and not model.is_same_as(other):
            names = f"{model.name} in {first.place}, and {other.name} in {part.place}"
            if model.name == other.name:
                names += ", which is another file"
            raise SettingsError(
                f"The {which} model is {names}.",
                "Merge batches of the same models; baton batch run compares models with one --large for each.",
            )


def _joined_arms(parts: Sequence[BatchToMerge]) -> list[Arm]:
    """Return the arms of all batches. Raises SettingsError if two with one name differ."""
    found: dict[str, tuple[BatchToMerge, Arm]] = {}
    for part in parts:
        for arm in part.arms:
            first, known = found.setdefault(arm.name, (part, arm))
            _refuse_different(first, first.models(known.models), part, part.models(arm.models))
            before, now = _values_of(known), _values_of(arm)
            for name in before | now:
                if before.get(name) != now.get(name):
                    values = [one_line(str(each.get(name)), LONGEST_VALUE) for each in (before, now)]
                    raise SettingsError(
                        f"{name} of the arm “{arm_title(arm.name)}” is {values[0]} in {first.place}, "
                        f"and {values[1]} in {part.place}.",
                        "Merge batches whose arms have the same settings.",
                    )
    return [arm for _, arm in found.values()]


def _values_of(arm: Arm) -> dict[str, Any]:
    """Return the settings by name, without groups, and without the models, whose paths differ between machines."""
    found: dict[str, Any] = {"equal_share_of": arm.equal_share_of, "votes": arm.votes}
    groups = [arm.settings.model_dump(mode="json")]
    while groups:
        for name, value in groups.pop().items():
            if isinstance(value, dict):
                groups.append(value)
            else:
                found[name] = value
    return found


def _joined_problems(parts: Sequence[BatchToMerge]) -> tuple[Sequence[Problem], list[list[int]]]:
    """Return the different problems, and for each batch the index among them of each of its problems.

    A text that a batch has twice is two problems. Raises SettingsError if expected answers differ.
    """
    problems: list[Problem] = []
    positions: list[list[int]] = []
    known: dict[tuple[str, int], tuple[int, BatchToMerge]] = {}
    for part in parts:
        times: Counter[str] = Counter()
        positions.append([])
        for problem in part.store.batches.problems(part.batch.id):
            times[problem.text] += 1
            position, first = known.setdefault((problem.text, times[problem.text]), (len(problems), part))
            if position == len(problems):
                problems.append(problem)
            if (expected := problems[position].expected) != problem.expected:
                raise SettingsError(
                    f"The problem {problem.id} has the expected answer “{expected}” in {first.place}, "
                    f"and “{problem.expected}” in {part.place}.",
                    "Correct the file of problems, and run one of the batches again.",
                )
            positions[-1].append(position)
    return tuple(unique_ids(problems)), positions


def _joined_jobs(
    parts: Sequence[BatchToMerge],
    positions: Sequence[Sequence[int]],
    order: Mapping[str, int],
    problems: Sequence[Problem],
) -> dict[_JobKey, _FoundJob]:
    """Return each job once, with an answer if there is one. Raises SettingsError if there are two."""
    found: dict[_JobKey, _FoundJob] = {}
    for part, places in zip(parts, positions, strict=True):
        for row in part.store.batches.results(part.batch.id):
            key = _JobKey(places[row.position], row.seed, order[row.arm])
            known = found.get(key)
            if known and row.has_answer and known.row.has_answer:
                raise SettingsError(
                    f"The arm “{arm_title(row.arm)}” has answered the problem {problems[key.position].id} with seed "
                    f"{row.seed} in {known.part.place} and in {part.place}.",
                    "Merge batches of other problems, with other seeds (--seed), or of other arms.",
                )
            if known is None or row.has_answer:
                found[key] = _FoundJob(part, row)
    return found


def _mean_by_jobs(values: Sequence[tuple[BatchToMerge, Mapping[str, float]]]) -> dict[str, float]:
    """Average a value of each arm over the batches, weighted by their jobs of the arm."""
    sums: defaultdict[str, float] = defaultdict(float)
    jobs: Counter[str] = Counter()
    for part, by_arm in values:
        counts = {total.arm: total.jobs for total in part.store.batches.totals(part.batch.id)}
        for arm, value in by_arm.items():
            sums[arm] += value * counts[arm]
            jobs[arm] += counts[arm]
    return {arm: sums[arm] / jobs[arm] for arm in sums}


def _listed(parts_of_sentences: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(filter(None, parts_of_sentences)))


def _joined_origin(origins: Iterable[ProblemOrigin]) -> ProblemOrigin:
    found = list(origins)
    data_sets = {origin.data_set for origin in found}
    files = dict.fromkeys(file for origin in found for file in origin.files)
    return ProblemOrigin(data_set=data_sets.pop() if len(data_sets) == 1 else "", files=tuple(files))
