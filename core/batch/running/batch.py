"""Creates batches, and defines the settings stored with each: grading, models, seeds, the machine."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from baton_reasoning.core.batch.reading.problems import ProblemOrigin
from baton_reasoning.core.batch.running.arms import Arm, OtherModels
from baton_reasoning.core.engines.base import Engine
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.verdict import Grading, GradingMethod, Regex
from baton_reasoning.core.models.ollama import shown_name
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import counted
from baton_reasoning.core.version import BINDING, installed_version, version
from baton_reasoning.core.words.authors import SIGN


class Provenance(BaseModel):
    """Versions, machine, command and models with which a batch was begun."""

    model_config = ConfigDict(frozen=True)

    baton: str = Field("", description="Version of Baton.")
    llama_cpp_python: str = Field("", description="Version of the binding, which fixes that of llama.cpp.")
    python: str = ""
    system: str = Field("", description="Operating system, its version and the architecture.")
    processor: str = ""
    cores: int = Field(0, description="Logical CPU cores.")
    memory: int = Field(0, description="Bytes of RAM.")
    command: tuple[str, ...] = Field((), description="Command line; empty for a batch of the window.")
    small: str = Field("", description="The small model as it was named: a file, or the address of a server.")
    large: str = Field("", description="The large model as it was named.")
    problems: ProblemOrigin = ProblemOrigin()

    @classmethod
    def of_this_machine(
        cls,
        command: Sequence[str] = (),
        small: str = "",
        large: str = "",
        problems: ProblemOrigin = ProblemOrigin(),  # noqa: B008 - immutable
    ) -> Provenance:
        return cls(
            baton=version(),
            llama_cpp_python=installed_version(BINDING),
            python=platform.python_version(),
            system=platform.platform(),
            processor=_processor(),
            cores=os.cpu_count() or 0,
            memory=psutil.virtual_memory().total,
            command=tuple(map(without_password, command)),
            small=without_password(small),
            large=without_password(large),
            problems=problems,
        )


def without_password(text: str) -> str:
    """Remove user and password from an address."""
    return re.sub(r"//[^/@\s]*@", "//…@", text)


def _processor() -> str:
    """Return the name of the CPU; platform.processor() is empty on Linux."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


_DEMO_SOURCES = {str(demo) for demo in DemoModel}


class ModelSummary(BaseModel):
    """A model as the settings of a batch and report.json describe it."""

    model_config = ConfigDict(frozen=True)

    name: str
    place: str = Field("", description="“this machine”, or the host of a server.")
    parameters: int = 0
    quantisation: str = ""
    architecture: str = ""
    vocabulary: str = Field("", description="Hash of the tokenizer.")
    drafting: str = Field("", description="Kind of the server's own speculative decoding, as llama.cpp names it.")
    context: int = Field(0, description="Tokens of prompt and answer that one text may have.")
    threads: int = 0
    source: str = Field("", description="As --small and --large take it; an address without its password.")
    file: str = Field("", description="Name of the GGUF file; empty on a server.")
    bytes: int = 0
    sha256: str = Field("", description="Of the file; of several, theirs in order, with commas; empty on a server.")

    @classmethod
    def of(cls, engine: Engine, sha256: str = "") -> ModelSummary:
        """Describe a loaded model. `sha256`: of its file, if it is on this machine."""
        card = engine.card
        return cls(
            name=card.name,
            place=card.location,
            parameters=card.parameters,
            quantisation=card.quantisation,
            architecture=card.architecture,
            vocabulary=card.vocabulary,
            drafting=card.drafting,
            context=card.context,
            threads=card.placement.threads if card.placement else 0,
            source=without_password(str(card.source)) if card.source else "",
            file=shown_name(card.path) if card.path else "",
            bytes=card.path.stat().st_size if card.path and card.path.exists() else 0,
            sha256=sha256,
        )

    @property
    def is_demo(self) -> bool:
        return self.source in _DEMO_SOURCES

    @property
    def title(self) -> str:
        return f"{self.name} in {self.quantisation}" if self.quantisation else self.name

    @property
    def label(self) -> str:
        """Its file, or on a server its name, with the quantisation unless that names it, too: “Qwen3-1.7B-Q4_K_M”."""
        name = self.name if self.is_demo or not self.file else self.file.removesuffix(".gguf")
        return name if self.quantisation.lower() in name.lower() else f"{name} {self.quantisation}"

    def is_same(self, other: ModelSummary) -> bool:
        """Tell whether the weights are the same: by the hash if one has a file here, else by name and server.

        The quantisations may differ where a server does not say one.
        """
        if self.sha256 or other.sha256:
            return self.sha256 == other.sha256
        quantisations = {self.quantisation, other.quantisation} - {""}
        return (self.name, self.place) == (other.name, other.place) and len(quantisations) <= 1

    @property
    def identity(self) -> str:
        """Say what tells it from others: “Qwen3 1.7B in Q4_K_M (qwen3.gguf, SHA-256 0a1b2c3d4e5f…)”."""
        where = f"{self.file}, SHA-256 {self.sha256[:12]}…" if self.sha256 else f"on {self.place}"
        return f"{self.title} ({where})"


def local_context(*models: ModelSummary | None) -> int:
    """Return the context length of the models on this machine, in tokens; 0 if there is none."""
    return max((model.context for model in models if model and model.file), default=0)


class BatchSettings(BaseModel):
    model_config = ConfigDict(frozen=True)

    parallel: int = 1
    """Problems at once."""
    seed_numbers: tuple[int, ...] = (0,)
    grade: GradingMethod = GradingMethod.AUTO
    pattern: str = ""
    """Of `GradingMethod.REGEX`."""
    small: ModelSummary | None = None
    large: ModelSummary | None = None
    """None before the models were first loaded."""
    other_smalls: dict[str, ModelSummary] = {}
    """By the file or address that arms name, as `other_larges`."""
    other_larges: dict[str, ModelSummary] = {}
    chances: dict[str, float] = {}
    """The chance of takeover that the pilot found for each arm of equal large share."""
    shares: dict[str, float] = {}
    """The large share, 0 to 1, at which each of these arms aims."""
    pilots: dict[str, dict[int, tuple[int, int]]] = {}
    """`PilotAnswers` of pilots that are not complete, by `Arm.pilot`."""
    provenance: Provenance = Provenance()

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Raises SettingsError for settings of another version of Baton."""
        try:
            return cls.model_validate(batch.settings)
        except ValidationError as error:
            raise SettingsError(
                f"The settings of the batch “{batch.name}” cannot be read.", "Start a new batch with this version."
            ) from error

    @property
    def is_demo(self) -> bool:
        """Whether only demo models run it; both are equally fast, so that times say nothing."""
        models = (self.small, self.large, *self.other_smalls.values(), *self.other_larges.values())
        if known := [model.is_demo for model in models if model]:
            return all(known)
        return {self.provenance.small, self.provenance.large} <= _DEMO_SOURCES  # it has not begun

    @property
    def how(self) -> Grading:
        """Raises SettingsError for an invalid pattern."""
        return Regex(self.pattern) if self.grade is GradingMethod.REGEX else self.grade

    def graded_by(self, how: Grading) -> Self:
        return self.model_copy(
            update={"grade": GradingMethod.REGEX, "pattern": how.pattern} if isinstance(how, Regex) else {"grade": how}
        )

    def stored(self) -> dict[str, Any]:
        """Return JSON values."""
        return self.model_dump(mode="json")

    def named(self, names: OtherModels) -> OtherModels:
        """Return what opens the models of these names; where one is empty, the batch's own as it was opened last."""
        small, large = self.small, self.large
        return OtherModels(
            names.small or (small and small.source) or self.provenance.small,
            names.large or (large and large.source) or self.provenance.large,
        )

    @property
    def models_in_words(self) -> str:
        """Name the models of the batch: “● Qwen2.5 0.5B Q4_K_M · ◆ Qwen2.5 1.5B Q4_K_M · 1 other model”."""
        named = zip(Author, (self.small, self.large), self.named(OtherModels()), strict=False)
        names = [
            f"{SIGN[each]} {known.label if known else shown_name(Path(text))}" for each, known, text in named if text
        ]
        others = len(self.other_smalls) + len(self.other_larges)
        return " · ".join([*names, *([counted(others, "other model")] if others else [])])

    def models_of(self, names: OtherModels) -> dict[str, ModelSummary | None]:
        """Return the models of these names by "small" and "large"; without a name the batch's own."""
        return {
            "small": self.other_smalls.get(names.small) if names.small else self.small,
            "large": self.other_larges.get(names.large) if names.large else self.large,
        }

    def with_models(self, pair: Pair, names: OtherModels, hashes: Mapping[Author, str]) -> Self:
        """Fill in the models that run it now. `hashes`: the SHA-256 of those with a file on this machine.

        Raises SettingsError if the batch was begun with others: its arms could no longer be compared.
        """
        changes: dict[str, Any] = {}
        for author, engine in pair.engines.items():
            which = author.value
            known, name = self.models_of(names)[which], getattr(names, which)
            model = ModelSummary.of(engine, hashes.get(author, ""))
            if known and not known.is_same(model):
                raise SettingsError(
                    f"This batch was begun with the {which} model {known.identity}, not {model.identity}.",
                    "Choose the model that it was begun with, or start a new batch.",
                )
            others = f"other_{which}s"
            changes |= {others: getattr(self, others) | {name: model}} if name else {which: model}
        return self.model_copy(update=changes)


def models_of(batch: Batch) -> str:
    """Name the models of a batch; "" for one of another version, whose settings cannot be read."""
    try:
        return BatchSettings.of(batch).models_in_words
    except SettingsError:
        return ""


def change_settings(store: Store, batch: str, change: Callable[[BatchSettings], BatchSettings]) -> BatchSettings:
    """Change the settings of a batch, all at once; returns the new ones. Raises StoreError, and as `change` does."""
    return BatchSettings.model_validate(store.batches.change_settings(batch, as_stored(change)))


def as_stored(change: Callable[[BatchSettings], BatchSettings]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the change as one of JSON values."""
    return lambda stored: change(BatchSettings.model_validate(stored)).stored()


def create_batch(
    store: Store,
    name: str,
    problems: Sequence[Problem],
    arms: Sequence[Arm],
    seeds: Sequence[int] = (0,),
    parallel: int = 1,
    how: Grading = GradingMethod.AUTO,
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
    """Add the jobs of new arms; returns a sentence for each that was left out as a duplicate. Raises StoreError."""
    batch = store.batches.open(batch_id)
    settings, before = BatchSettings.of(batch), list(map(Arm.of, batch.arms))
    known = {arm.name for arm in before}
    found = without_duplicates([*before, *(arm for arm in arms if arm.name not in known)])
    for arm in found.arms:
        if arm.name not in known:
            store.batches.add_arm(batch_id, arm.stored(), settings.seed_numbers)
    return found.notes


def add_seeds(store: Store, batch_id: str, count: int) -> None:
    """Add the jobs that are missing for `count` seeds of each problem, from the batch's first on. Raises StoreError."""
    known = BatchSettings.of(store.batches.open(batch_id)).seed_numbers
    new = [seed for seed in range(known[0], known[0] + count) if seed not in known]
    change = as_stored(lambda now: now.model_copy(update={"seed_numbers": (*known, *new)}))
    if new:
        store.batches.add_seeds(batch_id, new, change)


class DistinctArms(NamedTuple):
    arms: tuple[Arm, ...]
    notes: tuple[str, ...]
    """A sentence for each arm that was left out."""


def without_duplicates(arms: Iterable[Arm]) -> DistinctArms:
    """Leave out arms whose settings equal those of an earlier one, which takes their place in controls."""
    different: dict[str, Arm] = {}
    runs_as: dict[str, str] = {}
    notes = []
    for arm in arms:
        key = arm.model_dump_json(exclude={"name"})
        first = different.setdefault(key, arm)
        runs_as[arm.name] = first.name
        if first is not arm:
            notes.append(f"“{arm.name}” has the same settings as “{first.name}”, which runs once.")
    shared = ((arm, runs_as.get(arm.equal_share_of, arm.equal_share_of)) for arm in different.values())
    return DistinctArms(tuple(arm.model_copy(update={"equal_share_of": of}) for arm, of in shared), tuple(notes))
