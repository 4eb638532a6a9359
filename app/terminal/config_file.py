"""Options from a file: ~/.config/baton/config.toml, or the one that --config or BATON_CONFIG names.

    seed = 7                 # for every command that has the option: one of SHARED
    [solve]                  # for one command
    small = "qwen3-1.7b"
    large = "https://office:8080"
    [models.get]
    json = true

The names are those of the long options.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from baton_reasoning.app.terminal.command_line import did_you_mean
from baton_reasoning.core.errors import SettingsError

SHARED = (
    *("small", "large", "policy", "preset", "set", "cues", "seed", "max-tokens"),
    *("context", "threads", "gpu-layers", "drafts", "parallel", "no-history", "json", "quiet", "verbose"),
)
"""Options that the top of the file may set."""
CONFIG_FAULT = "baton.config_fault"
"""Under this name the context of `baton doctor` holds the error that reading the file raised."""


def read_config(file: Path, is_named: bool, commands: Collection[str]) -> dict[str, Any]:
    """Read the file; return nothing if it is missing and nobody named it.

    Raises SettingsError if it cannot be read, has a table for a command that does not exist, a single value for a
    command, or a value at its top that is none of SHARED.
    """
    if not is_named and not file.exists():
        return {}
    from baton_reasoning.core.files import read_text  # imports pydantic, which `baton --help` does without

    try:
        content = tomllib.loads(read_text(file, "Write it as TOML, or leave --config out."))
    except ValueError as error:  # of the syntax, or a number of thousands of digits
        raise SettingsError(f"{file} cannot be read: {error}.", "Write it as TOML (docs/terminal.md).") from error
    except RecursionError as error:
        raise SettingsError(f"{file} is nested too deeply.", "Write it as TOML (docs/terminal.md).") from error
    for name, value in content.items():
        if not isinstance(value, dict) and name in commands:
            raise SettingsError(f"In {file}, {name} is not a table.", f"Write [{name}] and its options below it.")
        if isinstance(value, dict) and name not in commands:
            raise SettingsError(f"{file} has a table for {name!r}.", f"Tables are {', '.join(commands)}.")
        if not isinstance(value, dict) and name.replace("_", "-") not in SHARED:
            meant = did_you_mean(name, SHARED) or "Write an option of one command into its table, such as [solve]."
            raise SettingsError(f"{file} sets {name!r} at its top, which is no option that commands share.", meant)
    return content
