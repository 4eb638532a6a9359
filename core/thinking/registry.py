"""The policies by name, and their settings as one type.

A policy is registered by being a class in a module of `core.thinking.policies`, or by an entry point of the group
`baton.policies` in an installed package. Nothing else in the program lists policies: menus, forms, `--set`, batch
arms, replay and labels read this registry.
"""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module, metadata
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny, ValidationError
from pydantic_core import PydanticCustomError

from core.errors import SettingsError
from core.thinking.events import TakeoverStarted
from core.thinking.policy import Policy, PolicyContext, PolicySettings, Write, take_over
from core.thinking.reasons import SHARED_REASONS, TakeoverReason

PACKAGE = "core.thinking.policies"
ENTRY_POINTS = "baton.policies"
DEFAULT_POLICY = "keywords"

_log = logging.getLogger(__name__)


class PolicyRegistry(Mapping[str, type[Policy]]):
    """Policies by name, found on first use: the default one first, the controls of an experiment last."""

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
        """The reason with this id. One of a policy that is not installed is labelled by its id."""
        return self._reasons.get(id) or TakeoverReason(id, id)

    def of(self, settings: PolicySettings) -> type[Policy]:
        """The policy that these settings are for. Raises SettingsError if it is not installed."""
        return self.named(settings.policy)

    def named(self, name: str) -> type[Policy]:
        """Raises SettingsError for a name that is not registered."""
        if name not in self:
            raise SettingsError(f"There is no policy called {name!r}.", f"Choose one of {', '.join(self)}.")
        return self[name]


POLICIES = PolicyRegistry()


def reason_label(id: str) -> str:
    """What a view says of a takeover's reason. Never raises: a reason that is not registered is named by its id."""
    return POLICIES.reason(id).label


def takeover_of(started: TakeoverStarted) -> Write:
    """The move that a recorded takeover came of."""
    return take_over(
        started.tokens,
        POLICIES.reason(started.reason),
        started.cue,
        started.until,
        author=started.author,
        rewrite_step=started.rewrites,
        slack=started.slack,
    )


def make_policy(settings: PolicySettings, context: PolicyContext | None = None) -> Policy:
    """A policy for one run. Raises SettingsError if it is not installed."""
    return POLICIES.of(settings)(settings, context)


def default_settings() -> PolicySettings:
    """Those of the default policy."""
    return POLICIES[DEFAULT_POLICY].Settings()


def settings_for(name: str, chosen: PolicySettings) -> PolicySettings:
    """Settings of the policy called `name`, for a person who has `chosen` others so far: own values are kept where
    both policies have the field, n1 for example. Raises SettingsError for a name that is not registered."""
    kind = POLICIES.named(name).Settings
    return chosen if isinstance(chosen, kind) else with_values(kind(), own_values(chosen))


def own_values(settings: PolicySettings) -> dict[str, Any]:
    """What sets the settings apart from the nearest preset of their policy, or from its defaults."""
    usual = POLICIES.of(settings).presets.values() or [type(settings)()]
    return min((difference(settings, preset) for preset in usual), key=len)


def difference(settings: PolicySettings, usual: PolicySettings) -> dict[str, Any]:
    """The values of `settings` that `usual`, of the same policy, has otherwise."""
    before = usual.model_dump()
    return {name: value for name, value in settings.model_dump().items() if value != before[name]}


def with_values(settings: PolicySettings, values: Mapping[str, Any]) -> PolicySettings:
    """The settings with those of the values for which they have a field; as they are if a value is out of bounds."""
    kind = type(settings)
    fitting = {name: value for name, value in values.items() if name in kind.model_fields and name != "policy"}
    try:
        return kind.model_validate(settings.model_dump() | fitting)
    except ValidationError:
        return settings


def matching_preset(settings: PolicySettings) -> str:
    """The preset of its policy whose values these are; empty if a person changed any."""
    presets = POLICIES.of(settings).presets
    return next((name for name, preset in presets.items() if preset == settings), "")


def with_advice(settings: PolicySettings, advised: PolicySettings) -> PolicySettings:
    """The settings with the values that `advised` sets, where the policy has the field. A person's own values stand:
    those that differ from the nearest preset."""
    return with_values(settings, advised.model_dump(exclude_unset=True) | own_values(settings))


def _parse(value: Any) -> Any:
    """The settings class of a policy from `{"policy": NAME, …}`, or from the name alone: then with its defaults."""
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
"""A pydantic field that holds the settings of any policy; `policy`, the name, says of which."""


def _built_in() -> Iterator[type[Policy]]:
    package = import_module(PACKAGE)
    for module in pkgutil.iter_modules(package.__path__):
        name = f"{PACKAGE}.{module.name}"
        for value in vars(import_module(name)).values():
            if isinstance(value, type) and issubclass(value, Policy) and value.__module__ == name:
                yield value


def _installed() -> Iterator[type[Policy]]:
    """Policies of other packages. One that cannot be imported is logged and left out: the others still work."""
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


def _place(item: tuple[str, type[Policy]]) -> tuple[bool, bool, bool, bool, str]:
    """Methods before controls; of these the baselines first: small only, large only."""
    name, policy = item
    both = policy.needs.small and policy.needs.large
    return name != DEFAULT_POLICY, policy.is_control, both, policy.needs.large, policy.title
