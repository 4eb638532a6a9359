"""`baton profile`: find the cues that a model gives, and propose cue lists and bounds for it."""

from __future__ import annotations

import json as json_library
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click

from baton_reasoning.app.terminal.command_line import OUTPUT, command, complete_files, option
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.model_files import source_of
from baton_reasoning.app.terminal.options import AT_LEAST_ONE
from baton_reasoning.app.terminal.output import progress, write
from baton_reasoning.app.terminal.pair import LoadingOptions, loading_options, on_disk, open_model
from baton_reasoning.app.terminal.streams import write_json
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.cue_certainty import QUANTILE, Certainty, CueMargin, agreements, certainty, quantile
from baton_reasoning.core.cue_profiler import PROBLEMS, CueProfile, lexicon_json, profile, write_texts
from baton_reasoning.core.engines.base import Engine
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import expanded
from baton_reasoning.core.run import RunSettings, ask
from baton_reasoning.core.thinking.trace import Trace

SHOWN = 12
"""Most rows of a table."""
_FILE = click.Path(path_type=Path)


@command("profile")
@click.argument("model", shell_complete=complete_files)
@option("--problems", type=_FILE, metavar="FILE", help="Problems to solve [four short ones].")
@option("--limit", type=AT_LEAST_ONE, default=8, metavar="N", help="Only the first N problems [8].")
@option(
    "-n",
    "--max-tokens",
    "max_tokens",
    type=AT_LEAST_ONE,
    default=1024,
    metavar="N",
    help="Longest answer in tokens [1024].",
)
@option(
    "--reader",
    shell_complete=complete_files,
    metavar="MODEL",
    help="A large model that scores the texts, to propose the bound of agreement.",
)
@loading_options
@option("--yes", "-y", is_flag=True, help="Download a model that is not here without asking.")
@option("-o", "--out", type=_FILE, metavar="FILE", group=OUTPUT, help="Write the proposed cue list here, as JSON.")
@option("--relay-out", type=_FILE, metavar="FILE", group=OUTPUT, help="Write the list proposed for relay here.")
@option("--json", is_flag=True, group=OUTPUT, help="One JSON object: the counts, and the proposed cue list.")
def profile_model(  # noqa: PLR0913
    model: str,
    problems: Path | None,
    limit: int,
    max_tokens: int,
    reader: str | None,
    loading: LoadingOptions,
    yes: bool,
    out: Path | None,
    relay_out: Path | None,
    json: bool,
) -> int:
    """Let a model write on a few problems, and show which cues it gives and how certain it is after them.

    Proposes a cue list for --cues, one for the policy relay, and bounds for triggers and agreement. MODEL is a GGUF
    file, or http(s)://host:port of a server.
    """
    for file in filter(None, (out, relay_out)):
        if file.exists():
            raise SettingsError(f"{file} exists already.", "Name another file, or remove it.")
    texts = _problems(problems, limit)
    settings = RunSettings(max_tokens=max_tokens)
    with closing(open_model(on_disk(source_of(model), yes), loading)) as engine:
        traces = _written(engine, texts, settings)
    found = profile(trace.text for trace in traces)
    sure = certainty([[token for piece in trace.pieces for token in piece.tokens] for trace in traces])
    bound = None
    if reader:
        with closing(open_model(on_disk(source_of(reader), yes), loading)) as large:
            bound = _agreement_bound(large, texts, settings, traces)
    for path, lexicon in ((out, found.proposed), (relay_out, sure.relay)):
        if path:
            _save(path, lexicon_json(lexicon))
    if json:
        write_json(to_json(found, sure, bound))
        return ExitCode.ANSWERED
    write(table(found))
    write(f"\n{certainty_table(sure, bound)}")
    if out:
        write(f"\nThe proposed cue list is in {out}.")
    else:
        write(f"\nProposed cue list:\n{lexicon_json(found.proposed)}")
    return ExitCode.ANSWERED


def _written(engine: Engine, problems: tuple[str, ...], settings: RunSettings) -> list[Trace]:
    traces: list[Trace] = []
    with progress("Profiling") as line:
        for number, tokens, _, trace in write_texts(engine, problems, settings):
            done = (number + min(1.0, tokens / settings.max_tokens)) / len(problems)
            line.show(done, f"problem {number + 1} of {len(problems)}, {tokens:,} tokens")
            if trace:
                traces.append(trace)
    return traces


def _agreement_bound(engine: Engine, problems: Sequence[str], settings: RunSettings, traces: list[Trace]) -> float:
    """Return a bound for the policy agreement. Raises SettingsError if the model cannot score a text."""
    if not engine.card.returns_scores:
        raise SettingsError(
            f"{engine.card.name} gives no probabilities of a text that it reads, which --reader needs.",
            "Name a model on this machine, or a server with prompt log-probabilities (vLLM).",
        )
    with progress("Reading") as line:
        found: list[float] = []
        for number, (problem, trace) in enumerate(zip(problems, traces, strict=True)):
            line.show(number / len(traces), f"text {number + 1} of {len(traces)}")
            found += agreements(engine, ask(problem, settings), trace)
    return quantile(found, QUANTILE) or 0.0


def to_json(found: CueProfile, sure: Certainty, bound: float | None = None) -> dict[str, object]:
    """Return the line of `baton profile --json`."""
    return {
        "boundaries": found.boundaries,
        "with_cue": found.with_cue,
        "suits": found.suits.value,
        "advice": found.advice,
        "openings": [asdict(opening) for opening in found.openings],
        "cues": [{"category": category.value, "cue": word, "count": count} for category, word, count in found.cues],
        "proposed": json_library.loads(lexicon_json(found.proposed)),
        "cues_anywhere": sure.cues,
        "cues_after_boundary": sure.after_boundary,
        "before_cues": [{"token": token, "count": count} for token, count in sure.before],
        "margin": sure.margin,
        "margins": [each._asdict() for each in sure.margins],
        "proposed_for_relay": json_library.loads(lexicon_json(sure.relay)),
        "triggers_confidence": sure.confidence,
        "agreement_bound": bound,
    }


def certainty_table(sure: Certainty, bound: float | None = None) -> str:
    """Return a table of the tokens before cues, the certainty after them, and the proposed bounds."""
    share = sure.after_boundary / sure.cues if sure.cues else 0.0
    lines = [f"{sure.cues} known cues at any place, {share:.0%} of them first in a step"]
    if sure.before:
        lines += ["", f"{'token before a cue':<24}{'times':>7}"]
        lines += [f"{_visible(token):<24}{count:>7}" for token, count in sure.before]
    if sure.margin is None:
        return "\n".join([*lines, "", "The model gives no probabilities: no margins, and no bounds."])
    lines += ["", f"{'margin p1 - p2 after':<24}{'times':>7}{'mean':>8}   all tokens: {sure.margin:.3f}"]
    lines += [
        f"{each.words:<24}{each.times:>7}{each.margin:>8.3f}{'   relay: small' if each.margin > sure.margin else ''}"
        for each in _ends(sure.margins)
    ]
    lines += [""]
    if sure.confidence is not None:
        lines.append(f"triggers: --set confidence={sure.confidence:.4g} rewrites its surest {QUANTILE:.0%} of steps")
    if bound is not None:
        lines.append(f"agreement: --set bound={bound:.4g} rewrites the {QUANTILE:.0%} unlikeliest steps")
    else:
        lines.append("agreement: --reader LARGE proposes its bound")
    if words := [word for cues in sure.relay.cues.values() for word in cues]:
        lines.append(f"relay: {len(words)} words after which it is surer than on average (--relay-out FILE)")
    return "\n".join(lines)


def _ends(margins: Sequence[CueMargin]) -> Sequence[CueMargin]:
    """Return the most and the least certain ones."""
    return margins if len(margins) <= SHOWN else (*margins[: SHOWN // 2], *margins[-SHOWN // 2 :])


def _visible(token: str) -> str:
    return token.replace("\n", "↵").replace(" ", "␣") or "(begin)"


def table(found: CueProfile) -> str:
    """Return a table of the openings and cues."""
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


def _problems(file: Path | None, limit: int) -> tuple[str, ...]:
    if file is None:
        return PROBLEMS[:limit]
    return tuple(problem.text for problem in read_problems(expanded(file), limit=limit).problems)


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}.") from error
