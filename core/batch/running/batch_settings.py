"""How a batch is run and graded, and with which models. Stored with the batch, for its report and for resuming it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from core.batch.running.arms import OtherModels
from core.batch.running.provenance import Provenance, without_password
from core.engines.base import Engine
from core.errors import SettingsError
from core.grading.verdict import How, Regex
from core.run import Pair
from core.store.batch_rows import Batch


class ModelSummary(BaseModel):
    """A model as a report describes it."""

    model_config = ConfigDict(frozen=True)

    name: str
    parameters: int = 0
    place: str = ""
    quantisation: str = ""
    architecture: str = ""
    vocabulary: str = ""
    """Hash of the tokenizer."""
    context: int = 0
    threads: int = 0
    source: str = ""
    """As `core.models.source` writes it: a file, the demo pair, a Hub name, or the address of a server."""
    path: str = ""
    """Of the GGUF file; empty on a server."""
    bytes: int = 0
    sha256: str = ""
    """Of the file, as 64 hexadecimal digits; empty until it has been computed."""

    @classmethod
    def of(cls, engine: Engine | None) -> ModelSummary | None:
        if engine is None:
            return None
        card = engine.card
        return cls(
            name=card.name,
            parameters=card.parameters,
            place=card.location,
            quantisation=card.quantisation,
            architecture=card.architecture,
            vocabulary=card.vocabulary,
            context=card.context,
            threads=card.placement.threads if card.placement else 0,
            source=without_password(str(card.source)) if card.source else "",
            path=str(card.path or ""),
            bytes=card.path.stat().st_size if card.path and card.path.exists() else 0,
        )

    def with_hash_of(self, known: ModelSummary | None) -> ModelSummary:
        """With the hash that was computed before, if it was of the same file."""
        same = known and (known.path, known.bytes) == (self.path, self.bytes)
        return self.model_copy(update={"sha256": known.sha256}) if known and same else self


class ArmAlias(BaseModel):
    """An arm with the same settings as the arm `same_as`, whose results it shares."""

    model_config = ConfigDict(frozen=True)

    name: str
    same_as: str
    sweep: str = ""


class BatchSettings(BaseModel):
    model_config = ConfigDict(frozen=True)

    source: str = ""
    parallel: int = 1
    """Problems at once."""
    seeds: int = 1
    grade: How = How.AUTO
    pattern: str = ""
    """Of `How.REGEX`."""
    small: ModelSummary | None = None
    large: ModelSummary | None = None
    """The models, known once they have been loaded."""
    guides: dict[str, ModelSummary] = {}
    """Other large models that arms name, by file or address."""
    smalls: dict[str, ModelSummary] = {}
    """Other small models."""
    aliases: tuple[ArmAlias, ...] = ()
    """Arms that are the same as another, and are not run again."""
    chances: dict[str, float] = {}
    """Of each arm of equal large share: the chance of takeover that the pilot found."""
    shares: dict[str, float] = {}
    """The large share, 0 to 1, at which each of them aims."""
    provenance: Provenance = Provenance()
    seed_numbers: tuple[int, ...] = ()

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
    def how(self) -> How | Regex:
        """Raises SettingsError for an invalid pattern."""
        return Regex(self.pattern) if self.grade is How.REGEX else self.grade

    def with_hashes(self, hashes: Mapping[str, str]) -> Self:
        """With the SHA-256 of model files, by their path."""

        def hashed(model: ModelSummary | None) -> ModelSummary | None:
            known = hashes.get(model.path, "") if model else ""
            return model.model_copy(update={"sha256": known}) if model and known else model

        others = {
            "guides": {name: hashed(model) for name, model in self.guides.items()},
            "smalls": {name: hashed(model) for name, model in self.smalls.items()},
        }
        return self.model_copy(update={"small": hashed(self.small), "large": hashed(self.large), **others})

    def graded_by(self, how: How | Regex) -> Self:
        return self.model_copy(
            update={"grade": How.REGEX, "pattern": how.pattern} if isinstance(how, Regex) else {"grade": how}
        )

    def stored(self) -> dict[str, Any]:
        """JSON values."""
        return self.model_dump(mode="json")

    def small_of(self, name: str) -> ModelSummary | None:
        """The small model of an arm: the batch's own, or the other one that it names."""
        return self.smalls.get(name) if name else self.small

    def large_of(self, guide: str) -> ModelSummary | None:
        """The large model of an arm: the batch's own, or the guide that it names."""
        return self.guides.get(guide) if guide else self.large

    def with_models(self, pair: Pair, names: OtherModels = OtherModels()) -> Self:  # noqa: B008 - immutable
        """With the models that run it now. Raises SettingsError if the batch was begun with others, because its arms
        could no longer be compared."""
        small, large = ModelSummary.of(pair.small), ModelSummary.of(pair.large)
        known_small, known_large = self.small_of(names.small), self.large_of(names.large)
        for which, known, now in (("small", known_small, small), ("large", known_large, large)):
            if known and now and known.name != now.name:
                raise SettingsError(
                    f"This batch was begun with the {which} model {known.name}, not {now.name}.",
                    f"Choose {known.name} as the {which} model.",
                )
        small = small.with_hash_of(known_small) if small else known_small
        large = large.with_hash_of(known_large) if large else known_large
        changes: dict[str, Any] = {}
        if names.small:
            changes["smalls"] = self.smalls | ({names.small: small} if small else {})
        else:
            changes["small"] = small
        if names.large:
            changes["guides"] = self.guides | ({names.large: large} if large else {})
        else:
            changes["large"] = large
        return self.model_copy(update=changes)
