"""Registers the policies by name, and makes one type of their settings.

A policy is registered by being a class in a module of `core.thinking.policies`, or by an entry point of the group
`baton_reasoning.policies` in an installed package. Nothing else in the program lists policies: menus, forms, `--set`,
batch arms and labels read this registry.
"""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cached_property
from importlib import import_module, metadata
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny, ValidationError
from pydantic_core import PydanticCustomError

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.policy import Advice, Policy, PolicySettings
from baton_reasoning.core.thinking.reasons import SHARED_REASONS, TakeoverReason
from baton_reasoning.core.thinking.trace import Trace

PACKAGE = "baton_reasoning.core.thinking.policies"
ENTRY_POINTS = "baton_reasoning.policies"
DEFAULT_POLICY = "keywords"
AUTOMATIC_POLICY = "automatic"
"""Stands for the policy that follows the pair of models; no run has it."""
COMMON_POLICIES = (DEFAULT_POLICY, "token-entropy", "every-step", "never", "always")
"""The policies that are offered first; a menu or dialog shows the others after “More…”."""
MOST_DIFFERENCES = 2
"""Parameters that a title names; more would not be read."""

_log = logging.getLogger(__name__)


class PolicyRegistry(Mapping[str, type[Policy]]):
    """Policies by name, found on first use: the automatic and the default one first, the controls of an experiment
    last."""

    @cached_property
    def _policies(self) -> dict[str, type[Policy]]:
        found = {policy.name: policy for policy in _built_in()}
        for policy in _installed():
            if policy.name in found:
                _log.warning("Policy %s of %s is ignored: the name is taken.", policy.name, policy.__module__)
            else:
                found[policy.name] = policy
        return dict(sorted(found.items(), key=_place))

    @cached_property
    def _reasons(self) -> dict[str, TakeoverReason]:
        own = [reason for policy in self.values() for reason in policy.reasons]
        return {reason.id: reason for reason in (*own, *SHARED_REASONS)}

    def __getitem__(self, name: str) -> type[Policy]:
        return self._policies[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)

    def reason(self, id: str) -> TakeoverReason:
        """Return the reason with this id. If its policy is not installed, the id is its label."""
        return self._reasons.get(id) or TakeoverReason(id, id)

    def of(self, settings: PolicySettings) -> type[Policy]:
        """Return the policy that these settings are for. Raises SettingsError if it is not installed."""
        return self.named(settings.policy)

    def named(self, name: str) -> type[Policy]:
        """Return the policy with this name. Raises SettingsError if it is not registered."""
        if name not in self:
            raise SettingsError(f"There is no policy called {name!r}.", f"Choose one of {', '.join(self)}.")
        return self[name]


POLICIES = PolicyRegistry()


def advice_on(trace: Trace) -> Advice:
    """Return what the policy of a run advises now that the run has come to its end; empty if it has nothing to say."""
    policy = POLICIES.get(trace.started.policy) if trace.started and trace.finish is Finish.END_OF_TEXT else None
    return policy.advice(trace) if policy else Advice()


def settings_for(name: str, chosen: PolicySettings) -> PolicySettings:
    """Return settings of the policy called `name` for a person who has `chosen` others so far: own values are kept
    where both policies have the field, such as n1. Raises SettingsError for a name that is not registered."""
    kind = POLICIES.named(name).Settings
    return chosen if isinstance(chosen, kind) else with_values(kind(), own_values(chosen))


def own_values(settings: PolicySettings) -> dict[str, Any]:
    """Return the values that differ from the nearest preset of the policy, or from its defaults."""
    return _nearest_preset(settings)[1]


def difference(settings: PolicySettings, usual: PolicySettings) -> dict[str, Any]:
    """Return the values of `settings` that differ from those of `usual`, which are of the same policy."""
    before = usual.model_dump()
    return {name: value for name, value in settings.model_dump().items() if value != before[name]}


def with_values(settings: PolicySettings, values: Mapping[str, Any]) -> PolicySettings:
    """Return the settings with those values for which they have a field; unchanged if a value is out of bounds."""
    kind = type(settings)
    fitting = {name: value for name, value in values.items() if name in kind.model_fields and name != "policy"}
    try:
        return kind.model_validate(settings.model_dump() | fitting)
    except ValidationError:
        return settings


def matching_preset(settings: PolicySettings) -> str:
    """Return the name of the preset with these values; empty if a person changed any."""
    nearest, changed = _nearest_preset(settings)
    return "" if changed else nearest


def preset_title(policy: type[Policy], preset: str) -> str:
    """Name a policy and its preset: “Keywords (paper)”; “Keywords” alone is the first one."""
    return policy.title if preset == next(iter(policy.presets), "") else f"{policy.title} ({preset})"


def policy_title(settings: PolicySettings, advised: PolicySettings | None = None) -> str:
    """Name a policy, its preset, and what a person changed: “Keywords (paper), reflections allowed 3”.

    `advised`: values that come with a pair of models, and are not named.
    """
    policy = POLICIES.of(settings)
    preset, changed = _nearest_preset(settings, advised)
    main_first = sorted(changed.items(), key=lambda item: item[0] not in policy.main_parameters)
    changes = [parameter_text(policy, name, value) for name, value in main_first[:MOST_DIFFERENCES]]
    more = ["…"] if len(changed) > MOST_DIFFERENCES else []
    return ", ".join([preset_title(policy, preset), *changes, *more])


def policy_summary(policy: type[Policy], preset: str = "") -> str:
    """Say in a sentence when the large model writes, or how a preset differs from the first one."""
    return policy.preset_summaries.get(preset, policy.summary)


def _nearest_preset(settings: PolicySettings, advised: PolicySettings | None = None) -> tuple[str, dict[str, Any]]:
    """Return the preset from which the fewest values differ, with these values."""
    found = {}
    for name, preset in (POLICIES.of(settings).presets or {"": type(settings)()}).items():
        usual = [preset, with_advice(preset, advised)] if advised else [preset]
        found[name] = min((difference(settings, each) for each in usual), key=len)
    return min(found.items(), key=lambda item: len(item[1]))


def parameter_text(policy: type[Policy], name: str, value: Any) -> str:
    """Name a parameter and its value: “reflections allowed 3”."""
    title = policy.Settings.model_fields[name].title or name
    if isinstance(value, bool):
        value = "on" if value else "off"
    return f"{title[0].lower()}{title[1:]} {value.value if isinstance(value, Enum) else value}"


def with_advice(settings: PolicySettings, advised: PolicySettings) -> PolicySettings:
    """Return the settings with the values that `advised` sets, where the policy has the field. A person's own values,
    which differ from the nearest preset, are kept."""
    return with_values(settings, advised.model_dump(exclude_unset=True) | own_values(settings))


def _parse(value: Any) -> Any:
    """Validate `{"policy": NAME, …}` as the settings of that policy; the name alone means its defaults."""
    data = {"policy": value} if isinstance(value, str) else value
    if not isinstance(data, dict):
        return value
    name = data.get("policy", DEFAULT_POLICY)
    if not isinstance(name, str) or name not in POLICIES:
        raise PydanticCustomError(
            "policy",
            "no policy is called {name}; choose one of {all}",
            {"name": repr(name), "all": ", ".join(POLICIES)},
        )
    return POLICIES[name].Settings.model_validate(data)


AnyPolicySettings = Annotated[SerializeAsAny[PolicySettings], BeforeValidator(_parse)]
"""A pydantic field for the settings of any policy; their `policy` is its name."""


def _built_in() -> Iterator[type[Policy]]:
    package = import_module(PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        name = f"{PACKAGE}.{module.name}"
        for value in vars(import_module(name)).values():
            if isinstance(value, type) and issubclass(value, Policy) and value.__module__ == name:
                yield value


def _installed() -> Iterator[type[Policy]]:
    """Yield the policies of other packages. One that cannot be imported is logged and left out."""
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            policy = entry.load()
        except Exception:  # noqa: BLE001 - another package's import may raise anything
            _log.exception("The policy %s (%s) cannot be loaded.", entry.name, entry.value)
            continue
        if isinstance(policy, type) and issubclass(policy, Policy):
            yield policy
        else:
            _log.error("The entry point %s (%s) is no policy.", entry.name, entry.value)


def _place(item: tuple[str, type[Policy]]) -> tuple[bool, bool, bool, bool, bool, str]:
    """Sort methods before controls, and among the controls the baselines first: small only, large only."""
    name, policy = item
    both = policy.needs.small and policy.needs.large
    first = name != AUTOMATIC_POLICY, name != DEFAULT_POLICY
    return *first, policy.is_control, both, policy.needs.large, policy.title
