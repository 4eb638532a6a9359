"""P10: time to answer over that of the large model alone, for the pair and for speculative decoding, at a cost of 1:13.

The models are the demo pair at the cost of a real one (costly.py). The large model's drafts come from the small one in
both. What is Baton's own in the time of the small model alone is named beside it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import median

from baton_reasoning.core.batch.running.recipes import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, held_out_problems
from baton_reasoning.core.demo_pair.costly import costly_pair
from baton_reasoning.core.engines.local.client import LocalEngine
from baton_reasoning.core.models.loading import LoadOptions, Switch
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.generated import decode_seconds
from tests.bench.rounds import Row, at_most, in_turn, ratios, spread

COST = 13
PROBLEMS = 2
SEED = 13


def rows(rounds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        small, large = costly_pair(COST, Path(name))
        options = LoadOptions(context=1024, drafts=Switch.ON)
        with closing(LocalEngine(small, options)) as small_engine, closing(LocalEngine(large, options)) as large_engine:
            pair = Pair(small_engine, large_engine)
            arms = {arm.name: arm.settings for arm in arms_of(("large", "drafted", "baton", "small"), DEMO_SETTINGS)}
            own: list[float] = []
            decode = decode_seconds(small)
            figures = in_turn(
                {
                    "large": lambda: answers(pair, arms["large"]),
                    "drafted": lambda: answers(pair, arms["drafted"]),
                    "baton": lambda: answers(pair, arms["baton"]),
                    "small": lambda: answers(pair, arms["small"], own, decode),
                },
                rounds,
            )
    what = f"time to answer / large model alone, at a cost of 1:{COST}: "
    yield at_most("P10", f"{what}`baton`, takeovers drafted", 0.32, ratios(figures["baton"], figures["large"]))
    yield at_most("P10", f"{what}large only, drafted", 0.35, ratios(figures["drafted"], figures["large"]))
    alone = spread(ratios(figures["small"], figures["large"]), digits=2)
    more = f"; {median(own):.0%} of its time is not decoding"
    yield Row("P10", f"{what}small only", "", alone + more)


def answers(pair: Pair, settings: RunSettings, own: list[float] | None = None, decode: float = 0.0) -> float:
    """Seconds for all problems, one after another; `own` gets the part that decoding does not explain."""
    began, tokens = time.perf_counter(), 0
    for number, problem in enumerate(islice(held_out_problems(SEED), PROBLEMS)):
        seeded = settings.model_copy(update={"seed": number})
        tokens += Trace.of(run(pair, ask(problem.question, seeded), seeded)).tokens
    seconds = time.perf_counter() - began
    if own is not None:
        own.append(max(0.0, 1 - tokens * decode / seconds))
    return seconds
