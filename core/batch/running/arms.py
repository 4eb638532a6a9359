"""Defines arms, the settings that a batch compares on the same problems. `recipes` makes the usual ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from core.engines.base import Engine
from core.errors import SettingsError
from core.run import Pair, RunSettings, obstacle
from core.store.batch_rows import StoredArm
from core.thinking.registry import POLICIES


class OtherModels(NamedTuple):
    """The models of an arm by file or address; empty where it uses the batch's own."""

    small: str = ""
    large: str = ""


class Arm(BaseModel):
    """One way to solve the problems; its name is unique in a batch."""

    model_config = ConfigDict(frozen=True)

    name: str
    settings: RunSettings
    equal_share_of: str = ""
    """The arm whose large share this arm of random takeovers takes; a pilot finds the chance (calibration.py)."""
    sweep: str = ""
    """The parameter of which this arm tries a value. The chart joins the arms of a sweep by a line."""
    small_model: str = ""
    """File or address of another small model; empty: the batch's own."""
    large_model: str = ""
    """File or address of another large model; empty: the batch's own."""
    drafted: bool = False
    """The arm measures speculative decoding, so its large model must be on a server with a draft model."""

    @property
    def models(self) -> OtherModels:
        return OtherModels(self.small_model, self.large_model)

    def stored(self) -> StoredArm:
        return StoredArm(self.name, self.model_dump(mode="json", exclude={"name"}))

    @classmethod
    def of(cls, stored: StoredArm) -> Arm:
        """Raises SettingsError for settings of another version of Baton."""
        try:
            return cls.model_validate({"name": stored.name, **stored.settings})
        except ValidationError as error:
            raise SettingsError(
                f"The settings of the arm “{stored.name}” cannot be read.", "Start a new batch with this version."
            ) from error


def needs(arms: Sequence[Arm]) -> tuple[bool, bool]:
    """Say whether any arm needs the small model, and whether any needs the large one."""
    needed = [POLICIES.of(arm.settings.policy).needs for arm in arms]
    return any(need.small for need in needed), any(need.large for need in needed)


def refuse_undrafted(arms: Iterable[Arm], large: Engine | None) -> None:
    """Raise SettingsError if an arm is for speculative decoding, and the large model has no draft model."""
    for arm in arms:
        if arm.drafted and large and not large.card.drafts:
            raise SettingsError(
                f"The arm “{arm.name}” needs a large model with a draft model, and {large.card.name} on "
                f"{large.card.location} has none.",
                "Start its llama-server with one (-md DRAFT.gguf --spec-type draft-simple), or leave the arm out.",
            )


def refuse_impossible(arms: Iterable[Arm], pair: Pair) -> None:
    """Raise SettingsError, before anything runs, if a policy cannot work with these models."""
    for arm in arms:
        if found := obstacle(POLICIES.of(arm.settings.policy), pair):
            raise SettingsError(f"The arm “{arm.name}” cannot run: {found.message}", f"{found.advice} Or leave it out.")


def by_models(arms: Sequence[Arm]) -> dict[OtherModels, list[Arm]]:
    """Group the arms by their pair of models, the batch's own first: pairs are loaded one after another."""
    groups: dict[OtherModels, list[Arm]] = {}
    for arm in sorted(arms, key=lambda arm: arm.models != OtherModels()):
        groups.setdefault(arm.models, []).append(arm)
    return groups
