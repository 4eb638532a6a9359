"""Options that several commands share: which models, and how to run them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from app.terminal.servers import add_server_options, known_server
from core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL
from core.engines.base import Engine
from core.engines.factory import EngineFactory, open_engine, share_vocabulary
from core.errors import SettingsError
from core.files import read_text
from core.models.loading import LocalOptions
from core.models.preferences import load_preferences
from core.paths import Paths
from core.run import Pair, RunSettings, effective_settings
from core.thinking.limits import Limits
from core.thinking.policy import PolicySettings
from core.thinking.registry import DEFAULT_POLICY, POLICIES, settings_for


def add_model_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("models")
    where = "GGUF file, or http(s)://host:port of a server; the demo pair's if not given"
    group.add_argument("--small", metavar="MODEL", help=where)
    group.add_argument("--large", metavar="MODEL", help=f"{where}; several servers with commas between")
    add_loading_options(parser)
    add_server_options(parser)


def add_loading_options(parser: argparse.ArgumentParser) -> None:
    """Without a default: what is not given is as a person chose for the model in the window."""
    group = parser.add_argument_group("local models", "where not given, as chosen for the model on the Models page")
    group.add_argument("--context", type=int, metavar="N", help=f"tokens of context (else {LocalOptions().context})")
    group.add_argument("--threads", type=int, metavar="N", help="0 chooses")
    group.add_argument("--gpu-layers", type=int, metavar="N", help="layers on the GPU; -1 is all that fit")


def local_options(arguments: argparse.Namespace, model: str) -> LocalOptions:
    """How to load this file: as a person chose for it, but for what the options say."""
    chosen = load_preferences(Paths.of_user().model_preferences)
    options = chosen.options_for(Path(model).expanduser(), LocalOptions(parallel=getattr(arguments, "parallel", 1)))
    given = {name: getattr(arguments, name) for name in ("context", "threads", "gpu_layers")}
    return replace(options, **{name: value for name, value in given.items() if value is not None})


def change_run_options(parser: argparse.ArgumentParser) -> None:
    """The same options for a run that is recorded: nothing is changed that is not named."""
    add_run_options(parser)
    parser.set_defaults(policy=None, seed=None)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("method")
    group.add_argument("--policy", choices=POLICIES, default=DEFAULT_POLICY, help="when the large model takes over")
    group.add_argument("--preset", help=f"parameters of the policy to begin with: {_presets()}")
    group.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=f"change one of {_all_names()}")
    group.add_argument("--cues", type=Path, metavar="FILE", help="another cue list (baton profile proposes one)")
    group.add_argument("--seed", type=int, default=0, help="the same seed repeats an answer on the same local models")
    group.add_argument("--max-tokens", type=at_least_one, help="longest answer in tokens")


def run_settings(arguments: argparse.Namespace, recorded: RunSettings | None = None) -> RunSettings:
    """The settings that these arguments ask for; what they leave out is as in the `recorded` run, if there is one.

    Raises SettingsError with the name of what is wrong.
    """
    base = recorded or RunSettings()
    chosen = settings_for(arguments.policy, base.policy) if arguments.policy else base.policy
    if arguments.preset:
        chosen = preset_of(chosen.policy, arguments.preset)
    base = base.model_copy(update={"policy": chosen})
    if recorded is None and not (getattr(arguments, "small", None) or getattr(arguments, "large", None)):
        base = effective_settings(base, DEMO_SETTINGS)
    run = base.model_dump()
    policy, limits = run.pop("policy"), run.pop("limits")
    for name in ("seed", "max_tokens"):
        if (value := getattr(arguments, name)) is not None:
            run[name] = value
    if arguments.cues:
        run["cue_list"] = read_text(arguments.cues, "Name a cue list, such as baton profile writes.")
    for assignment in arguments.set:
        name, equals, value = assignment.partition("=")
        places = ((type(chosen), policy), (Limits, limits), (RunSettings, run))
        place = next((place for model, place in places if name in _settable(model)), None)
        if place is None or not equals:
            names = ", ".join(name for model, _ in places for name in _settable(model))
            raise SettingsError(
                f"--set {assignment} names no setting of the policy {chosen.policy} or of the run.",
                f"It takes NAME=VALUE, NAME one of {names}.",
            )
        place[name] = value
    try:
        return RunSettings.model_validate(run | {"policy": policy, "limits": limits})
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{first['loc'][-1]} cannot be {first['input']!r}: {first['msg']}.") from error


def preset_of(policy: str, preset: str) -> PolicySettings:
    """Raises SettingsError if the policy has no preset of this name."""
    presets = POLICIES.named(policy).presets
    if preset not in presets:
        raise SettingsError(
            f"The policy {policy} has no preset {preset!r}.",
            f"Choose one of {', '.join(presets)}." if presets else "Leave --preset out, and use --set.",
        )
    return presets[preset]


def at_least_one(text: str) -> int:
    """A number of problems, seeds or tokens."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 1")
    return int(text)


def _settable(model: type[BaseModel]) -> list[str]:
    return [name for name in model.model_fields if name not in ("policy", "limits")]


def _all_names() -> str:
    """What `--set` takes: of each policy, and of every run."""
    own = [f"{', '.join(names)} ({name})" for name, policy in POLICIES.items() if (names := _settable(policy.Settings))]
    return "; ".join([*own, ", ".join(_settable(Limits) + _settable(RunSettings))])


def _presets() -> str:
    return "; ".join(f"{', '.join(policy.presets)} ({name})" for name, policy in POLICIES.items() if policy.presets)


@contextmanager
def open_pair(arguments: argparse.Namespace, *, small: bool = True, large: bool = True) -> Iterator[Pair]:
    """The models that were named, or the built-in ones, loaded; closed at the end."""
    opening = EngineFactory(
        server=lambda url: known_server(arguments, url), tell=lambda words: print(words, file=sys.stderr)
    )
    small_file = arguments.small or str(SMALL_MODEL)
    large_file = arguments.large or str(LARGE_MODEL)
    with ExitStack() as stack:

        def opened(wanted: bool, where: str) -> Engine | None:
            if not wanted:
                return None
            engine = open_engine(where, replace(opening, local=local_options(arguments, where)))
            stack.callback(engine.close)
            return engine

        pair = Pair(opened(small, small_file), opened(large, large_file))
        if pair.small and pair.large:
            share_vocabulary(pair.small, pair.large)
        yield pair
