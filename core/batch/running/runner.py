"""Writes the answers of a batch with one pair of models: several at once, each saved meanwhile and graded at its end.

    store ──claim──► worker threads ──run, grade──► store, and an event for the caller

All arms of a problem come before the next problem, so that other load on the machine slows every arm alike, and a batch
that stops early still compares its arms. It can be killed at any moment and resumed: an interrupted answer is written
anew from its seed, so that it is what it would have been; a complete text is only graded, and no result is made twice
(core/store/batches.py). The engines batch the requests of all threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from threading import Lock

from baton_reasoning.core.analysis.run_cost import RunCost
from baton_reasoning.core.batch.running import progress
from baton_reasoning.core.batch.running.arms import Arm, OtherModels, needs, refuse_impossible
from baton_reasoning.core.batch.running.batch import BatchSettings, change_settings
from baton_reasoning.core.batch.running.calibration import (
    PILOT_SEED,
    ROUNDS,
    PilotAnswers,
    chance_for_share,
    pilot_places,
    share_of,
)
from baton_reasoning.core.batch.running.control import BatchControl
from baton_reasoning.core.batch.running.regrading import grade_answer
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, Cancelled, EngineError, SettingsError, StoreError, WrittenElsewhere
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.models.gguf_format import shards_of
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.store.batches import Conditions, Job, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.automatic import automatic_choice
from baton_reasoning.core.thinking.events import Event, Finish
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.policies.alone import Always, Never
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.waiting import taken

_log = logging.getLogger(__name__)

SEEDS_APART = 1_000_003
"""More than a batch has problems, so that no two of its texts share a seed."""
WARM_UP_TOKENS = 16
WRITES_ALONE = {Author.SMALL: Never.Settings(), Author.LARGE: Always.Settings()}
MOST_NOTICES = 5
"""Different notices stored with a row, at most."""


@dataclass(eq=False)
class Runner:
    """One pass over a batch with one pair of models. Call `run` once."""

    store: Store
    batch: str
    """Its id."""
    pair: Pair
    grader: Grader
    parallel: int = 1
    models: OtherModels = field(default_factory=OtherModels)
    """Only arms with these models run, which are loaded in `pair`; by default those with the batch's own."""
    control: BatchControl = field(default_factory=BatchControl)

    def __post_init__(self) -> None:
        self._arms: dict[str, Arm] = {}
        self._not_calibrated: dict[str, str] = {}
        """Arms that cannot run, and why."""

    def run(self) -> Generator[progress.BatchEvent, None, None]:
        """Run until no job waits or it is told to end, and yield events; see `execute`."""
        hashes = yield from self._hash_models()
        if self.control.ending:
            return
        settings = self._take_settings(hashes)
        yield from self._choose_policies()
        counts = progress.BatchProgress(self.store.batches.totals(self.batch), self.parallel)
        arms = [arm for arm in self._arms.values() if counts.to_run(arm.name)]
        refuse_impossible(arms, self.pair)
        # Not before: an error stays until the models are there that try again.
        yield from map(progress.JobRetried, self.store.batches.retry_failed(self.batch, list(self._arms)))
        self._warm_up(needs(arms))
        yield from self._calibrate(arms, settings)
        yield from self._in_threads(self._work)

    def _hash_models(self) -> Generator[progress.ModelsHashed, None, dict[Author, str]]:
        """Return the SHA-256 of each model with a file on this machine, of all its files.

        Before any answer is timed, so that none is slowed by it.
        """
        files = [
            (author, file)
            for author, card in self.pair.cards.items()
            for file in (shards_of(card.path) if card.path else ())
        ]
        sizes = [file.stat().st_size if file.exists() else 0 for _, file in files]
        before, hashes = 0, {author: list[str]() for author, _ in files}
        for (author, file), size in zip(files, sizes, strict=True):
            done = before
            for read in self.store.file_hashes.sha256(file):
                if isinstance(read, str):
                    hashes[author].append(read)
                elif not self.control.ending:
                    done += read
                    yield progress.ModelsHashed(done / sum(sizes))
                else:
                    return {}
            before += size
        return {author: ",".join(found) for author, found in hashes.items()}

    def _take_settings(self, hashes: Mapping[Author, str]) -> BatchSettings:
        """Read the arms of the batch, and save the models and `parallel` of this pass in its settings."""
        arms = map(Arm.of, self.store.batches.open(self.batch).arms)
        self._arms = {arm.name: arm for arm in arms if arm.models == self.models}

        def take(settings: BatchSettings) -> BatchSettings:
            return settings.with_models(self.pair, self.models, hashes).model_copy(update={"parallel": self.parallel})

        return change_settings(self.store, self.batch, take)

    def _choose_policies(self) -> Iterator[progress.PolicyChosen]:
        """Give automatic arms the policy for these models, and save it."""
        for arm in list(self._arms.values()):
            resolved = arm.with_policy(self.pair.cards)
            if resolved is not arm:
                self._arms[arm.name] = resolved
                self.store.batches.change_arm(self.batch, resolved.stored())
                if reason := automatic_choice(self.pair.cards, arm.settings.thinking).reason:
                    yield progress.PolicyChosen(arm.name, reason)

    def _current_settings(self) -> BatchSettings:
        """Read the settings again: another program may have changed them, such as the grading."""
        return BatchSettings.of(self.store.batches.open(self.batch))

    def _warm_up(self, needed: Needs) -> None:
        """Let each local model that is needed prefill a problem and write a few tokens, which are not recorded.

        The first run after loading is slower: pages are read from disk and kernels are compiled.
        """
        is_needed = {Author.SMALL: needed.small or needed.drafts, Author.LARGE: needed.large}
        for author, engine in self.pair.engines.items():
            if is_needed[author] and engine.card.placement:  # a server has long been loaded, and may charge
                problem = next(self.store.batches.problems(self.batch))
                # Begun in another way, since the first answer could otherwise reuse the prefix.
                other = replace(problem, text=f"Warm-up. {problem.text}")
                settings = RunSettings(policy=WRITES_ALONE[author], max_tokens=WARM_UP_TOKENS)
                for _ in self._events_of(other, settings):
                    pass

    def _calibrate(self, arms: Sequence[Arm], settings: BatchSettings) -> Iterator[progress.BatchEvent]:
        """Find the chance of takeover for each arm that copies the large share of another, and save it.

        Before any job runs, so that all arms can take turns.
        """
        for arm in arms:
            name = arm.name
            if self.control.ending or not arm.equal_share_of:
                continue
            chance, share = settings.chances.get(name), settings.shares.get(name)
            if chance is None or share is None:
                try:
                    chance, share = yield from self._measured_chance(arm)
                except Cancelled:
                    return
                except BatonError as error:
                    self._not_calibrated[name] = f"The chance of takeover could not be measured: {error}"
                    continue
            self._arms[name] = arm.with_chance(chance)
            yield progress.Calibrated(name, chance, share)

    def _measured_chance(self, arm: Arm) -> Generator[progress.BatchEvent, None, tuple[float, float]]:
        """Measure the chance of takeover that gives the arm the large share of another, and that share, 0 to 1.

        Raises Cancelled, EngineError, and SettingsError if the batch, from an older version, lacks the other arm.
        """
        copied, rounds = self._arms.get(arm.equal_share_of), count(1)
        if copied is None:
            raise SettingsError(
                f"This batch has no arm “{arm.equal_share_of}”.", "Start a new batch with this version."
            )
        share = yield from self._pilot_share(copied, arm.name, next(rounds))
        chance = yield from chance_for_share(
            share, lambda p: self._pilot_share(arm.with_chance(p), arm.name, next(rounds))
        )
        self._save_chance(arm, chance, share)
        return chance, share

    def _save_chance(self, arm: Arm, chance: float, share: float) -> None:
        def add(now: BatchSettings) -> BatchSettings:
            kept = {key: found for key, found in now.pilots.items() if not key.startswith(f"{arm.name} ")}
            changes = {"chances": now.chances | {arm.name: chance}, "shares": now.shares | {arm.name: share}}
            return now.model_copy(update=changes | {"pilots": kept})

        change_settings(self.store, self.batch, add)

    def _pilot_share(self, arm: Arm, control: str, number: int) -> Generator[progress.BatchEvent, None, float]:
        """Measure the large share of an arm in one round of a pilot, and save each answer.

        `control`: the arm for which it is measured. Raises Cancelled if the batch is ended, EngineError if an answer
        fails.
        """
        problems = list(self.store.batches.problems(self.batch))
        places = pilot_places(len(problems))
        known = self._current_settings().pilots.get(arm.pilot)
        if known is None:  # what the arm has answered by now serves; a pilot that has begun goes on as it began
            rows = self.store.batches.results(self.batch, arm.name) if not arm.equal_share_of else ()
            answered = (row for row in rows if row.has_answer and row.position in places)
            known = {row.position: (row.cost.tokens, row.cost.large_tokens) for row in answered}
            self._save_pilot(arm, known)
        missing = iter([place for place in places if place not in known])
        event, counting = partial(progress.Calibrating, control, number, ROUNDS), Lock()
        yield event(len(known), len(places))

        def work() -> None:
            while True:
                with self.control.answering() as may_begin:
                    if not may_begin or (place := next(missing, None)) is None:
                        return
                    try:
                        trace = self._pilot_answer(arm, problems[place], place)
                    except BaseException:
                        list(missing)  # no other answer begins
                        raise
                    if trace.finish is Finish.STOPPED:
                        return
                    cost = RunCost.of(trace)
                    tokens = cost.tokens, cost.large_tokens
                    self._save_pilot(arm, {place: tokens})
                    with counting:
                        known[place] = tokens
                        self.control.events.put(event(len(known), len(places), max(cost.seconds, 1e-6)))

        yield from self._in_threads(work)
        if len(known) < len(places):
            raise Cancelled
        return share_of(known)

    def _pilot_answer(self, arm: Arm, problem: Problem, position: int) -> Trace:
        """Write an answer that is no result of the batch. Raises EngineError if it fails."""
        trace = Trace.of(self._events_of(problem, _with_own_seed(arm.settings, PILOT_SEED, position)))
        if trace.finish is Finish.FAILED:
            raise EngineError(trace.ended.reason if trace.ended else "A model failed.")
        return trace

    def _save_pilot(self, arm: Arm, answers: PilotAnswers) -> None:
        def add(now: BatchSettings) -> BatchSettings:
            found = now.pilots.get(arm.pilot, {}) | dict(answers)
            return now.model_copy(update={"pilots": now.pilots | {arm.pilot: found}})

        change_settings(self.store, self.batch, add)

    def _in_threads(self, work: Callable[[], None]) -> Iterator[progress.BatchEvent]:
        """Work in as many threads as texts are written at once; yields what they report, and raises their error."""
        events = self.control.events
        with ThreadPoolExecutor(self.parallel, thread_name_prefix="batch") as pool:
            workers = [pool.submit(work) for _ in range(self.parallel)]
            for worker in workers:
                worker.add_done_callback(lambda _: events.put(None))
            try:
                for _ in workers:  # each ends with one None
                    while (event := taken(events)) is not None:
                        yield event
            except GeneratorExit:
                self.control.stop()
                raise
        for worker in workers:
            worker.result()

    def _work(self) -> None:
        """Claim and carry out jobs until none waits; the work of one thread."""
        while True:
            with self.control.answering() as may_begin:
                if not (may_begin and (job := self.store.batches.claim(self.batch, list(self._arms)))):
                    return
                try:
                    self._carry_out(job)
                except BaseException:
                    # Otherwise the job would stay claimed until this program ends, and a resume would skip it.
                    self.store.batches.give_back(job)
                    self.control.stop()
                    raise

    def _carry_out(self, job: Job) -> None:
        """Run and grade one job. If another program has claimed it since, which took this one for dead, it has it."""
        self.control.events.put(progress.JobStarted(job))
        try:
            row = self._result_of(job)
        except WrittenElsewhere:
            row = None
        self.control.events.put(progress.JobEnded(row) if row else progress.JobStopped(job.id))

    def _result_of(self, job: Job) -> ResultRow | None:
        """Run, grade and save one job; None if it was stopped. Any error but StoreError is its result."""
        trace, answer, verdict, error = Trace(), "", None, self._not_calibrated.get(job.arm, "")
        try:
            if not error:
                trace = self._trace_of(job)
                if trace.finish is Finish.STOPPED:
                    self.store.batches.give_back(job).result()
                    return None
                if trace.finish is Finish.FAILED or (trace.finish is Finish.CONTEXT_FULL and not trace.tokens):
                    error = trace.ended.reason if trace.ended else ""
                else:
                    answer, verdict = grade_answer(self.grader, job.problem, trace, self._current_settings().how)
        except StoreError:
            raise
        except BatonError as failure:
            error = str(failure)
        except Exception as failure:  # noqa: BLE001 - whatever is wrong with one job must not end the batch
            _log.exception("job %d of batch %s", job.id, self.batch)
            error = f"An unexpected error: {type(failure).__name__}: {failure}"
        notices = tuple(dict.fromkeys(notice.text for notice in trace.notices))[:MOST_NOTICES]
        conditions = Conditions(
            parallel=self.parallel,
            threads=max((card.placement.threads for card in self.pair.cards.values() if card.placement), default=0),
        )
        return self.store.batches.finish(job, answer, verdict, error, notices, conditions)

    def _trace_of(self, job: Job) -> Trace:
        """Solve the problem, unless an earlier attempt was complete and the program was killed before grading it.

        An incomplete attempt is discarded, not continued: prefill in one batch rounds differently than decoding token
        by token, so that the text might go on differently.
        """
        if job.attempt > 1 and (before := self.store.runs.trace(job.run)).finish not in (None, Finish.STOPPED):
            return before
        trace = Trace()
        settings = _with_own_seed(self._arms[job.arm].settings, job.seed, job.position)
        recorder = self.store.runs.record_anew(job.run)
        try:
            with closing(self._events_of(job.problem, settings)) as events:
                for event in events:
                    trace.apply(event)
                    recorder.record([event])
        finally:
            recorder.finish().result()
        return trace

    def _events_of(self, problem: Problem, settings: RunSettings) -> Generator[Event, None, None]:
        """Run one problem, and yield its events, until the batch is stopped."""
        control = Control()
        with self.control.stopping(control.stop):
            yield from run(self.pair, ask(problem.text, settings), settings, control=control)


def _with_own_seed(settings: RunSettings, seed: int, position: int) -> RunSettings:
    """Return the settings with a seed for this problem: with one for all, texts would draw the same random numbers.

    `small_alone` is off: if the large model is lost, the answer is an error that a resume tries again. Finished by the
    small model, it would count for the wrong arm.
    """
    return settings.model_copy(update={"seed": seed * SEEDS_APART + position, "small_alone": False})
