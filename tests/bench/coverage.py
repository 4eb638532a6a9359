"""Simulated coverage of the intervals of a batch: `python -m tests.bench.coverage` prints a table.

Each problem has a chance of being solved by each arm, drawn from a beta distribution; an arm solves it with that chance
at each seed. A 95% interval should hold the true value in 95 of 100 batches.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from baton_reasoning.core.batch.reporting.statistics import clustered_accuracy, difference

BATCHES = 2_000
SEED = 5


class Setting(NamedTuple):
    title: str
    problems: int
    seeds: int
    accuracy: float
    """Mean chance of the first arm."""
    spread: float
    """α + β of the beta distribution: small values make problems that are always or never solved."""
    gain: float
    """What the second arm adds to the chance of the first, before both are cut to 0–1."""


SETTINGS = (
    Setting("typical: 100 problems, 1 seed, +10 points", 100, 1, 0.6, 1.0, 0.1),
    Setting("few problems: 20, 1 seed, +10 points", 20, 1, 0.6, 1.0, 0.1),
    Setting("three seeds, few problems: 20, +10 points", 20, 3, 0.6, 1.0, 0.1),
    Setting("all arms equal: 20 problems, 3 seeds", 20, 3, 0.6, 1.0, 0.0),
    Setting("all arms equal, near 100%: 20 problems, 3 seeds", 20, 3, 0.97, 1.0, 0.0),
    Setting("near 100%, ten seeds: 40 problems, +2 points", 40, 10, 0.97, 1.0, 0.02),
    Setting("problems alike: 20, 3 seeds, +10 points", 20, 3, 0.6, 100.0, 0.1),
)


class Coverage(NamedTuple):
    """Percent of the simulated batches."""

    accuracy: float
    difference: float
    rejected: float
    """The exact test has p < 0.05."""


def simulate(setting: Setting, batches: int = BATCHES) -> Coverage:
    dice = np.random.default_rng(SEED)
    alpha = setting.accuracy * setting.spread
    beta = setting.spread - alpha
    # The true values are means over all problems that could have been drawn.
    population = dice.beta(alpha, beta, 1_000_000)
    truth = float(population.mean())
    gain = float(np.clip(population + setting.gain, 0, 1).mean()) - truth
    held = held_difference = rejected = 0
    for _ in range(batches):
        chances = dice.beta(alpha, beta, setting.problems)
        first = _marks(dice, chances, setting.seeds)
        second = _marks(dice, np.clip(chances + setting.gain, 0, 1), setting.seeds)
        accuracy, found = clustered_accuracy(first), difference(list(zip(first, second, strict=True)))
        assert accuracy
        assert found
        held += accuracy.low <= truth <= accuracy.high
        held_difference += found.difference.low <= gain <= found.difference.high
        rejected += found.p < 0.05
    return Coverage(100 * held / batches, 100 * held_difference / batches, 100 * rejected / batches)


def _marks(dice: np.random.Generator, chances: NDArray[np.float64], seeds: int) -> list[list[bool]]:
    marks: list[list[bool]] = (dice.random((len(chances), seeds)) < chances[:, None]).tolist()
    return marks


def main() -> None:
    print("| batch | of an accuracy | of a difference | exact test below 0.05 |\n|---|---:|---:|---:|")
    for setting in SETTINGS:
        found = simulate(setting)
        print(f"| {setting.title} | {found.accuracy:.1f}% | {found.difference:.1f}% | {found.rejected:.1f}% |")


if __name__ == "__main__":
    main()
