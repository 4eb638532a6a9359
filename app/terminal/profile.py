"""`baton profile`: let a model write on a few problems, and see which cues it gives; propose a cue list for it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from app.terminal.options import add_loading_options, at_least_one, local_options
from app.terminal.servers import add_server_options, known_server
from core.batch.problems import read_problems
from core.cue_profiler import PROBLEMS, CueProfile, lexicon_json, profile, write_texts
from core.engines.factory import EngineFactory, open_engine
from core.errors import SettingsError
from core.run import RunSettings

SHOWN = 12
"""Openings in the table."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("profile", help="which cues a model gives, and a cue list for it", description=__doc__)
    parser.add_argument("model", help="GGUF file, or http(s)://host:port of a server")
    parser.add_argument(
        "--problems", type=Path, metavar="FILE", help="problems to write on; four short ones if not given"
    )
    parser.add_argument(
        "--limit", type=at_least_one, default=8, metavar="N", help="use the first N problems (%(default)s)"
    )
    parser.add_argument("--tokens", type=at_least_one, default=1024, metavar="N", help="tokens a problem (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the proposed cue list here, as JSON")
    add_loading_options(parser)
    add_server_options(parser)
    parser.set_defaults(carry_out=profile_model)


def profile_model(arguments: argparse.Namespace) -> int:
    problems = _problems(arguments)
    settings = RunSettings(seed=arguments.seed, max_tokens=arguments.tokens)
    opening = EngineFactory(
        local_options(arguments, arguments.model),
        server=lambda url: known_server(arguments, url),
    )
    engine = open_engine(arguments.model, opening)
    texts = []
    try:
        for number, _, text, is_complete in write_texts(engine, problems, settings):
            if is_complete:
                print(f"problem {number + 1} of {len(problems)}: {len(text):,} characters", file=sys.stderr)
                texts.append(text)
    finally:
        engine.close()
    found = profile(texts)
    print(table(found))
    if arguments.out:
        _write(arguments.out, lexicon_json(found.proposed))
        print(f"\nThe proposed cue list is in {arguments.out}.")
    else:
        print(f"\nProposed cue list:\n{lexicon_json(found.proposed)}")
    return 0


def table(found: CueProfile) -> str:
    """The profile for people to read."""
    counts = f"after {found.with_cue} a known cue, after {found.waits} a step with “wait”"
    lines = [f"{found.boundaries} boundaries; {counts}"]
    lines += ["", f"{'opening':<24}{'times':>7}{'share':>8}{'before “wait”':>16}"]
    lines += [
        f"{opening.words:<24}{opening.count:>7}{opening.count / found.boundaries:>8.0%}{opening.before_wait:>16}"
        for opening in found.openings[:SHOWN]
    ]
    if found.cues:
        lines += ["", f"{'known cue':<24}{'times':>7}  class"]
        lines += [f"{word:<24}{count:>7}  {category.value}" for category, word, count in found.cues[:SHOWN]]
    return "\n".join([*lines, "", found.advice])


def _problems(arguments: argparse.Namespace) -> tuple[str, ...]:
    if arguments.problems is None:
        return PROBLEMS[: arguments.limit]
    read = read_problems(arguments.problems, limit=arguments.limit)
    return tuple(problem.text for problem in read.problems)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}.") from error
