"""P5: time to answer under Baton's schedule over the authors' schedule, on the same engines and problems.

The reference throws every lookahead away and samples it again; Baton keeps it, and looks no further than it must.
Goal: at most 0.7.
"""

from __future__ import annotations

import time
from itertools import islice

from core.batch.recipes import arms_of
from core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from core.engines.local.client import LocalEngine
from core.models.loading import LoadOptions
from core.run import Pair, RunSettings, ask, run
from core.thinking.trace import Trace
from tests.bench.rounds import in_turn, median_ratio, spread

PROBLEMS = 20


def answers(pair: Pair, settings: RunSettings) -> float:
    """Milliseconds an answer, one after the other."""
    problems = list(islice(held_out_problems(seed=11), PROBLEMS))
    began = time.perf_counter()
    for number, problem in enumerate(problems):
        seeded = settings.model_copy(update={"seed": number})
        Trace.of(run(pair, ask(problem.question, seeded), seeded))
    return 1000 * (time.perf_counter() - began) / PROBLEMS


def main() -> None:
    options = LoadOptions(context=1024)
    pair = Pair(LocalEngine(SMALL_MODEL, options), LocalEngine(LARGE_MODEL, options))
    baton, reference = (arm.settings for arm in arms_of(("baton", "reference"), DEMO_SETTINGS))
    figures = in_turn({"baton": lambda: answers(pair, baton), "reference": lambda: answers(pair, reference)})
    for engine in (pair.small, pair.large):
        if engine:
            engine.close()
    print(f"P5  time to answer, demo pair, {PROBLEMS} problems")
    for name, times in figures.items():
        ratio = median_ratio(times, figures["reference"])
        print(f"    {name:24} {spread(times, 'ms an answer'):32} ratio {ratio:.3f}")
