"""P2: tokens decoded for each token kept, by preset, on the demo pair.

Decoded counts every token that either model wrote, kept or not. What a seed writes repeats, and so does this figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.registry import with_advice
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.rounds import Row

PROBLEMS = 40
GOAL = 1.05


def rows(_: int) -> Iterator[Row]:
    options = LoadOptions(context=1024)
    with closing(LocalEngine(SMALL_MODEL, options)) as small, closing(LocalEngine(LARGE_MODEL, options)) as large:
        for preset in ("baton", "paper", "reference"):
            decoded, kept = measure(Pair(small, large), preset)
            is_met = decoded / kept <= GOAL if preset == "baton" else None
            goal = f"≤ {GOAL}" if preset == "baton" else ""
            what = f"tokens decoded / tokens kept, demo pair, `{preset}`"
            yield Row("P2", what, goal, f"{decoded / kept:.3f} ({decoded:,} / {kept:,})", is_met)


def measure(pair: Pair, preset: str) -> tuple[int, int]:
    policy = with_advice(Keywords.presets[preset], DEMO_SETTINGS.policy)
    decoded = kept = 0
    for number, problem in enumerate(islice(held_out_problems(seed=11), PROBLEMS)):
        settings = RunSettings(policy=policy, seed=number, max_tokens=DEMO_SETTINGS.max_tokens)
        totals = Trace.of(run(pair, ask(problem.question, settings), settings)).totals
        decoded += sum(totals[author].decoded for author in (Author.SMALL, Author.LARGE))
        kept += sum(totals[author].kept for author in (Author.SMALL, Author.LARGE))
    return decoded, kept
