"""Makes the arms that the paper compares (§4 and its ablations) from the chosen settings.

Each policy brings its own arms and ablations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from baton_reasoning.core.batch.running.arms import Arm, needs
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.policy import PolicyArm
from baton_reasoning.core.thinking.registry import (
    POLICIES,
    difference,
    matching_preset,
    own_values,
    policy_summary,
    policy_title,
    settings_for,
    with_values,
)

Make = Callable[[RunSettings], tuple[Arm, ...]]
"""Makes arms from the chosen settings; each differs from them in one thing."""


class Recipe(NamedTuple):
    title: str
    make: Make
    summary: str = ""
    """One sentence on when the large model writes; empty for an experiment."""


POLICY_ARMS = {
    arm.name: arm
    for policy in sorted(POLICIES.values(), key=lambda policy: policy.needs.small and policy.needs.large)
    for arm in policy.arms
}
"""The arms that policies bring, by name; the baselines with one model first."""


def with_arm(name: str) -> Make:
    """Make one arm that a policy brings. Values that a person set stay, except for those that the arm varies."""
    arm = POLICY_ARMS[name]
    varied = _varied(name)
    if like := arm.equal_share_of:  # a control takes the lengths of what it is compared with
        varied |= _varied(like)

    def make(base: RunSettings) -> tuple[Arm, ...]:
        settings = with_values(arm.settings, own_values(base.policy) | varied)
        title = f"{name.partition('-')[0]} as {like}" if like else name
        return (Arm(name=title, settings=base.model_copy(update={"policy": settings}), equal_share_of=like),)

    return make


def arm_recipe(arm: PolicyArm) -> Recipe:
    """Return the recipe of an arm that a policy brings, by the policy's own title and summary."""
    policy = POLICIES.of(arm.settings)
    title = policy_title(arm.settings)
    if arm.equal_share_of:
        title = f"{policy.title} as {policy_title(POLICY_ARMS[arm.equal_share_of].settings)}"
    return Recipe(title, with_arm(arm.name), policy_summary(policy, matching_preset(arm.settings)))


def arm_title(name: str) -> str:
    """Return what views call an arm: “Keywords” for `baton`, “Keywords, R1-32B” for `baton, R1-32B`.

    An arm of an experiment, such as `c = 3`, has no other title than its name.
    """
    arm, comma, models = name.partition(", ")
    return f"{_TITLES.get(arm, arm)}{comma}{models}"


def with_ablation(name: str) -> Make:
    """Make the arms of an ablation, with the chosen policy if it brings it, else with the first policy that does."""

    def make(base: RunSettings) -> tuple[Arm, ...]:
        policies = [POLICIES.of(base.policy), *POLICIES.values()]
        policy, ablation = next((each, one) for each in policies for one in each.ablations if one.name == name)
        chosen = settings_for(policy.name, base.policy)
        return tuple(
            Arm(
                name=arm,
                settings=base.model_copy(update={"policy": chosen.model_copy(update=values)}),
                sweep=name if ablation.is_sweep else "",
            )
            for arm, values in ablation.changes(chosen).items()
        )

    return make


def with_other_models(arms: Sequence[Arm], smalls: Sequence[str], larges: Sequence[str]) -> tuple[Arm, ...]:
    """Repeat the arms with each other model (a file or an address) that they need; pairs in every combination.

    The arm `small` is not repeated for another large model, nor `large` for another small one.
    """
    found: list[Arm] = []
    for arm in arms:
        if any(arm.models):
            continue
        needed = needs([arm])
        for small in ("", *smalls) if needed.small or needed.drafts else ("",):
            for large in ("", *larges) if needed.large else ("",):
                if not (small or large):
                    continue
                others = "".join(f", {_short(model)}" for model in (small, large) if model)
                share = f"{arm.equal_share_of}{others}" if arm.equal_share_of else ""
                changes = {"small_model": small, "large_model": large, "equal_share_of": share}
                found.append(arm.model_copy(update={"name": f"{arm.name}{others}", **changes}))
    return tuple(found)


def _short(model: str) -> str:
    return PurePath(model).name.removesuffix(".gguf")


def _varied(name: str) -> dict[str, Any]:
    """Return the parameters in which an arm of a policy differs from the policy's defaults."""
    arm = POLICY_ARMS[name]
    return difference(arm.settings, type(arm.settings)())


ARMS: dict[str, Recipe] = {
    "chosen": Recipe("Current settings", lambda base: (Arm(name="chosen", settings=base),)),
    **{name: arm_recipe(arm) for name, arm in POLICY_ARMS.items()},
}
_TITLES = {recipe.make(RunSettings())[0].name: recipe.title for recipe in ARMS.values()}
"""By the name of the arm that the recipe makes."""

ABLATIONS: dict[str, Recipe] = {
    ablation.name: Recipe(ablation.title, with_ablation(ablation.name))
    for policy in POLICIES.values()
    for ablation in policy.ablations
}

RECIPES = ARMS | ABLATIONS


def arms_of(
    names: Iterable[str],
    base: RunSettings,
    larges: Sequence[str] = (),
    drafting: Sequence[str] = (),
    smalls: Sequence[str] = (),
) -> tuple[Arm, ...]:
    """Make the arms of these recipes and the arms that they are compared with, then again with each other model.

    `larges`, `smalls`: the other models. If no recipe uses a large model, each of `larges` makes an arm with the chosen
    settings. `drafting`: addresses of servers for speculative decoding, an arm each; empty if the batch's own large
    model drafts there, or the small one drafts here. Raises SettingsError for a name that is no recipe, and for two
    models with one name.
    """
    arms: dict[str, Arm] = {}
    for name in names:
        if name not in RECIPES:
            raise SettingsError(f"There is no arm called {name!r}.", f"Choose among {', '.join(RECIPES)}.")
        for arm in RECIPES[name].make(base):
            if arm.equal_share_of and arm.equal_share_of not in arms:
                arms |= {needed.name: needed for needed in RECIPES[arm.equal_share_of].make(base)}
            arms |= {each.name: each for each in _on_servers(arm, drafting)}
    others = with_other_models(list(arms.values()), smalls, larges)
    if not any(needs([arm]).large and not any(arm.models) for arm in arms.values()):
        others += with_other_models([Arm(name="chosen", settings=base)], (), larges)
    for arm in others:
        if arm.name in arms:
            raise SettingsError(f"Two models make an arm called “{arm.name}”.", "Leave one out, or rename its file.")
        arms[arm.name] = arm
    return tuple(arms.values())


def _on_servers(arm: Arm, drafting: Sequence[str]) -> list[Arm]:
    """Repeat an arm of speculative decoding on each server that drafts; leave others as they are."""
    if not drafting or not POLICIES.of(arm.settings.policy).needs.drafts:
        return [arm]
    if len(drafting) == 1:
        return [arm.model_copy(update={"large_model": drafting[0]})]
    return [arm.model_copy(update={"name": f"{arm.name}, {_short(url)}", "large_model": url}) for url in drafting]
