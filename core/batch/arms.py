"""Arms: the same problems under other settings. `recipes` makes the usual ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from core.engines.base import Engine
from core.errors import SettingsError
from core.run import RunSettings
from core.store.batch_rows import StoredArm
from core.thinking.registry import POLICIES


class Arm(BaseModel):
    """One way to solve the problems; its name is unique in a batch."""

    model_config = ConfigDict(frozen=True)

    name: str
    settings: RunSettings
    equal_share_of: str = ""
    """An arm whose large share a random takeover is to equal: it runs when that arm is done."""
    sweep: str = ""
    """The parameter of which this arm tries one value; arms of one sweep are joined by a line in the chart."""
    large: str = ""
    """A file or address of another large model than the batch's."""
    drafted: bool = False
    """The large model has to be on a server that drafts: the arm is for speculative decoding."""

    def stored(self) -> StoredArm:
        return StoredArm(self.name, self.model_dump(mode="json", exclude={"name"}))

    @classmethod
    def of(cls, stored: StoredArm) -> Arm:
        """Raises SettingsError for settings of another version of Baton."""
        try:
            return cls.model_validate({"name": stored.name, **stored.settings})
        except ValidationError as error:
            raise SettingsError(
                f"The settings of the arm “{stored.name}” cannot be read.", "Begin the batch anew with this version."
            ) from error


def needs(arms: Sequence[Arm]) -> tuple[bool, bool]:
    """Whether any of them needs the small model, and whether any needs the large one."""
    needed = [POLICIES.of(arm.settings.policy).needs for arm in arms]
    return any(need.small for need in needed), any(need.large for need in needed)


def refuse_undrafted(arms: Iterable[Arm], large: Engine | None) -> None:
    """Raises SettingsError if an arm is for speculative decoding, and the large model has no draft model."""
    for arm in arms:
        if arm.drafted and large and not large.card.drafts:
            raise SettingsError(
                f"The arm “{arm.name}” needs a large model that a draft model goes ahead of, and {large.card.name} on "
                f"{large.card.location} has none.",
                "Start its llama-server with one (-md DRAFT.gguf --spec-type draft-simple), or leave the arm out.",
            )


def by_large_model(arms: Sequence[Arm]) -> dict[str, list[Arm]]:
    """The arms of each large model, the batch's own ("") first: pairs of models are loaded one after another."""
    groups: dict[str, list[Arm]] = {}
    for arm in sorted(arms, key=lambda arm: arm.large != ""):
        groups.setdefault(arm.large, []).append(arm)
    return groups
