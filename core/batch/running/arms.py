"""Defines arms, the settings that a batch compares on the same problems. `recipes` makes the usual ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import Pair, RunSettings, unmet_need, unmet_setting
from baton_reasoning.core.store.batch_rows import StoredArm
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.registry import POLICIES


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
    votes: int = Field(1, ge=1)
    """Answers of each problem and seed; the one that most of them give counts (reporting/votes.py)."""
    sweep: str = ""
    """The parameter of which this arm tries a value. The chart joins the arms of a sweep by a line."""
    small_model: str = ""
    """File or address of another small model; empty: the batch's own."""
    large_model: str = ""
    """File or address of another large model; empty: the batch's own."""

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


def needs(arms: Sequence[Arm]) -> Needs:
    """Return which models the arms need together."""
    needed = [POLICIES.of(arm.settings.policy).needs for arm in arms]
    return Needs(
        small=any(need.small for need in needed),
        large=any(need.large for need in needed),
        drafts=any(need.drafts for need in needed),
    )


def refuse_impossible(arms: Iterable[Arm], pair: Pair) -> None:
    """Raise SettingsError, before anything runs, if a policy cannot work with these models, or they always think."""
    for arm in arms:
        policy = POLICIES.of(arm.settings.policy)
        found = unmet_need(policy, pair.cards)
        found = found or unmet_setting(arm.settings, [pair.cards[author] for author in policy.needs.writers])
        if found:
            raise SettingsError(f"“{arm.name}” cannot run: {found.message}", f"{found.advice} Or leave it out.")


def by_models(arms: Sequence[Arm]) -> dict[OtherModels, list[Arm]]:
    """Group the arms by their pair of models, the batch's own first: pairs are loaded one after another."""
    groups: dict[OtherModels, list[Arm]] = {}
    for arm in sorted(arms, key=lambda arm: arm.models != OtherModels()):
        groups.setdefault(arm.models, []).append(arm)
    return groups
