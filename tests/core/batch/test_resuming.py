"""A batch that was killed goes on with each of its texts."""

from __future__ import annotations

from pathlib import Path

from baton_reasoning.core.batch.running.recipes import arms_of
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import RunStarted, TakeoverStarted, TokenWritten
from baton_reasoning.core.thinking.trace import Trace
from tests.core.batch.counting import problems
from tests.core.thinking.drawn import outcome, settings_of
from tests.core.thinking.oracles.worlds import World

WORLD = World(5, tagged=True, drawn=True)


def test_a_text_killed_inside_a_takeover_goes_on_with_the_large_model(tmp_path: Path) -> None:
    base = settings_of(arms_of(["baton"], RunSettings())[0].settings.policy, seed=1)
    (arm,) = arms_of(["baton"], base)
    with Store.open(tmp_path / "b.sqlite") as store, Grader() as grader:
        batch = store.batches.create("b", {}, problems(1), [arm.stored()])
        list(Runner(store, batch, Pair(*WORLD.engines), grader).run())
        (row,) = store.batches.results(batch, "baton")
        events = list(store.runs.events(row.run))
        start = next(number for number, event in enumerate(events) if isinstance(event, TakeoverStarted))
        tokens = [number for number, event in enumerate(events) if number > start and isinstance(event, TokenWritten)]
        again = store.batches.create("again", {}, problems(1), [arm.stored()])
        (job,) = store.batches.claim(again)
        recorder = store.runs.record(job.run)
        recorder.record(events[: tokens[2]])
        recorder.finish().result()
        store.batches.give_back(job)
        list(Runner(store, again, Pair(*WORLD.engines), grader).run())
        resumed = list(store.runs.events(job.run))
    restarted = [number for number, event in enumerate(resumed) if isinstance(event, RunStarted)][-1]
    first = next(event for event in resumed[restarted:] if isinstance(event, TokenWritten))
    assert first.author is Author.LARGE
    assert outcome(Trace.of(resumed)) == outcome(Trace.of(events))
