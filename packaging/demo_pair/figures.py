"""The table of the model card: accuracy with its interval, and what it cost, for each way to share the thinking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from math import sqrt

from core.demo_pair.settings import DEMO_SETTINGS, FEW_REFLECTIONS
from core.demo_pair.task import held_out_problems
from demo_pair.evaluation import Plan, Text, Writer, alone, at_random, solve, speculative
from demo_pair.model import Llama

TUNING_SEED, FINAL_SEED = 7, 20_261_124
"""Problems to try things on, and problems for the figures, which no choice of a pair may look at."""
TUNING_PROBLEMS = 200
BISECTIONS = 5


def table(small: Llama, large: Llama, length: int, problems: int, temperature: float) -> Iterator[str]:
    """Rows of a Markdown table, each as soon as it is known."""

    def run(plan: Plan, seed: int, count: int) -> list[Text]:
        return solve(small, large, plan, list(islice(held_out_problems(seed, length), count)), seed, temperature)

    what = f"{length - 2} steps, T = {temperature}, {problems} problems"
    yield f"| {what} | accuracy (Wilson 95%) | large share | takeovers |"
    yield "|---|---|---|---|"
    share = large_share(run(partial(speculative, DEMO_SETTINGS.parameters.c), TUNING_SEED, TUNING_PROBLEMS))
    plans = {
        "small alone": partial(alone, Writer.SMALL),
        "large alone": partial(alone, Writer.LARGE),
        "speculative": partial(speculative, DEMO_SETTINGS.parameters.c),
        f"speculative, c = {FEW_REFLECTIONS}": partial(speculative, FEW_REFLECTIONS),
        "random takeover": partial(
            at_random,
            probability_for(share, lambda p: large_share(run(partial(at_random, p), TUNING_SEED, TUNING_PROBLEMS))),
        ),
    }
    for name, plan in plans.items():
        texts = run(plan, FINAL_SEED, problems)
        correct = sum(text.correct for text in texts)
        low, high = wilson(correct, problems)
        takeovers = sum(text.takeovers for text in texts) / problems
        yield (
            f"| {name} | {correct / problems:.3f} ({low:.3f}–{high:.3f}) | {large_share(texts):.3f} | {takeovers:.1f} |"
        )


def probability_for(share: float, share_at: Callable[[float], float]) -> float:
    """The chance of a takeover at a boundary that gives the random control the same large share."""
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if share_at(middle) < share else (low, middle)
    return (low + high) / 2


def large_share(texts: list[Text]) -> float:
    """Kept tokens that the large model wrote / kept tokens that a model wrote."""
    written = [writer for text in texts for writer in text.writers if writer]
    return sum(writer is Writer.LARGE for writer in written) / len(written)


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a proportion."""
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return middle - half, middle + half
