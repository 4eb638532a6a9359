"""Describes all commands for completion.py, which reads the description where it cannot import them."""

from __future__ import annotations

from typing import Any

import click

from baton_reasoning.app.terminal.completion import Completed, Offered
from baton_reasoning.app.terminal.options import settable
from baton_reasoning.app.terminal.settings_list import all_settings
from baton_reasoning.core.batch.running.recipes import RECIPES
from baton_reasoning.core.models.catalog import catalog_models
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.limits import Limits
from baton_reasoning.core.thinking.registry import DEFAULT_POLICY, POLICIES


def make_table(program: click.Group) -> dict[str, Any]:
    """Return names, options and values of all commands, as JSON values."""
    context = click.Context(program, info_name=program.name)
    of_every_run = [*settable(Limits), *settable(RunSettings)]
    return {
        "program": _described(program, context),
        "policy": DEFAULT_POLICY,
        Offered.MODEL.value: [*catalog_models(), "demo"],
        Offered.ARM.value: list(RECIPES),
        Offered.COMMAND.value: program.list_commands(context),
        Offered.SETTING.value: list(dict.fromkeys(each.name for each in all_settings())),
        Offered.PRESET.value: {name: list(policy.presets) for name, policy in POLICIES.items()},
        Offered.ASSIGNMENT.value: {
            name: [f"{setting}=" for setting in (*settable(policy.Settings), *of_every_run)]
            for name, policy in POLICIES.items()
        },
    }


def _described(command: click.Command, context: click.Context) -> dict[str, Any]:
    node = {
        "name": command.name,
        "help": command.get_short_help_str(200),
        "parameters": [_parameter(each) for each in command.params],
    }
    if isinstance(command, click.Group):
        found = (command.get_command(context, name) for name in command.list_commands(context))
        node["commands"] = [_described(each, context) for each in found if each]
    return node


def _parameter(parameter: click.Parameter) -> dict[str, Any]:
    node = {"names": parameter.opts, "nargs": parameter.nargs, "type": _type(parameter.type)}
    if not isinstance(parameter, click.Option):
        return {**node, "is_argument": True}
    return {
        **node,
        "names": [*parameter.opts, parameter.name],
        "is_argument": False,
        "is_flag": parameter.is_flag,
        "multiple": parameter.multiple,
        "help": parameter.help,
    }


def _type(kind: click.ParamType[Any]) -> str | list[str]:
    match kind:
        case Completed():
            return str(kind.offered.value)
        case click.Choice():
            return [str(choice) for choice in kind.choices]
        case click.Path():
            return "file" if kind.file_okay else "folder"
    return ""
