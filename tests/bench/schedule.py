"""P5: time to answer under Baton's schedule over the authors' schedule, on the same engines and problems.

The reference discards every lookahead and samples it again; Baton keeps it, and looks no further than it must. At cost
ratios of 1:10 and 1:20 the models are the demo pair in a larger shape (costly.py), which writes the same texts. Most
of the time is then the large model's, which writes as much under either schedule: what is left to save are its decodes,
by drafting.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.demo_pair.costly import of_blocks
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.load_options import LoadOptions, Switch
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.table import Row, at_most, in_turn, ratios, spread

SMALL_BLOCKS = 3
"""Of the small model, where costs are generated: Baton's own time is a small part of its decode."""
GOAL = 0.6


class Models(NamedTuple):
    small: Path
    large: Path
    problems: int
    seed: int = 11


def rows(rounds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = of_blocks(SMALL_MODEL, folder, SMALL_BLOCKS).make()
        for ratio in (10, 20):
            large = of_blocks(LARGE_MODEL, folder, SMALL_BLOCKS * ratio).make()
            taken = measure(Models(small, large, problems=20 // ratio), rounds)
            what = f"time to answer, `baton` / the authors' schedule, cost ratio 1:{ratio}"
            more = f"; {spread(taken.without_drafts, digits=2)} without drafts; measured 1:{taken.cost_ratio:.0f}"
            if ratio == 10:
                yield at_most("P5", what, GOAL, taken.with_drafts, more)
            else:
                yield Row("P5", what, "", spread(taken.with_drafts, digits=2) + more)
            large.unlink()
    taken = measure(Models(SMALL_MODEL, LARGE_MODEL, problems=20), rounds)
    what = "the same with the demo pair as it is, without drafts"
    yield Row("P5", what, "", f"{spread(taken.without_drafts, digits=2)}; measured 1:{taken.cost_ratio:.1f}")


class Answering(NamedTuple):
    """Ratios of the time to answer, and what a token of the large model costs, in tokens of the small one."""

    with_drafts: list[float]
    without_drafts: list[float]
    cost_ratio: float


def measure(models: Models, rounds: int) -> Answering:
    options, costs = LoadOptions(context=1024), list[float]()
    with (
        closing(LocalEngine(models.small, options)) as small,
        closing(LocalEngine(models.large, options)) as large,
        closing(LocalEngine(models.large, options.model_copy(update={"drafts": Switch.ON}))) as drafted,
    ):
        baton, reference = (arm.settings for arm in arms_of(("baton", "reference"), DEMO_SETTINGS))
        figures = in_turn(
            {
                "drafted": lambda: answers(Pair(small, drafted), baton, models),
                "baton": lambda: answers(Pair(small, large), baton, models, costs),
                "reference": lambda: answers(Pair(small, large), reference, models),
            },
            rounds,
        )
    reference_times = figures["reference"]
    with_drafts, without = (ratios(figures[way], reference_times) for way in ("drafted", "baton"))
    return Answering(with_drafts, without, statistics.median(costs))


def answers(pair: Pair, settings: RunSettings, models: Models, costs: list[float] | None = None) -> float:
    """Seconds for all problems, one after the other. `costs` gets the cost ratio of each."""
    began = time.perf_counter()
    for number, problem in enumerate(islice(held_out_problems(models.seed), models.problems)):
        seeded = settings.model_copy(update={"seed": number})
        totals = Trace.of(run(pair, ask(problem.question, seeded), seeded)).totals
        small, large = totals[Author.SMALL], totals[Author.LARGE]
        if costs is not None and small.tokens_per_second and large.tokens_per_second:
            costs.append(small.tokens_per_second / large.tokens_per_second)
    return time.perf_counter() - began
