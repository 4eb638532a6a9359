"""`baton opinion`: let the large model review a recorded answer."""

from __future__ import annotations

import math

import click

from baton_reasoning.app.shared.labels import opinion_counts
from baton_reasoning.app.terminal.command_line import OUTPUT, command, option
from baton_reasoning.app.terminal.options import AT_LEAST_ONE, LoadingOptions, ModelOptions, large_or, loading_of_one
from baton_reasoning.app.terminal.output import progress, remark, write
from baton_reasoning.app.terminal.pair import open_pair
from baton_reasoning.app.terminal.reviewing import models_of, recorded_run
from baton_reasoning.app.terminal.streams import ExitCode, exit_code_of_signal, stops_on_interrupt, write_json
from baton_reasoning.core.thinking.opinion import Disagreement, Opinion, OpinionProgress, SecondOpinion
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.trace_json import event_to_json

BEFORE = 40
"""Characters of context that are printed before a disagreement."""


@command("opinion")
@click.argument("trace", type=click.Path())
@option("--limit", type=AT_LEAST_ONE, default=20, metavar="N", group=OUTPUT, help="Only the N strongest places [20].")
@option("--json", is_flag=True, group=OUTPUT, help="The opinion as one JSON event (docs/trace.md).")
@large_or("that of the run")
@loading_of_one
def opinion(
    trace: str,
    limit: int,
    json: bool,
    models: ModelOptions,
    loading: LoadingOptions,
) -> int:
    """Show where the large model would have written something else, the strongest disagreement first.

    TRACE is a file that `baton solve --json` wrote, - for standard input, or the id of an answer in `baton history
    list`, with which the opinion is kept. Without --large, the large model of the run reads it, unless it has.
    """
    is_stopped = False
    with recorded_run(trace) as recorded:
        known = Opinion.of(recorded.trace)
        if models.are_given or known is None or not known.is_whole:
            needs = Needs(small=False)
            with open_pair(models_of(recorded.trace, models, needs), loading, needs) as pair:
                reading = SecondOpinion(pair.large, recorded.trace)
                with stops_on_interrupt(reading), progress("Second opinion", json) as line:
                    for item in reading.read():
                        if isinstance(item, OpinionProgress):
                            line.show(item.tokens / item.total, f"{item.tokens:,} of {item.total:,} tokens")
                        else:
                            recorded.keep(item)
                is_stopped = reading.stopped
        found = Opinion.of(recorded.trace)
    if found is None:
        return exit_code_of_signal()
    code = exit_code_of_signal() if is_stopped and not found.is_whole else ExitCode.ANSWERED
    if json:
        write_json(event_to_json(found.given))
        return code
    write(opinion_counts(found))
    for place in found.ranked[:limit]:
        write(place_line(place, recorded.trace.text))
    if len(found.ranked) > limit:
        remark(f"{len(found.ranked) - limit:,} weaker disagreements are not shown (--limit).")
    if not found.is_whole:
        remark("Only the beginning of the text was read. Repeat the command to read all of it.")
    return code


def place_line(place: Disagreement, text: str) -> str:
    """Return a line such as “! step 3: … 284 + 027 = [2 → 3, 100%] missed takeover”; ! marks a strong one."""
    before = " ".join(text[max(0, place.start - BEFORE) : place.start].split())
    written, first = text[place.start : place.end].strip() or "␣", place.expected
    sequel = f" {place.sequel.value}" if place.sequel else ""
    expected = first.text.strip() or "␣"
    sign = "!" if place.is_strong else " "
    return f"{sign} step {place.step + 1}: … {before} [{written} → {expected}, {math.exp(first.logprob):.0%}]{sequel}"
