"""Runs a batch: arms × problems × seeds, several at once, each saved as it is written and graded as it ends.

    store ──claim──► a thread each ──run, grade──► store, and the one who watches

Killed at any moment, it goes on where it was: a text that had begun is gone on with, one that had ended is only
graded, and nothing is run twice (core/store/batches.py). Engines batch what the threads ask of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from queue import SimpleQueue

from core.batch.arms import Arm, refuse_undrafted
from core.batch.batch_events import BatchEvent, Calibrated, JobEnded, JobGrew, JobStarted, JobStopped
from core.batch.batch_settings import BatchSettings
from core.batch.calibration import PILOT_SEED, chance_for_share, pilot_of
from core.batch.regrading import verdict_on
from core.engines.body import Author
from core.errors import BatonError, StoreError
from core.grading.extraction import choice_letter, extract_answer, extract_choice
from core.grading.grader import Grader
from core.grading.verdict import How, Regex
from core.problem import Problem
from core.run import Pair, RunSettings, ask, run
from core.store.batch_rows import Job
from core.store.run_metrics import RunMetrics
from core.store.runs import RunSummary
from core.store.store import Store
from core.thinking.control import Control
from core.thinking.events import Finish, RunStarted
from core.thinking.policies.random_takeover import RandomTakeover
from core.thinking.policy import Keep
from core.thinking.trace import Trace

SEEDS_APART = 1_000_003
"""More than a batch has problems, so that no two texts of it share a seed."""
GLANCE = 0.5
"""Seconds between two looks at a text that is being written."""


class Runner:
    """One go at a batch. `run` is called once; `pause`, `resume` and `stop` from any thread."""

    def __init__(
        self, store: Store, batch: str, pair: Pair, grader: Grader, parallel: int = 1, guide: str = ""
    ) -> None:
        """Runs the arms whose large model is this `guide`, loaded in `pair`; "" is the batch's own large model."""
        self.store = store
        self.batch = batch
        self.pair = pair
        self.grader = grader
        self.parallel = parallel
        self.guide = guide
        self._arms: dict[str, Arm] = {}
        self._how: How | Regex = How.AUTO
        self._may_begin = threading.Event()
        self._may_begin.set()
        self._stopped = False
        self._lock = threading.Lock()
        self._controls: set[Control] = set()
        self._happenings: SimpleQueue[BatchEvent | None] = SimpleQueue()

    def run(self) -> Generator[BatchEvent, None, None]:
        """What happens, until no job waits or `stop` is called. Closing it stops, too.

        A failed problem is a result. Raises StoreError when results cannot be saved, and SettingsError for other models
        than the batch was begun with.
        """
        self._take_settings()
        refuse_undrafted(self._arms.values(), self.pair.large)
        # One arm after the other: side by side they would slow each other, and no speed could be compared.
        in_order = sorted(self._arms, key=lambda name: bool(self._arms[name].equal_share_of))
        try:
            for name in in_order:
                if self._stopped:
                    return
                if self._arms[name].equal_share_of:
                    yield from self._run_at_equal_share(name, self._arms[name])
                else:
                    yield from self._run_arm(name)
        finally:
            self.stop()

    def pause(self) -> None:
        """Begin no other problem; those that are being written come to their end."""
        self._may_begin.clear()

    def resume(self) -> None:
        self._may_begin.set()

    @property
    def paused(self) -> bool:
        return not self._may_begin.is_set()

    def stop(self) -> None:
        """End every text at its next token. They are kept, and the batch can go on later."""
        with self._lock:
            self._stopped = True
            controls = list(self._controls)
        for control in controls:
            control.stop()
        self._may_begin.set()

    def _take_settings(self) -> None:
        """The batch's own; and keep with it which models run it, for its report and for going on."""
        stored = self.store.batches.open(self.batch)
        settings = BatchSettings.of(stored).with_models(self.pair, self.guide)
        self.store.batches.set_settings(self.batch, settings.stored())
        self._how = settings.how
        self._arms = {arm.name: arm for arm in map(Arm.of, stored.arms) if arm.large == self.guide}

    def _run_at_equal_share(self, name: str, arm: Arm) -> Iterator[BatchEvent]:
        chance = self._recorded_chance(name)
        totals = {each.arm: each for each in self.store.batches.totals(self.batch)}
        if totals[name].done == totals[name].jobs:
            return
        other = totals[arm.equal_share_of]
        share = other.large_tokens / max(1, other.small_tokens + other.large_tokens)
        if chance is None:
            problems = pilot_of(list(self.store.batches.problems(self.batch)))
            chance = chance_for_share(share, lambda p: self._pilot_share(_with_chance(arm, p).settings, problems))
        if self._stopped:
            return
        self._arms[name] = _with_chance(arm, chance)
        yield Calibrated(name, chance, share)
        yield from self._run_arm(name)

    def _run_arm(self, name: str) -> Iterator[BatchEvent]:
        with ThreadPoolExecutor(self.parallel, thread_name_prefix="batch") as pool:
            workers = [pool.submit(self._work, name) for _ in range(self.parallel)]
            for worker in workers:
                worker.add_done_callback(lambda _: self._happenings.put(None))
            try:
                yield from self._until_all_are_done(workers)
            except GeneratorExit:
                self.stop()
                raise
        for worker in workers:
            worker.result()

    def _until_all_are_done(self, workers: Sequence[Future[None]]) -> Iterator[BatchEvent]:
        at_work = len(workers)
        while at_work:
            happening = self._happenings.get()
            if happening is None:
                at_work -= 1
            else:
                yield happening

    def _work(self, arm: str) -> None:
        """What each thread does: claim, carry out, again, until nothing waits."""
        while True:
            self._may_begin.wait()
            if self._stopped or not (jobs := self.store.batches.claim(self.batch, 1, [arm])):
                return
            try:
                self._carry_out(jobs[0])
            except BaseException:
                self.stop()
                raise

    def _carry_out(self, job: Job) -> None:
        self._happenings.put(JobStarted(job))
        summary, trace, error = None, Trace(), ""
        try:
            trace = self.store.runs.trace(job.run) if job.attempt > 1 else trace
            summary = self._written(job, trace)
            if trace.finish is Finish.STOPPED:
                self.store.batches.give_back(job)
                self._happenings.put(JobStopped(job.id))
                return
            if trace.finish is Finish.FAILED:
                error = trace.ended.reason if trace.ended else ""
        except StoreError:
            raise
        except BatonError as failure:
            error = str(failure)
        answer = "" if error else answer_of(trace, job.problem.expected) or ""
        verdict = None if error else verdict_on(self.grader, job.problem, answer, trace.answer.strip(), self._how)
        self.store.batches.finish(job, answer, verdict, error)
        self._happenings.put(JobEnded.of(job, answer, verdict, error, summary))

    def _written(self, job: Job, trace: Trace) -> RunSummary:
        """Solve the problem, or go on from where an earlier attempt ended."""
        if trace.finish not in (None, Finish.STOPPED):
            return self.store.runs.summary(job.run)  # killed between its last token and its grade
        settings = _with_seed(self._arms[job.arm.name].settings, job.seed, job.position)
        recorder = self.store.runs.record(job.run)
        looked = time.monotonic()
        with self._controlled() as control:
            conversation = ask(job.problem.text, settings)
            # A policy's opening move is for the beginning of a text only.
            first = Keep() if trace.pieces else None
            for event in run(self.pair, conversation, settings, control=control, so_far=trace, first=first):
                trace.apply(event)
                recorder.record([event])
                if time.monotonic() - looked > GLANCE:
                    looked = time.monotonic()
                    self._happenings.put(JobGrew(job.id, RunMetrics.of(trace)))
        return recorder.finish().result()

    def _pilot_share(self, settings: RunSettings, problems: Sequence[Problem]) -> float:
        """The large share over a few problems, off the record."""

        def solved(numbered: tuple[int, Problem]) -> Trace:
            position, problem = numbered
            seeded = _with_seed(settings, PILOT_SEED, position)
            with self._controlled() as control:
                return Trace.of(run(self.pair, ask(problem.text, seeded), seeded, control=control))

        with ThreadPoolExecutor(self.parallel, thread_name_prefix="pilot") as pool:
            traces = list(pool.map(solved, enumerate(problems)))
        large = sum(trace.totals[Author.LARGE].kept for trace in traces)
        return large / max(1, sum(trace.tokens for trace in traces))

    def _recorded_chance(self, name: str) -> float | None:
        """The chance that this arm began with before the program was closed."""
        for row in islice(self.store.batches.results(self.batch, name), self.parallel):
            for event in self.store.runs.events(row.run):
                if isinstance(event, RunStarted):
                    policy = RunSettings.model_validate(event.settings).policy
                    return policy.p if isinstance(policy, RandomTakeover.Settings) else None
        return None

    @contextmanager
    def _controlled(self) -> Iterator[Control]:
        control = Control()
        with self._lock:
            self._controls.add(control)
            if self._stopped:
                control.stop()
        try:
            yield control
        finally:
            with self._lock:
                self._controls.discard(control)


def answer_of(trace: Trace, expected: str | None) -> str | None:
    """The answer in what was written; where a letter is expected, also one that stands alone at the end."""
    text = trace.answer if trace.closed else trace.text
    answer = extract_answer(text)
    if answer is None and expected and choice_letter(expected) == expected:
        return extract_choice(text)
    return answer


def _with_seed(settings: RunSettings, seed: int, position: int) -> RunSettings:
    """A seed of its own for each problem, or all would meet the same dice."""
    return settings.model_copy(update={"seed": seed * SEEDS_APART + position})


def _with_chance(arm: Arm, chance: float) -> Arm:
    policy = arm.settings.policy.model_copy(update={"p": chance})
    return arm.model_copy(update={"settings": arm.settings.model_copy(update={"policy": policy})})
