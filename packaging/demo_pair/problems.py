"""The two problem files that come with the pair: `python -m demo_pair.problems`, by the program's own Python.

Both are held out, and no problem is in both. The ready ones are chosen: with seed 0 the small model alone ends each of
them with a wrong number and the pair with the right one, so that the first minute shows what the method is for. Those
of the batch are not chosen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import (
    BATCH_PROBLEMS,
    DEMO_SETTINGS,
    LARGE_MODEL,
    READY_PROBLEMS,
    SMALL_MODEL,
)
from baton_reasoning.core.demo_pair.task import DemoProblem, held_out_problems
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.trace import Trace

SEED = 10
READY, BATCH = 20, 300
CONTEXT = 1024


def chosen(problems: Iterator[DemoProblem], pair: Pair) -> Iterator[DemoProblem]:
    """Yield those that the small model alone gets wrong, in the form of an answer, and the pair right."""
    small, both = (arm.settings for arm in arms_of(("small", "baton"), DEMO_SETTINGS))
    for each in problems:
        alone = answer_of(each, pair, small)
        if alone not in ("", each.answer) and answer_of(each, pair, both) == each.answer:
            yield each


def answer_of(problem: DemoProblem, pair: Pair, settings: RunSettings) -> str:
    """Return the number that an answer ends with; "" for a text of another form."""
    text = Trace.of(run(pair, ask(problem.question, settings), settings)).text
    found = re.search(r"\\boxed\{(\d{5})\}\.$", text)
    return found[1] if found else ""


def write(path: Path, problems: list[DemoProblem]) -> None:
    """A line for each, as `core.batch` reads it."""
    records = ({"id": problem.id, "problem": problem.question, "answer": problem.answer} for problem in problems)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")


def main() -> None:
    options, made = LoadOptions(context=CONTEXT), held_out_problems(SEED)
    write(BATCH_PROBLEMS, list(islice(made, BATCH)))
    with closing(LocalEngine(SMALL_MODEL, options)) as small, closing(LocalEngine(LARGE_MODEL, options)) as large:
        write(READY_PROBLEMS, list(islice(chosen(made, Pair(small, large)), READY)))


if __name__ == "__main__":
    main()
