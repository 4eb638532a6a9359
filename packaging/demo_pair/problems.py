"""The two problem files that come with the pair: `python -m demo_pair.problems`.

Both are held out, and no problem is in both. First come three that the small model alone gets wrong and the pair right,
so that the first minute shows what the method is for.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from core.demo_pair.settings import BATCH_PROBLEMS, READY_PROBLEMS
from core.demo_pair.task import DemoProblem, held_out_problems

SEED = 10
READY, BATCH = 20, 300
SHOWN_FIRST = (4, 8, 12)
"""By their place among those made; with the seed 0."""


def write(path: Path, problems: list[DemoProblem]) -> None:
    """A line for each, as `core.batch` reads it."""
    records = ({"id": problem.id, "problem": problem.question, "answer": problem.answer} for problem in problems)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")


if __name__ == "__main__":
    made = list(islice(held_out_problems(SEED), READY + BATCH))
    others = [problem for place, problem in enumerate(made[:READY]) if place not in SHOWN_FIRST]
    write(READY_PROBLEMS, [*(made[place] for place in SHOWN_FIRST), *others])
    write(BATCH_PROBLEMS, made[READY:])
