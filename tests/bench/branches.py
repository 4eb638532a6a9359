"""P11: tokens a second of the continuations that value a text, over those of a bare loop around llama.cpp.

The bare loop decodes as many sequences in one batch and draws each token by llama.cpp's own sampler: no text, no pipe,
no grades. Both take turns. The continuations of the demo pair end at different lengths, so that one starts where
another ends, and the last ones of an estimate leave places empty.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import llama_cpp as ll

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.local.branches import MOST_ON_CPU
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.llama import BatchEntry, Llama
from baton_reasoning.core.engines.local.messages import WorkerOptions
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.models.options import LoadOptions, Sampling
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.step_values.estimator import ValueEstimator, ValuesPlan
from baton_reasoning.core.thinking.events import ValuesEstimated
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.generated import bench_model
from tests.bench.rounds import Row, at_least, at_most, in_turn, ratios

PLACES = 17
"""Of the text that is valued: the beginning, and the ends of its steps."""
OPTIONS = LoadOptions(context=1024)
READ, WRITTEN = 50, 50
"""Tokens of each sequence of the bare loop."""
STORY = "Tell me a long story about a fox who learns to count."
SHORT_STORY = RunSettings(policy=Never.Settings(), max_tokens=24)


def rows(rounds: int) -> Iterator[Row]:
    with closing(LocalEngine(SMALL_MODEL, OPTIONS)) as small, closing(LocalEngine(LARGE_MODEL, OPTIONS)) as large:
        pair = Pair(small, large)
        trace, expected = answer(pair)
        yield from measured(pair, trace, expected, SMALL_MODEL, rounds, "the demo pair")
    model = bench_model()
    with closing(LocalEngine(model, OPTIONS)) as engine:
        story = Trace.of(run(Pair(engine), ask(STORY, SHORT_STORY), SHORT_STORY))
        yield from measured(Pair(engine), story, "7", model, rounds, model.stem)


def measured(pair: Pair, trace: Trace, expected: str, model: Path, rounds: int, name: str) -> Iterator[Row]:
    seconds: list[float] = []
    with Grader() as grader:
        plan = ValueEstimator(pair, trace, grader, expected).plan

        def branches() -> float:
            found = estimate(pair, trace, expected, grader, plan)
            seconds.append(found.seconds)
            return found.tokens / found.seconds

        figures = in_turn({"branches": branches, "bare": lambda: bare_speed(model)}, rounds)
    yield at_least("P11", f"continuations / bare parallel decode, {name}", 0.8, ratios(*figures.values()))
    if plan.places == PLACES:
        yield at_most("P11", f"seconds for {plan.continuations} continuations from {PLACES} places", 4, seconds[1:])


def answer(pair: Pair) -> tuple[Trace, str]:
    """An answer of the demo pair with as many places as are to be valued."""
    for problem in held_out_problems(seed=11):
        trace = Trace.of(run(pair, ask(problem.question, DEMO_SETTINGS), DEMO_SETTINGS))
        with Grader() as grader:
            if ValueEstimator(pair, trace, grader, problem.answer).plan.places == PLACES:
                return trace, problem.answer
    raise AssertionError("there are held-out problems without end")


def estimate(pair: Pair, trace: Trace, expected: str, grader: Grader, plan: ValuesPlan) -> ValuesEstimated:
    """Value the text anew, until as many continuations are written as at first."""
    estimator = ValueEstimator(pair, trace, grader, expected)
    for item in estimator.run():
        if isinstance(item, ValuesEstimated):
            return item
        if item.done >= plan.continuations:
            return item.estimated
    raise AssertionError("an estimate ends with what it found")


def bare_speed(model: Path, sequences: int = MOST_ON_CPU) -> float:
    """Tokens a second of a loop that does nothing but decode and draw."""
    llama = Llama(WorkerOptions(str(model), OPTIONS), lambda _: None)
    context = llama.sibling(OPTIONS.model_copy(update={"context": READ + WRITTEN, "parallel": sequences + 1}))
    context.decode([BatchEntry(5 + i % 20, i, 0, False) for i in range(READ)])
    for sequence in range(1, sequences + 1):
        context.copy(0, sequence, READ)
    sampler = context.make_sampler(Sampling())
    ll.llama_sampler_chain_add(sampler.chain, ll.llama_sampler_init_dist(1))
    tokens, began = [5] * sequences, time.perf_counter()
    for position in range(READ, READ + WRITTEN):
        entries = [BatchEntry(tokens[i], position, i + 1, True) for i in range(sequences)]
        context.decode(entries)
        tokens = [ll.llama_sampler_sample(sampler.chain, context.context, i) for i in range(sequences)]
    seconds = time.perf_counter() - began
    context.free_sampler(sampler)
    context.close_context()
    return sequences * WRITTEN / seconds
