"""What a batch keeps besides its problems and arms: how it is run and graded, and by which models."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from core.engines.base import Engine
from core.errors import SettingsError
from core.grading.verdict import How, Regex
from core.run import Pair
from core.store.batch_rows import Batch


class ModelSummary(BaseModel):
    """What a report says of a model."""

    model_config = ConfigDict(frozen=True)

    name: str
    parameters: int = 0
    place: str = ""

    @classmethod
    def of(cls, engine: Engine | None) -> ModelSummary | None:
        card = engine.card if engine else None
        return cls(name=card.name, parameters=card.parameters, place=card.place) if card else None


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

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Raises SettingsError for settings of another version of Baton."""
        try:
            return cls.model_validate(batch.settings)
        except ValidationError as error:
            raise SettingsError(
                f"The settings of the batch “{batch.name}” cannot be read.", "Begin it anew with this version."
            ) from error

    @property
    def how(self) -> How | Regex:
        """Raises SettingsError for a pattern that is none."""
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
        """With the models that now run it. Raises SettingsError if they are others than it was begun with: then it
        would compare nothing."""
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
