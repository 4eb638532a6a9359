"""How a batch is run and graded, and with which models. Stored with the batch, for its report and for resuming it."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

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

    @classmethod
    def of(cls, engine: Engine | None) -> ModelSummary | None:
        card = engine.card if engine else None
        return cls(name=card.name, parameters=card.parameters, place=card.location) if card else None


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
    aliases: tuple[ArmAlias, ...] = ()
    """Arms that are the same as another, and are not run again."""
    chances: dict[str, float] = {}
    """Of each arm of equal large share: the chance of takeover that the pilot found."""
    shares: dict[str, float] = {}
    """The large share, 0 to 1, at which each of them aims."""

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

    def graded_by(self, how: How | Regex) -> Self:
        return self.model_copy(
            update={"grade": How.REGEX, "pattern": how.pattern} if isinstance(how, Regex) else {"grade": how}
        )

    def stored(self) -> dict[str, Any]:
        """JSON values."""
        return self.model_dump(mode="json")

    def large_of(self, guide: str) -> ModelSummary | None:
        """The large model of an arm: the batch's own, or the guide that it names."""
        return self.guides.get(guide) if guide else self.large

    def with_models(self, pair: Pair, guide: str = "") -> Self:
        """With the models that run it now. Raises SettingsError if the batch was begun with others, because its arms
        could no longer be compared."""
        small, large = ModelSummary.of(pair.small), ModelSummary.of(pair.large)
        for which, known, now in (("small", self.small, small), ("large", self.large_of(guide), large)):
            if known and now and known.name != now.name:
                raise SettingsError(
                    f"This batch was begun with the {which} model {known.name}, not {now.name}.",
                    f"Choose {known.name} as the {which} model.",
                )
        kept: dict[str, Any] = {"small": small or self.small}
        if guide:
            kept["guides"] = self.guides | ({guide: large} if large else {})
        else:
            kept["large"] = large or self.large
        return self.model_copy(update=kept)
