"""`baton policies` and `baton settings`: list policies and what `--set` takes."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import groupby
from typing import Any, NamedTuple

import annotated_types
import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from baton_reasoning.app.terminal.command_line import ChoiceOf, as_json, command, did_you_mean, option
from baton_reasoning.app.terminal.options import LISTED, settable
from baton_reasoning.app.terminal.output import terminal_width, write, write_table
from baton_reasoning.app.terminal.streams import ExitCode, write_json_lines
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES, policy_summary, preset_title

RUN = "every run"
LONGEST_NAME = 26
LONGEST_LINE = 10_000
"""Characters where standard output is no terminal: one line for each setting."""


class Setting(NamedTuple):
    """A name that `--set` takes."""

    name: str
    of: str
    """A policy, or every run."""
    title: str
    meaning: str
    bounds: str
    """“1 to 5”, “at least 0”, or the values there are; empty: any."""
    default: str
    presets: dict[str, str]
    """The value in each preset of the policy."""


@command("policies")
@as_json
def policies(json: bool) -> int:
    """List the policies: when each lets the large model write, and its presets."""
    if json:
        write_json_lines(
            {
                "name": name,
                "title": policy.title,
                "summary": policy.summary,
                "presets": {preset: policy_summary(policy, preset) for preset in policy.presets},
            }
            for name, policy in POLICIES.items()
        )
    else:
        rows = [
            (name, preset, preset_title(policy, preset), policy_summary(policy, preset))
            for name, policy in POLICIES.items()
            for preset in policy.presets or [""]
        ]
        write_table(("--policy", "--preset", "title", "when the large model writes"), rows)
    return ExitCode.ANSWERED


@command("settings")
@click.argument("name", required=False)
@option("--policy", type=ChoiceOf(list(POLICIES)), metavar="NAME", help="Only those of this policy.")
@as_json
def settings(name: str | None, policy: str | None, json: bool) -> int:
    """List what --set takes: meaning, bounds and default. With NAME, show one setting and its value in each preset."""
    found = [each for each in all_settings() if name in (None, each.name) and policy in (None, each.of)]
    if not found:
        meant = did_you_mean(name or "", (each.name for each in all_settings()))
        raise SettingsError(f"There is no setting called {name or policy}.", f"{meant} {LISTED}".strip())
    if json:
        write_json_lines(each._asdict() for each in found)
    elif name:
        write("\n".join(map(in_full, found)))
    else:
        formatter = click.HelpFormatter(width=terminal_width() or LONGEST_LINE)
        for of, members in groupby(found, lambda each: each.of):
            with formatter.section("Every run" if of == RUN else f"Policy {of}"):
                formatter.write_dl([(each.name, in_one_line(each)) for each in members], col_max=LONGEST_NAME)
        write(formatter.getvalue().strip())
    return ExitCode.ANSWERED


def all_settings() -> Iterator[Setting]:
    """Yield the settings of each policy, then those of every run."""
    for name, policy in POLICIES.items():
        yield from _settings_of(policy.Settings, name, dict(policy.presets))
    for model in (Limits, RunSettings):
        yield from _settings_of(model, RUN, {})


def in_one_line(setting: Setting) -> str:
    """Return what a setting means, with its default and bounds."""
    bounds = f"; {setting.bounds}" if setting.bounds else ""
    return f"{setting.title}. {setting.meaning} [{setting.default or 'empty'}{bounds}]"


def in_full(setting: Setting) -> str:
    """Return a setting with its default, bounds and presets, one per line."""
    lines = [f"{setting.name} ({setting.of}): {setting.title}. {setting.meaning}".rstrip()]
    lines += [f"  default: {setting.default}", f"  bounds: {setting.bounds or 'any'}"]
    return "\n".join([*lines, *(f"  in {preset}: {value}" for preset, value in setting.presets.items())])


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
    words = []
    for rule in field.metadata:
        match rule:
            case annotated_types.Ge(ge=least):
                words.append(f"at least {least}")
            case annotated_types.Gt(gt=less):
                words.append(f"more than {less}")
            case annotated_types.Le(le=most):
                words.append(f"at most {most}")
            case annotated_types.Lt(lt=more):
                words.append(f"less than {more}")
    return ", ".join(words)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value if isinstance(value, Enum) else value)
