"""P2: tokens decoded for each token kept, by preset, on the demo pair. Goal for `baton`: at most 1.05.

Decoded counts every token that either model wrote, kept or not.
"""

from __future__ import annotations

from itertools import islice

from core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from core.engines.body import Author
from core.engines.local.client import LocalEngine
from core.models.loading import LoadOptions
from core.run import Pair, RunSettings, ask, run
from core.thinking.policies.keywords import Keywords
from core.thinking.registry import with_advice
from core.thinking.trace import Trace

PROBLEMS = 40


def main() -> None:
    options = LoadOptions(context=1024)
    small, large = LocalEngine(SMALL_MODEL, options), LocalEngine(LARGE_MODEL, options)
    print(f"P2  tokens decoded / tokens kept, demo pair, {PROBLEMS} problems")
    for preset in ("baton", "paper", "reference"):
        decoded, kept = measure(Pair(small, large), preset)
        print(f"    {preset:12} {decoded / kept:.3f}  ({decoded} / {kept})")
    small.close()
    large.close()


def measure(pair: Pair, preset: str) -> tuple[int, int]:
    policy = with_advice(Keywords.presets[preset], DEMO_SETTINGS.policy)
    decoded = kept = 0
    for number, problem in enumerate(islice(held_out_problems(seed=11), PROBLEMS)):
        settings = RunSettings(policy=policy, seed=number, max_tokens=DEMO_SETTINGS.max_tokens)
        totals = Trace.of(run(pair, ask(problem.question, settings), settings)).totals
        decoded += sum(totals[author].decoded for author in (Author.SMALL, Author.LARGE))
        kept += sum(totals[author].kept for author in (Author.SMALL, Author.LARGE))
    return decoded, kept
