"""Defines arms, the settings that a batch compares on the same problems, and recipes for them.

Each policy brings its own arms and ablations: those of the paper (§4) and others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import Pair, RunSettings, thinks_always
from baton_reasoning.core.store.batches import StoredArm
from baton_reasoning.core.thinking import automatic, registry
from baton_reasoning.core.thinking.policies.alone import Drafted
from baton_reasoning.core.thinking.policy import Needs, PolicyArm
from baton_reasoning.core.thinking.registry import COMMON_POLICIES, POLICIES
from baton_reasoning.core.thinking.requirements import unmet_need


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
    """The arm whose large share this arm of random takeovers copies; a pilot run finds the chance for it."""
    small_model: str = ""
    """File or address of another small model; empty: the batch's own."""
    large_model: str = ""
    """File or address of another large model; empty: the batch's own."""

    @property
    def models(self) -> OtherModels:
        return OtherModels(self.small_model, self.large_model)

    @property
    def needs(self) -> Needs:
        return POLICIES.of(self.settings.policy).needs

    @property
    def is_pair(self) -> bool:
        """Whether both models write in it, and it is no control with the large share of another arm."""
        return self.needs.small and self.needs.large and not self.equal_share_of

    @property
    def pilot(self) -> str:
        """The key under which its answers in a pilot are saved; a control has one for each chance."""
        return f"{self.name} {self.settings.policy.model_dump_json()}"

    def with_chance(self, chance: float) -> Arm:
        """Return the arm with this chance of takeover, 0 to 1; its policy must be one of random takeovers."""
        settings = self.settings.model_copy(update={"policy": self.settings.policy.with_chance(chance)})
        return self.model_copy(update={"settings": settings})

    def with_policy(self, cards: Mapping[Author, ModelCard]) -> Arm:
        """Return the arm with the policy for these models if its own is automatic, else itself."""
        settings = automatic.with_policy(self.settings, cards)
        return self if settings is self.settings else self.model_copy(update={"settings": settings})

    def stored(self) -> StoredArm:
        return StoredArm(self.name, self.model_dump(mode="json", exclude={"name"}))

    @classmethod
    def of(cls, stored: StoredArm) -> Arm:
        """Read an arm. Raises SettingsError for settings of another version of Baton."""
        try:
            return cls.model_validate({"name": stored.name, **stored.settings})
        except ValidationError as error:
            raise SettingsError(
                f"The settings of the arm “{stored.name}” cannot be read.", "Start a new batch with this version."
            ) from error


def known_arms(stored: Iterable[StoredArm]) -> list[Arm]:
    """Read arms to show their answers, except for those with an unknown policy or setting."""
    found = []
    for each in stored:
        with suppress(SettingsError):
            found.append(Arm.of(each))
    return found


def pair_names(stored: Iterable[StoredArm]) -> list[str]:
    """Return the names of the arms in which both models write by their policy: no model alone, no control by chance."""
    return [arm.name for arm in known_arms(stored) if arm.is_pair]


def needs(arms: Sequence[Arm]) -> Needs:
    """Return which models the arms need together."""
    return Needs(
        small=any(arm.needs.small for arm in arms),
        large=any(arm.needs.large for arm in arms),
        drafts=any(arm.needs.drafts for arm in arms),
    )


def refuse_impossible(arms: Iterable[Arm], pair: Pair) -> None:
    """Raise SettingsError if the policy or another setting of an arm does not work with these models."""
    for arm in arms:
        found = unmet_need(POLICIES.of(arm.settings.policy), pair.cards)
        if not (found or arm.settings.thinking):
            found = thinks_always(pair.cards[author] for author in arm.needs.writers)
        if found:
            raise SettingsError(f"“{arm.name}” cannot run: {found.message}", f"{found.advice} Or leave it out.")


def by_models(arms: Sequence[Arm]) -> dict[OtherModels, list[Arm]]:
    """Group the arms by the pair of models that they run with, the batch's own first."""
    groups: dict[OtherModels, list[Arm]] = {}
    for arm in sorted(arms, key=lambda arm: arm.models != OtherModels()):
        groups.setdefault(arm.models, []).append(arm)
    return groups


class Recipe(NamedTuple):
    title: str
    make: Callable[[RunSettings], tuple[Arm, ...]]
    """Makes arms from the chosen settings; each differs from them in one thing."""
    summary: str = ""
    """One sentence on when the large model writes; empty for an experiment."""


POLICY_ARMS = {
    arm.name: arm
    for policy in sorted(POLICIES.values(), key=lambda policy: policy.needs.small and policy.needs.large)
    for arm in policy.arms
}
"""The arms that policies bring, by name; the baselines with one model first."""
COMMON_ARMS = tuple(
    next(name for name, arm in POLICY_ARMS.items() if arm.settings.policy == policy) for policy in COMMON_POLICIES
)
"""The arms that are offered first."""


def arm_recipe(arm: PolicyArm) -> Recipe:
    """Return the recipe of an arm that a policy brings. Values that the user set stay, but for those it varies."""
    policy, title, varied = POLICIES.of(arm.settings), registry.policy_title(arm.settings), _varied(arm)
    if like := arm.equal_share_of:  # a control takes the lengths of what it is compared with
        title = f"{policy.title} as {registry.policy_title(POLICY_ARMS[like].settings)}"
        varied |= _varied(POLICY_ARMS[like])

    def make(base: RunSettings) -> tuple[Arm, ...]:
        settings = registry.with_values(arm.settings, registry.own_values(base.policy) | varied)
        return (Arm(name=arm.name, settings=base.model_copy(update={"policy": settings}), equal_share_of=like),)

    return Recipe(title, make, registry.policy_summary(policy, registry.matching_preset(arm.settings)))


def _varied(arm: PolicyArm) -> dict[str, Any]:
    """Return the parameters that differ from the policy's defaults."""
    return registry.difference(arm.settings, type(arm.settings)())


def ablation_recipe(name: str, title: str) -> Recipe:
    """Return the recipe of an ablation: that of the chosen policy, else of the first policy that has one."""

    def make(base: RunSettings) -> tuple[Arm, ...]:
        policies = [POLICIES.of(base.policy), *POLICIES.values()]
        policy, ablation = next((each, one) for each in policies for one in each.ablations if one.name == name)
        chosen = registry.settings_for(policy.name, base.policy)
        return tuple(
            Arm(name=arm, settings=base.model_copy(update={"policy": chosen.model_copy(update=values)}))
            for arm, values in ablation.changes(chosen).items()
        )

    return Recipe(title, make)


ARMS: dict[str, Recipe] = {
    "chosen": Recipe("Current settings", lambda base: (Arm(name="chosen", settings=base),)),
    **{name: arm_recipe(arm) for name, arm in POLICY_ARMS.items()},
}
ABLATIONS = {
    ablation.name: ablation_recipe(ablation.name, ablation.title)
    for policy in POLICIES.values()
    for ablation in policy.ablations
}
RECIPES = ARMS | ABLATIONS


def usual_arms(chosen: RunSettings) -> tuple[str, ...]:
    """Return the names of the arms to propose: each model alone, and between them what is chosen.

    That has the name of the arm with the same settings, “chosen” if there is none, and is left out if it is one model.
    """
    same = (
        name
        for name, arm in POLICY_ARMS.items()
        if not arm.equal_share_of and RECIPES[name].make(chosen)[0].settings == chosen
    )
    name = min(same, key=lambda name: POLICY_ARMS[name].settings != chosen.policy, default="chosen")
    return tuple(dict.fromkeys(("small", name, "large")))


def arm_title(name: str) -> str:
    """Return the name of an arm and, beside it, the title of its settings: “baton · Keywords”.

    The name alone is enough where the title begins with it, such as `small`, and for an experiment, such as `c = 3`.
    """
    arm = name.partition(", ")[0]
    title = ARMS[arm].title if arm in ARMS else arm
    return name if title.lower().replace("-", " ").startswith(arm.replace("-", " ")) else f"{name} · {title}"


def arms_of(
    names: Iterable[str],
    base: RunSettings,
    larges: Sequence[str] = (),
    smalls: Sequence[str] = (),
) -> tuple[Arm, ...]:
    """Make the arms of these recipes and the arms that they are compared with, then again with each other model.

    `larges`, `smalls`: the other models. If no recipe uses a large model, each of `larges` makes an arm with the chosen
    settings. “drafted=SERVER” is speculative decoding on a server with a draft model of its own. Raises SettingsError
    for a name that is no recipe, and for two models with one name.
    """
    arms: dict[str, Arm] = {}
    for each in names:
        name, equals, server = each.partition("=")
        if name not in RECIPES or (equals and name != Drafted.name):
            raise SettingsError(
                f"There is no arm called {each!r}.",
                f"Choose among {', '.join(RECIPES)}; only {Drafted.name} takes a model, as {Drafted.name}=SERVER.",
            )
        for arm in RECIPES[name].make(base):
            if arm.equal_share_of and arm.equal_share_of not in arms:
                arms |= {needed.name: needed for needed in RECIPES[arm.equal_share_of].make(base)}
            if server:
                arm = arm.model_copy(update={"name": f"{name}, {_short(server)}", "large_model": server})
            arms[arm.name] = arm
    others = _with_other_models(list(arms.values()), smalls, larges)
    if not any(arm.needs.large and not any(arm.models) for arm in arms.values()):
        others += _with_other_models([Arm(name="chosen", settings=base)], (), larges)
    for arm in others:
        if arm.name in arms:
            raise SettingsError(f"Two models make an arm called “{arm.name}”.", "Leave one out, or rename its file.")
        arms[arm.name] = arm
    return tuple(arms.values())


def settings_of_all(arms: Sequence[Arm]) -> RunSettings:
    """Return the settings from which the arms of a batch were made: those of “chosen”, else what other arms show of
    them.

    Of a policy these are only the values that a person set, since all others are an arm's own.
    """
    if chosen := next((arm for arm in arms if arm.name == "chosen"), None):
        return chosen.settings
    policy = RunSettings().policy
    if pair := next((arm for arm in arms if arm.is_pair and arm.name in POLICY_ARMS), None):
        own = registry.difference(pair.settings.policy, POLICY_ARMS[pair.name].settings)
        policy = registry.with_values(type(pair.settings.policy)(), own)
    others = arms[0].settings if arms else RunSettings()
    return others.model_copy(update={"policy": policy})


def _with_other_models(arms: Sequence[Arm], smalls: Sequence[str], larges: Sequence[str]) -> tuple[Arm, ...]:
    """Repeat the arms with each other model (a file or an address) that they need; pairs in every combination.

    The arm `small` is not repeated for another large model, nor `large` for another small one.
    """
    found: list[Arm] = []
    for arm in arms:
        if any(arm.models):
            continue
        for small in ("", *smalls) if arm.needs.small or arm.needs.drafts else ("",):
            for large in ("", *larges) if arm.needs.large else ("",):
                if not (small or large):
                    continue
                others = "".join(f", {_short(model)}" for model in (small, large) if model)
                share = f"{arm.equal_share_of}{others}" if arm.equal_share_of else ""
                changes = {"small_model": small, "large_model": large, "equal_share_of": share}
                found.append(arm.model_copy(update={"name": f"{arm.name}{others}", **changes}))
    return tuple(found)


def _short(model: str) -> str:
    return PurePath(model).name.removesuffix(".gguf")
