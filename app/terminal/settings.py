"""`baton policies` and `baton settings`: list policies, settings for `--set`, and options that `--help` leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from baton_reasoning.app.terminal.command_line import as_json, command, declared_options, option
from baton_reasoning.app.terminal.options import LoadingOptions, RunOptions
from baton_reasoning.app.terminal.output import Field, listing
from baton_reasoning.core.batch.running.arms import RECIPES
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.run_command import LISTED, settable
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES, policy_summary, preset_title

RUN, OPTION, ARM = "every run", "option", "arm"
"""What a row is of, if not of a policy."""


class Setting(NamedTuple):
    """A setting for `--set`, an arm for `--arm`, or an option."""

    name: str
    of: str
    """A policy, RUN, OPTION or ARM."""
    title: str
    meaning: str
    bounds: str
    """“1 to 5”, “at least 0”, or the values there are; empty: any."""
    default: str
    presets: dict[str, str]
    """The value in each preset of the policy."""

    @property
    def in_one_line(self) -> str:
        """What it means, with default, bounds, and the presets that have another value."""
        words = f"{self.title}. {self.meaning}".strip()
        if self.of in (OPTION, ARM):
            return words
        others = [f"{preset} {value}" for preset, value in self.presets.items() if value != self.default]
        return f"{words} [{'; '.join(filter(None, (self.default or 'empty', self.bounds, ', '.join(others))))}]"


FIELDS: tuple[Field[Setting], ...] = (
    Field("name", lambda setting: setting.name, "name"),
    Field("of", lambda setting: setting.of, "of"),
    Field("", lambda setting: setting.in_one_line, "meaning"),
    *(Field(name, attrgetter(name)) for name in Setting._fields[2:]),
)
PRESET_FIELDS: tuple[Field[tuple[str, str, str, str]], ...] = (
    Field("policy", itemgetter(0), "--policy"),
    Field("preset", itemgetter(1), "--preset"),
    Field("title", itemgetter(2), "title"),
    Field("summary", itemgetter(3), "when the large model writes"),
)


@command("policies")
@as_json
def policies(json: bool) -> None:
    """List the policies and their presets: when each lets the large model write."""
    rows = [
        (name, preset, preset_title(policy, preset), policy_summary(policy, preset))
        for name, policy in POLICIES.items()
        for preset in policy.presets or [""]
    ]
    listing(rows, PRESET_FIELDS, json, "There is no policy.")


@command("settings")
@click.argument("name", required=False)
@option("--policy", type=click.Choice(list(POLICIES)), metavar="NAME", help="Only those of this policy.")
@as_json
def settings(name: str | None, policy: str | None, json: bool) -> None:
    """List the settings for --set, or only NAME, then the options that --help leaves out, and the arms of a batch.

    In brackets: the default; the allowed values; presets with another value.
    """
    named = [each for each in all_settings() if name is None or name.lstrip("-") == each.name.lstrip("-")]
    found = [each for each in named if policy in (None, each.of)]
    if not found:
        raise SettingsError(f"There is no setting called {name or policy}.", LISTED)
    listing(found, FIELDS, json, LISTED)


def all_settings() -> Iterator[Setting]:
    """Yield the settings of each policy and of every run, then options and arms."""
    for name, policy in POLICIES.items():
        yield from _settings_of(policy.Settings, name, dict(policy.presets))
    for model in (Limits, RunSettings):
        yield from _settings_of(model, RUN, {})
    for declared in (*declared_options(RunOptions).values(), *declared_options(LoadingOptions).values()):
        if declared.settings.get("expert"):
            yield Setting(declared.names[0], OPTION, declared.settings["help"].rstrip("."), "", "", "", {})
    for name, recipe in RECIPES.items():
        yield Setting(name, ARM, recipe.title, recipe.summary, "", "", {})


def _settings_of(model: type[BaseModel], of: str, presets: dict[str, PolicySettings]) -> Iterator[Setting]:
    for name in settable(model):
        field = model.model_fields[name]
        yield Setting(
            name,
            of,
            field.title or name,
            field.description or "",
            _bounds(field),
            _plain(field.get_default(call_default_factory=True)),
            {preset: _plain(getattr(values, name)) for preset, values in presets.items()},
        )


def _bounds(field: FieldInfo) -> str:
    if isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
        return ", ".join(str(member.value) for member in field.annotation)
    if field.annotation is bool:
        return "true, false"
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    rules = ((name, getattr(rule, name, None)) for rule in field.metadata for name in words)
    return ", ".join(f"{words[name]} {bound}" for name, bound in rules if bound is not None)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value if isinstance(value, Enum) else value)
