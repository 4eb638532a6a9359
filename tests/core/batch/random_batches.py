"""Random batches as they are stored: arms, problems, seeds, outcomes, costs, errors, conditions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

from baton_reasoning.core.batch.reporting.report import Report, build_report
from baton_reasoning.core.batch.reporting.results import ExportedResult
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.engines.base import Handoff
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import How, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batches import Batch, Conditions, JobState, ResultRow
from baton_reasoning.core.store.run_cost import RunCost
from baton_reasoning.core.thinking.events import Event, HandedOver, TakeoverEnded, TakeoverStarted, WriteStarted
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import tokens

ERRORS = ("The server is gone.", "The key was refused.", "The disk is full.")
RIGHT = {"+": True, "-": False, "?": None}


class RandomBatch(NamedTuple):
    batch: Batch
    problems: list[Problem]
    rows: list[ResultRow]
    traces: list[Trace]

    def report(self, rows: list[ResultRow] | None = None) -> Report:
        return build_report(self.batch, self.problems, rows or self.rows)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of results.jsonl."""
        pairs = zip(self.rows, self.traces, strict=True)
        found = (ExportedResult.of(self.batch.id, self.problems[row.position], row, trace) for row, trace in pairs)
        return [json.loads(each.model_dump_json(by_alias=True)) for each in found]


@st.composite
def random_batches(draw: st.DrawFn) -> RandomBatch:
    recipes = draw(st.lists(st.sampled_from(["small", "large", "baton", "cascade", "random"]), min_size=1, unique=True))
    arms = arms_of(recipes, RunSettings(), draw(st.sampled_from([[], ["B.gguf"]])))
    count, seeds = draw(st.integers(1, 6)), draw(st.sampled_from([(0,), (3, 4), (0, 7, 10_007)]))
    jobs = [(arm, position, seed) for position in range(count) for arm in arms for seed in seeds]
    kinds = draw(st.lists(st.sampled_from("+++--?!."), min_size=len(jobs), max_size=len(jobs)))
    setups = draw(st.sampled_from([[(8, 2)], [(8, 2), (1, 2), (8, 0)]]))
    random = Random(draw(st.integers(0, 99)))
    loads = {arm.name: random.randrange(4) / 16 for arm in arms}
    problems = [Problem(f"p{n}", f"Count to {n}.", f"{n}", {}, n + 1) for n in range(count)]
    rows, traces = [], []
    for number, ((arm, position, seed), kind) in enumerate(zip(jobs, kinds, strict=True)):
        trace = Trace() if kind in "!." else Trace.of(_text(arm.name, random))
        verdict = None if kind in "!." else Verdict.of(RIGHT[kind], How.EXACT, "")
        rows.append(
            ResultRow(
                *(number, f"run{number}", arm.name, position, seed, JobState.WAITING if kind == "." else JobState.DONE),
                *("", verdict, random.choice(ERRORS) if kind == "!" else "", None),
                RunCost() if kind == "." else _cost(trace, random, has_answer=kind != "!"),
                notices=tuple(random.sample(["Slow.", "Restarted."], random.randrange(3))),
                conditions=None if kind in "!." else _conditions(random.choice(setups), loads[arm.name], random),
            )
        )
        traces.append(trace)
    shares = {arm.name: 0.3 for arm in arms if arm.equal_share_of}
    batch = Batch(
        *(
            "b",
            "random",
            BatchSettings(seed_numbers=seeds, shares=shares).stored(),
            tuple(arm.stored() for arm in arms),
        ),
        *(count, len(rows), sum(row.state is JobState.DONE for row in rows), datetime.now(UTC)),
    )
    return RandomBatch(batch, problems, rows, traces)


def _text(arm: str, random: Random) -> Iterator[Event]:
    """Write a text by one model, or by the small one with takeovers."""
    only = Author.LARGE if arm.startswith("large") else Author.SMALL
    yield from _written(only, None, random)
    for _ in range(0 if arm.startswith(("small", "large")) else random.randrange(3)):
        reason = random.choice(["reflection", "random"])
        yield TakeoverStarted(0.0, reason, None, 4, 0)
        yield from _written(Author.LARGE, reason, random)
        yield TakeoverEnded(0.0, 4)
        yield from _written(Author.SMALL, None, random)


def _written(author: Author, reason: str | None, random: Random) -> Iterator[Event]:
    yield WriteStarted(0.0, author, reason, 0)
    yield HandedOver(0.0, author, Handoff(0, random.randrange(50), 0.0))
    yield from tokens(author, random.choices(["one ", "two.\n\n"], k=random.randint(1, 6)))


def _cost(trace: Trace, random: Random, *, has_answer: bool) -> RunCost:
    """Return the cost of a text, with random figures where nothing is read from the text."""
    named = ("small_read", "large_read", "small_reread", "large_reread", "discarded_tokens", "drafted", "accepted")
    counts = {name: random.randrange(40) for name in (*named, "small_decoded", "large_decoded", "remote_tokens")}
    money = round(random.random(), 4) if random.random() < 0.5 else 0.0
    return RunCost.of(trace).model_copy(
        update=counts
        | {
            "seconds": round(random.uniform(0.1, 9), 3) if has_answer else 0.0,
            "seconds_to_answer": round(random.uniform(0.1, 9), 3) if has_answer and random.random() < 0.7 else None,
            "money": money,
            "currency": "EUR" if money else "",
        }
    )


def _conditions(setup: tuple[int, int], load: float, random: Random) -> Conditions:
    parallel, threads = setup
    return Conditions(parallel=parallel, threads=threads, other_load=round(load + random.random() / 100, 4))
