"""Arms: the same problems under other settings. Recipes make the ones that the paper compares (§4 and its ablations).

A new recipe is a function and a line in `RECIPES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import SettingsError
from core.run import RunSettings
from core.store.batch_rows import Arm as StoredArm
from core.thinking.policies import POLICIES
from core.thinking.presets import BATON, PRESETS


class Arm(BaseModel):
    """One way to solve the problems; its name is unique in a batch."""

    model_config = ConfigDict(frozen=True)

    name: str
    settings: RunSettings
    equal_share_of: str = ""
    """An arm whose large share a random takeover is to equal: it runs when that arm is done."""

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


Make = Callable[[RunSettings], tuple[Arm, ...]]
"""From the settings that a person chose to arms that differ from them in one thing."""


class Recipe(NamedTuple):
    title: str
    make: Make


def with_policy(name: str, policy: str, **parameters: Any) -> Make:
    """One arm: the chosen settings under another policy, with these parameters changed."""
    return lambda base: (Arm(name=name, settings=_changed(base, policy, parameters)),)


def with_preset(preset: str) -> Make:
    """One arm: the keyword policy as this preset has it. What every preset leaves alike stays as it was chosen."""
    return with_policy(preset, "keywords", **_differences(preset))


def random_at_share_of(preset: str) -> Make:
    """The control: takeovers by chance, each as long as this preset's, and as many as give its large share."""

    def make(base: RunSettings) -> tuple[Arm, ...]:
        settings = _changed(base, "random", _differences(preset))
        return (Arm(name=f"random as {preset}", settings=settings, equal_share_of=preset),)

    return make


def _changed(base: RunSettings, policy: str, parameters: dict[str, Any]) -> RunSettings:
    changed = base.parameters.model_copy(update=parameters)
    return base.model_copy(update={"policy": policy, "parameters": changed})


def _differences(preset: str) -> dict[str, Any]:
    """What sets a preset apart from the default one."""
    ours, theirs = BATON.model_dump(), PRESETS[preset]
    return {name: getattr(theirs, name) for name in ours if getattr(theirs, name) != getattr(BATON, name)}


def _several(*makes: Make) -> Make:
    return lambda base: tuple(arm for make in makes for arm in make(base))


RECIPES: dict[str, Recipe] = {
    "chosen": Recipe("the settings as they are chosen", lambda base: (Arm(name="chosen", settings=base),)),
    "small": Recipe("small only", with_policy("small", "never")),
    "large": Recipe("large only", with_policy("large", "always")),
    "baton": Recipe("cues, Baton's preset", with_preset("baton")),
    "paper": Recipe("cues, the paper's preset", with_preset("paper")),
    "reference": Recipe("cues, the authors' code", with_preset("reference")),
    "random": Recipe("takeovers by chance, with the large share of baton", random_at_share_of("baton")),
    "entropy": Recipe("first-token entropy", with_policy("entropy", "first-token-entropy")),
    "score": Recipe("step score by the large model", with_policy("score", "step-score")),
    "every-step": Recipe("every step begun by the large model", with_policy("every-step", "every-step")),
    "c": Recipe(
        "reflections allowed: 3, 15, 50",
        _several(*(with_policy(f"c = {c}", "keywords", c=c, c_step=0, c_most=c) for c in (3, 15, 50))),
    ),
    "one-cue": Recipe("one cue a class", with_policy("one cue", "keywords", one_cue=True)),
    "opening": Recipe(
        "the large model's opening, on and off",
        _several(with_policy("opening", "keywords", opening=100), with_policy("no opening", "keywords", opening=0)),
    ),
}


def arms_of(names: Iterable[str], base: RunSettings) -> tuple[Arm, ...]:
    """The arms of these recipes, what they need first included, each name once.

    Raises SettingsError for a name that is no recipe.
    """
    arms: dict[str, Arm] = {}
    for name in names:
        if name not in RECIPES:
            raise SettingsError(f"There is no arm called {name!r}.", f"Choose among {', '.join(RECIPES)}.")
        for arm in RECIPES[name].make(base):
            if arm.equal_share_of and arm.equal_share_of not in arms:
                arms |= {needed.name: needed for needed in RECIPES[arm.equal_share_of].make(base)}
            arms[arm.name] = arm
    return tuple(arms.values())


def needs(arms: Sequence[Arm]) -> tuple[bool, bool]:
    """Whether any of them needs the small model, and whether any needs the large one."""
    kinds = [POLICIES[arm.settings.policy] for arm in arms]
    return any(kind.needs_small for kind in kinds), any(kind.needs_large for kind in kinds)
