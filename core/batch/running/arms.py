"""Defines arms, the settings that a batch compares on the same problems. `recipes` makes the usual ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import tolerant_value
from baton_reasoning.core.run import Pair, RunSettings, unmet_need, unmet_setting
from baton_reasoning.core.store.batches import StoredArm
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
    sweep: str = ""
    """The parameter of which this arm tries a value. The chart joins the arms of a sweep by a line."""
    small_model: str = ""
    """File or address of another small model; empty: the batch's own."""
    large_model: str = ""
    """File or address of another large model; empty: the batch's own."""

    as_stored: dict[str, Any] | None = Field(None, exclude=True)
    """The settings as they are stored, if this version does not know all of them; None if it does."""

    @property
    def models(self) -> OtherModels:
        return OtherModels(self.small_model, self.large_model)

    def stored(self) -> StoredArm:
        return StoredArm(self.name, self.as_stored or self.model_dump(mode="json", exclude={"name"}))

    @classmethod
    def of(cls, stored: StoredArm) -> Arm:
        """Read an arm to run it. Raises SettingsError for settings of another version of Baton."""
        try:
            return cls.model_validate({"name": stored.name, **stored.settings})
        except ValidationError as error:
            raise SettingsError(
                f"The settings of the arm “{stored.name}” cannot be read.", "Start a new batch with this version."
            ) from error

    @classmethod
    def shown(cls, stored: StoredArm) -> Arm:
        """Read an arm to show its answers: what this version does not know of its settings is kept in `stored` alone.

        Raises SettingsError for a policy that is not here.
        """
        try:
            return cls.of(stored)
        except SettingsError:
            match stored.settings:
                case {"settings": {"policy": {"policy": str(policy)}}} if policy in POLICIES:
                    arm = tolerant_value(cls, deepcopy({**stored.settings, "name": stored.name}))
                    return arm.model_copy(update={"as_stored": stored.settings})
            raise


def known_arms(stored: Iterable[StoredArm]) -> list[Arm]:
    """Read arms to show their answers, without those of a policy that this version does not have."""
    found = []
    for each in stored:
        with suppress(SettingsError):
            found.append(Arm.shown(each))
    return found


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
