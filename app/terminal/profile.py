"""`baton profile`: find the cues that a model writes, and propose a cue list for it."""

from __future__ import annotations

import json as json_library
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from baton_reasoning.app.terminal.command_line import OUTPUT, as_json, command, option
from baton_reasoning.app.terminal.options import AT_LEAST_ONE, FILE, MODEL, LoadingOptions, ModelOptions, loading_of_one
from baton_reasoning.app.terminal.output import Field, listing, objects_of, progress, write
from baton_reasoning.app.terminal.pair import open_pair
from baton_reasoning.app.terminal.streams import write_json
from baton_reasoning.core.analysis.cue_profile import PROBLEMS, CueProfile, lexicon_json, profile
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.export.formats import write_file
from baton_reasoning.core.files import expanded
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.cues import Category
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.trace import Trace

SHOWN = 12
"""Most rows of a table."""
OPENING_FIELDS: tuple[Field[tuple[str, int]], ...] = (
    Field("words", lambda found: found[0], "opening"),
    Field("count", lambda found: found[1], "times", is_number=True),
)
CUE_FIELDS: tuple[Field[tuple[Category, str, int]], ...] = (
    Field("cue", lambda found: found[1], "known cue"),
    Field("count", lambda found: found[2], "times", is_number=True),
    Field("category", lambda found: found[0].value, "class"),
)


@command("profile")
@click.argument("model", type=MODEL)
@option("--problems", type=FILE, help="Problems to solve [four short ones].")
@option("--limit", type=AT_LEAST_ONE, default=8, help="Only the first N problems [8].")
@option("--max-tokens", "-n", type=AT_LEAST_ONE, default=1024, help="Most tokens to generate [1024].")
@option("--yes", "-y", is_flag=True, help="Download missing models without asking.")
@option("--out", "-o", type=FILE, group=OUTPUT, help="Write the proposed cue list to FILE, as JSON.")
@loading_of_one
@as_json.but(help="Print one JSON object: the counts and the proposed cue list.")
def profile_model(
    model: str,
    problems: Path | None,
    limit: int,
    max_tokens: int,
    yes: bool,
    out: Path | None,
    loading: LoadingOptions,
    json: bool,
) -> None:
    """Let a model solve a few problems, and count the cues that it writes.

    Proposes a cue list for --cues. MODEL is a GGUF file, or http(s)://host:port of a server.
    """
    if out and out.exists():
        raise SettingsError(f"{out} exists already.", "Name another file, or remove it.")
    texts = PROBLEMS[:limit]
    if problems:
        texts = tuple(each.text for each in read_problems(expanded(problems), limit=limit).problems)
    settings = RunSettings(max_tokens=max_tokens, policy=Never.Settings())
    with open_pair(ModelOptions(model, yes=yes), loading, Never.needs) as pair:
        found = profile(written(pair, texts, settings))
    proposed = lexicon_json(found.proposed)
    if out:
        write_file(out, {out.suffix.lower(): str}, f"{proposed}\n")  # whatever it is called
    if json:
        write_json(to_json(found))
        return
    write(f"{found.boundaries} boundaries; after {found.with_cue} a known cue\n")
    listing(found.openings[:SHOWN], OPENING_FIELDS, False, "No step has an opening.")
    write()
    listing(found.cues[:SHOWN], CUE_FIELDS, False, "No step has a known cue.")
    write(f"\n{found.advice}")
    write(f"\nThe proposed cue list is in {out}." if out else f"\nProposed cue list:\n{proposed}")


def written(pair: Pair, problems: tuple[str, ...], settings: RunSettings) -> Iterator[str]:
    """Yield what a model writes on each problem, alone. Raises BatonError."""
    with progress("Profiling") as line:
        for number, problem in enumerate(problems):
            trace = Trace()
            with closing(run(pair, ask(problem, settings), settings)) as events:
                for event in events:
                    trace.apply(event)
                    done = (number + trace.tokens / settings.max_tokens) / len(problems)
                    line.show(done, f"problem {number + 1} of {len(problems)}, {trace.tokens:,} tokens")
            yield trace.text


def to_json(found: CueProfile) -> dict[str, object]:
    """Return the line of `baton profile --json`."""
    return {
        "boundaries": found.boundaries,
        "with_cue": found.with_cue,
        "advice": found.advice,
        "openings": objects_of(found.openings, OPENING_FIELDS),
        "cues": objects_of(found.cues, CUE_FIELDS),
        "proposed": json_library.loads(lexicon_json(found.proposed)),
    }
