"""Whatever is done to conversations and batches, in any order, the store gives back what a model in memory holds."""

import json
import math
import re
import sqlite3
import unicodedata
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as Signal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from baton_reasoning.core.analysis.run_cost import RIBBON_SEGMENTS, Cost, RunCost, Takeover, ribbon_of
from baton_reasoning.core.analysis.values import TextPlace
from baton_reasoning.core.conversation import LONGEST_TITLE, Exchange, title_of
from baton_reasoning.core.engines.base import Alternative, Handoff
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import MOST_COUNTED, RequestUsage, Usage
from baton_reasoning.core.errors import StoreError, WrittenElsewhere
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import ArmTotals, Conditions, JobState, StoredArm
from baton_reasoning.core.store.conversations import (
    AFTER,
    BEFORE,
    Headline,
    by_day,
    excerpt_of,
)
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.deleted import KEEP_DELETED
from baton_reasoning.core.store.derived import LARGEST_INTEGER
from baton_reasoning.core.store.event_chunks import pack, unpack
from baton_reasoning.core.store.runs import Runs, RunState
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import (
    Event,
    Finish,
    HandedOver,
    PrefillProgressed,
    RunEnded,
    TakeoverStarted,
    TokenWritten,
    UsageReported,
    WriteStarted,
)
from baton_reasoning.core.thinking.policies.keywords import REFLECTION
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import a_run, claim, concluded, save, started, tokens
from tests.fakes.valued import values_of
from tests.patience import PATIENCE

NUMBER = st.integers(0, 99)
"""Chooses among what there is, round and round."""


class AnyUse(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "baton.sqlite"
        self.store = Store.open(self.path)

    def teardown(self):
        self.store.close()
        self.folder.cleanup()

    def reopen(self, statement, *values):
        """Change the file between two programs."""
        self.store.close()
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)
        self.store = Store.open(self.path)
        self.store.flush()  # what opening has to do is done


# Conversations

TEXT = st.lists(st.sampled_from("prime primes Éclair two\n2 99".split(" ")), min_size=1, max_size=3).map(" ".join)
SEARCHED = st.lists(
    st.sampled_from(["PRIME", "primé", "eclair", "goes on", '"2', "mine*", "9"]), min_size=1, max_size=2
)


def words_of(text):
    plain = "".join(each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))
    return re.findall(r"\w+", plain.lower())


@dataclass
class Kept:
    exchanges: list[Exchange] = field(default_factory=list)
    leaf: str | None = None
    title: str = ""
    is_pinned: bool = False
    is_deleted: bool = False


@dataclass
class KeptRun:
    events: list[Event] = field(default_factory=list)
    state: RunState = RunState.ENDED


def in_tree(exchanges):
    """What is stored of these exchanges, by id."""
    parents = ((each, each.parent.id if each.parent else None) for each in exchanges)
    return {each.id: (parent, each.problem, each.settings, each.created) for each, parent in parents}


class AnyUseOfConversations(AnyUse):
    def __init__(self):
        super().__init__()
        self.kept: dict[str, Kept] = {}
        """The one that was changed last comes last."""
        self.runs: dict[str, KeptRun] = {}
        self.exchanges: list[tuple[str, Exchange]] = []
        self.numbers = count()

    def put(self, conversation, parent, problem, events):
        number = next(self.numbers)
        exchange = Exchange(problem, RunSettings(seed=number), parent, id=f"e{number}")
        self.store.conversations.put(conversation, exchange).result()
        kept = self.kept[conversation] = self.kept.pop(conversation, Kept())
        kept.exchanges.append(exchange)
        kept.leaf = exchange.id
        self.exchanges.append((conversation, exchange))
        self.write(exchange.id, events)

    def write(self, run, events, anew=False):
        before = [] if anew or run not in self.runs else self.runs[run].events
        self.runs[run] = KeptRun([*before, *events])
        save(self.store, run, events, anew)

    def chosen(self, number):
        """An exchange that is not deleted for good, with its conversation."""
        if not self.exchanges:
            self.a_new_conversation_begins("prime", "two")
        return self.exchanges[number % len(self.exchanges)]

    @rule(problem=TEXT, answer=TEXT)
    def a_new_conversation_begins(self, problem, answer):
        self.put(f"c{next(self.numbers)}", None, problem, a_run(problem, answer, steps=1))

    @rule(number=NUMBER, problem=TEXT, answer=TEXT, is_fork=st.booleans())
    def a_problem_follows_another_or_takes_its_place(self, number, problem, answer, is_fork):
        conversation, exchange = self.chosen(number)
        parent = exchange.parent if is_fork else exchange
        self.put(conversation, parent, problem, a_run(problem, answer, steps=2))

    @rule(number=NUMBER, position=st.integers(0, 40), text=st.sampled_from(["It is mine.", ""]))
    def an_answer_is_edited_which_makes_another_try(self, number, position, text):
        conversation, exchange = self.chosen(number)
        trace = Trace.of(self.runs[exchange.id].events)
        change = trace.edited(min(position, trace.length), text)
        self.put(conversation, exchange.parent, exchange.problem, change.events)

    @rule(number=NUMBER, length=st.integers(1, 12))
    def an_answer_is_stopped(self, number, length):
        conversation, exchange = self.chosen(number)
        stopped = RunEnded(0.0, Finish.STOPPED, "A person stopped it.")
        self.put(conversation, exchange, "two", [*a_run()[:length], stopped])

    @rule(number=NUMBER, words=TEXT)
    def an_answer_goes_on(self, number, words):
        self.write(self.chosen(number)[1].id, [*tokens(Author.LARGE, [words]), RunEnded(9.0, Finish.MAX_TOKENS)])

    @rule(number=NUMBER, answer=TEXT)
    def an_answer_is_written_anew(self, number, answer):
        self.write(self.chosen(number)[1].id, a_run("again", answer, steps=1), anew=True)

    @rule(number=NUMBER)
    def an_answer_is_reviewed(self, number):
        run = self.chosen(number)[1].id
        review = values_of(Trace.of(self.runs[run].events), {TextPlace(0): 8})
        self.store.runs.append(run, [review], self.store.runs.read(run).attempt).result()
        self.runs[run].events.append(review)

    @rule(number=NUMBER, length=st.integers(1, 20))
    def the_program_is_killed_while_it_writes(self, number, length):
        conversation, exchange = self.chosen(number)
        self.put(conversation, exchange, "two", a_run(answer="An éclair.")[:length])
        run = self.exchanges[-1][1].id
        self.runs[run].state = RunState.INTERRUPTED
        forgotten = "answer = '', small_tokens = 0, ribbon = '[]'"
        self.reopen(f"UPDATE runs SET state = 'running', owner = '1@0.00', {forgotten} WHERE id = ?", run)

    @rule(number=NUMBER, title=st.sampled_from(["Sums", " Two\ud83d ", " "]))
    def a_conversation_is_renamed(self, number, title):
        conversation, _ = self.chosen(number)
        self.store.conversations.rename(conversation, title)
        self.kept[conversation].title = title.strip().replace("\ud83d", "?")

    @rule(number=NUMBER, pinned=st.booleans())
    def a_conversation_is_pinned_or_not(self, number, pinned):
        conversation, _ = self.chosen(number)
        self.store.conversations.pin(conversation, pinned)
        self.kept[conversation].is_pinned = pinned

    @rule(number=NUMBER)
    def another_try_is_shown(self, number):
        conversation, exchange = self.chosen(number)
        self.store.conversations.show(conversation, exchange.id).result()
        self.kept[conversation].leaf = exchange.id

    @rule(number=NUMBER, is_undone=st.booleans())
    def a_conversation_is_deleted_which_can_be_undone(self, number, is_undone):
        conversation, _ = self.chosen(number)
        self.store.conversations.delete(conversation)
        if is_undone:
            self.store.conversations.restore(conversation)
        self.kept[conversation].is_deleted = not is_undone

    @rule(number=NUMBER, is_over=st.booleans())
    def a_conversation_is_deleted_and_a_month_passes_or_almost(self, number, is_over):
        self.a_conversation_is_deleted_which_can_be_undone(number, False)
        deleted = datetime.now(UTC) - KEEP_DELETED + timedelta(hours=-1 if is_over else 1)
        self.reopen("UPDATE conversations SET deleted = ? WHERE deleted IS NOT NULL", deleted.isoformat())
        for name in [name for name, kept in self.kept.items() if kept.is_deleted and is_over]:
            with pytest.raises(StoreError, match="not in the store"):
                self.store.conversations.open(name)
            for exchange in self.kept.pop(name).exchanges:
                assert self.store.runs.trace(exchange.id).events == []
                del self.runs[exchange.id]
        self.exchanges = [(name, each) for name, each in self.exchanges if name in self.kept]

    @rule(words=SEARCHED)
    def a_person_searches(self, words):
        wanted = words_of(" ".join(words))
        expected: dict[str, set[str]] = {}
        for name, kept in self.kept.items():
            for each in kept.exchanges if not kept.is_deleted else ():
                trace = Trace.of(self.runs[each.id].events)
                there = words_of(f"{each.problem}\n{trace.answer}\n{trace.thinking_text}")
                if all(any(word.startswith(begin) for word in there) for begin in wanted):
                    expected.setdefault(name, set()).add(each.id)
        found = self.store.conversations.search(" ".join(words))
        assert {one.conversation.id for one in found} == expected.keys()
        assert len(found) == len(expected)
        for one in found:
            assert one.exchange in expected[one.conversation.id]
            assert any(word.startswith(begin) for word in words_of(one.excerpt) for begin in wanted)

    @invariant()
    def the_list_is_that_of_the_model(self):
        shown = [(name, kept) for name, kept in reversed(self.kept.items()) if not kept.is_deleted]
        assert [(each.id, each.name, each.exchanges, each.is_pinned) for each in self.store.conversations.recent()] == [
            (name, kept.title or title_of(kept.exchanges[0].problem), len(kept.exchanges), kept.is_pinned)
            for name, kept in sorted(shown, key=lambda each: not each[1].is_pinned)
        ]

    @invariant()
    def conversations_and_answers_are_those_of_the_model(self):
        for name, kept in self.kept.items():
            found = self.store.conversations.open(name)
            leaf = found.leaf.id if found.leaf else None
            assert (found.title, leaf, in_tree(found)) == (kept.title, kept.leaf, in_tree(kept.exchanges))
            first = kept.exchanges[0]
            assert (found.name, found.created) == (kept.title or title_of(first.problem), first.created)
        for run, kept_run in self.runs.items():
            trace = self.store.runs.trace(run)
            assert trace.events == kept_run.events
            reason = trace.ended.reason if trace.ended else ""
            summary = (kept_run.state, trace.finish, reason, trace.answer.strip(), RunCost.of(trace))
            assert concluded(self.store, run) == summary


TestAnyUseOfConversations = pytest.mark.scaled(AnyUseOfConversations.TestCase)
TestAnyUseOfConversations.settings = settings(stateful_step_count=20)


def put(store, *problems):
    """Store a conversation for each problem: a, b …"""
    for name, problem in zip("abc", problems, strict=False):
        store.conversations.put(name, Exchange(problem, id=name)).result()


def test_a_long_problem_is_cut_at_a_word_and_its_full_name_keeps_its_end(store):
    problem = "word " * 40 + "end"
    assert title_of(problem) == "word " * 11 + "word …"
    assert title_of("x" * LONGEST_TITLE) == "x" * LONGEST_TITLE
    assert title_of(" \n") == "New conversation"
    put(store, problem)
    assert store.conversations.recent()[0].full_name == problem
    assert store.conversations.search("end")[0].conversation.full_name == problem
    store.conversations.rename("a", "Words")
    assert store.conversations.recent()[0].full_name == store.conversations.open("a").name == "Words"


@pytest.mark.parametrize("words", ["质数", "100 质数", "以内的质数有多少", "質数 25"])
def test_words_of_a_script_without_blanks_are_found_inside_a_sentence(store, words):
    put(store, "请问100以内的质数有多少个？", "二加二等于多少？")
    save(store, "a", a_run(answer="There are 25. 質数は25個あります。"))
    (found,) = store.conversations.search(words)
    assert found.exchange == "a"
    assert max(words.split(), key=len) in found.excerpt
    assert not any(map(store.conversations.search, ("三角形", "", "  ", '"', "***", "()")))
    assert store.conversations.search(f"{words} triangle") == []


@pytest.mark.parametrize(
    ("words", "excerpt"),
    [
        ("hold on", "… to step twice. Hold on, we are done."),
        ("step thousand", "Three thousand steps. An article on éclairs: the number we can go on to st…"),
        ("art", "…usand steps. An article on éclairs"),
        ("eclair", "An article on eclairs: the"),
    ],
)
def test_an_excerpt_shows_the_phrase_where_it_stands_or_else_the_longest_word(store, words, excerpt):
    text = "Three thousand steps.\nAn article on éclairs: the number we can go on to step twice. Hold on, we are done."
    put(store, text)
    (found,) = store.conversations.search(words)
    assert excerpt in found.excerpt
    assert "…" not in excerpt_of("-" * BEFORE + "word" + "-" * AFTER, ["word"]), "it is the whole text"


def test_conversations_are_listed_by_the_day_of_their_change():
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    headlines = [Headline(str(days), "", noon - timedelta(days=days // 2), "") for days in range(4)]
    assert [[headline.id for headline in group] for _, group in by_day(headlines)] == [["0", "1"], ["2", "3"]]


# Batches

RIGHT = Verdict(Outcome.CORRECT, GradingMethod.EXACT, "The same.")
WRONG = Verdict(Outcome.WRONG, GradingMethod.EXACT, "Not the same.")
ARMS = [StoredArm("small", {"policy": "never"}), StoredArm("both", {"policy": "keywords", "c": 15})]
PROBLEMS = [Problem(f"p{number}", f"Problem {number}", str(number), {"level": "1"}, number + 1) for number in range(2)]
SEEDS = [3, 1]
BUSY = Conditions(parallel=4, threads=2)


@dataclass
class KeptJob:
    """A job as it should be; `claimed` is its last claim."""

    arm: str
    position: int
    seed: int
    state: JobState = JobState.WAITING
    attempt: int = 0
    result: tuple[Any, ...] = ("", None, "", (), None)
    """Answer, verdict, error, notices and conditions."""
    cost: RunCost = field(default_factory=RunCost)
    claimed: Any = None


def jobs_of(*arms):
    return [KeptJob(arm, position, seed) for position in range(len(PROBLEMS)) for seed in SEEDS for arm in arms]


class AnyUseOfABatch(AnyUse):
    def __init__(self):
        super().__init__()
        self.batch = self.store.batches.create("MATH", {"parallel": 4}, PROBLEMS, ARMS, SEEDS)
        self.settings, self.arms = {"parallel": 4}, list(ARMS)
        self.jobs = jobs_of("small", "both")
        self.stale = []
        """Claims that are over."""

    def in_state(self, state, number):
        """One of the jobs in this state, claimed or finished for that if there is none; None if that cannot be."""
        if not any(job.state is state for job in self.jobs):
            self.a_job_ends(number, RIGHT, "") if state is JobState.DONE else self.a_job_is_claimed(None)
        jobs = [job for job in self.jobs if job.state is state]
        return jobs[number % len(jobs)] if jobs else None

    @rule(only=st.sampled_from([None, ["both"], ["small", "large"]]))
    def a_job_is_claimed(self, only):
        job = self.store.batches.claim(self.batch, only)
        waiting = [kept for kept in self.jobs if kept.state is JobState.WAITING and (not only or kept.arm in only)]
        if not waiting:
            assert job is None
            return
        kept = min(waiting, key=lambda kept: (kept.position, kept.seed))  # the first of them, so the oldest arm
        kept.attempt += 1
        before, kept.claimed, kept.state = kept.claimed, job, JobState.CLAIMED
        assert job
        assert (job.arm, job.position, job.seed) == (kept.arm, kept.position, kept.seed)
        assert (job.attempt, job.problem) == (kept.attempt, PROBLEMS[kept.position])
        if before:
            assert job.id == before.id
            assert (job.run == before.run) is (job.attempt > 1), "only a new try has a new run"

    @rule(number=NUMBER, verdict=st.sampled_from([RIGHT, WRONG, None]), error=st.sampled_from(["", "", "No memory."]))
    def a_job_ends(self, number, verdict, error):
        if kept := self.in_state(JobState.CLAIMED, number):
            kept.cost = save(self.store, kept.claimed.run, a_run(steps=number % 5)).cost
            kept.result = ("", None, error, ("It took long.",), None) if error else ("4", verdict, "", (), BUSY)
            row = self.store.batches.finish(kept.claimed, *kept.result)
            kept.state = JobState.DONE
            self.stale.append(kept.claimed)
            assert (row.job, row.state, row.cost) == (kept.claimed.id, JobState.DONE, kept.cost)
            assert None not in (row.started, row.ended)
            assert row.has_answer is (not error)
            assert row.outcome is (verdict.outcome if verdict and not error else Outcome.UNSCORED)

    @rule(number=NUMBER)
    def a_job_is_given_back_and_a_claim_that_is_over_changes_nothing(self, number):
        for job in self.stale:
            self.store.batches.give_back(job).result()
            last = next(each for each in self.jobs if each.claimed and each.claimed.id == job.id)
            if (last.claimed.run, last.attempt) != (job.run, job.attempt) or last.state is JobState.DONE:
                with pytest.raises(WrittenElsewhere):
                    self.store.batches.finish(job, "of a claim that is over", RIGHT)
        if kept := self.in_state(JobState.CLAIMED, number):
            self.store.batches.give_back(kept.claimed).result()
            kept.state = JobState.WAITING
            self.stale.append(kept.claimed)

    @rule(arms=st.sampled_from([["small"], ["both", "large"], ["small", "both"]]))
    def what_failed_is_tried_again(self, arms):
        failed = [kept for kept in self.jobs if kept.result[2] and kept.arm in arms]
        rows = self.store.batches.retry_failed(self.batch, arms)
        assert {row.job for row in rows} == {kept.claimed.id for kept in failed}
        for kept in failed:
            assert self.store.runs.trace(kept.claimed.run).events == []
            kept.state, kept.attempt, kept.result, kept.cost = JobState.WAITING, 0, KeptJob.result, RunCost()
        assert all(row.started is row.ended is None for row in rows)

    @rule(number=NUMBER, verdict=st.sampled_from([RIGHT, WRONG]))
    def an_answer_is_graded_again(self, number, verdict):
        if (kept := self.in_state(JobState.DONE, number)) and not kept.result[2]:
            answered = [each for each in self.jobs if each.state is JobState.DONE and not each.result[2]]
            graded = {each.claimed.id: ("5\ud83d", verdict) if each is kept else None for each in answered}
            if any(each.state is JobState.CLAIMED for each in self.jobs) or number % 3 == 0:
                graded |= {} if number % 3 else {-1: None}  # an answer that was not there when the grading began
                with pytest.raises(StoreError, match="Nothing was graded"):
                    self.store.batches.regrade(self.batch, lambda _: {}, graded)
            else:
                self.settings = {"grade": number}
                self.store.batches.regrade(self.batch, lambda _: self.settings, graded)
                kept.result = ("5?", verdict, *kept.result[2:])

    @rule()
    def an_arm_is_added_once(self):
        arm = StoredArm("large", {"policy": "always"})
        if arm not in self.arms:
            self.store.batches.add_arm(self.batch, arm, SEEDS)
            self.arms.append(arm)
            self.jobs += jobs_of("large")
        with pytest.raises(StoreError, match="has an arm “large” already"):
            self.store.batches.add_arm(self.batch, arm, [9])

    @rule()
    def the_program_is_killed(self):
        self.reopen("UPDATE jobs SET owner = '1@0.00' WHERE state = 'claimed'")
        assert not self.store.batches.is_running(self.batch)
        if any(kept.state is JobState.CLAIMED for kept in self.jobs):
            job = self.store.batches.claim(self.batch)  # which finds what the program left behind
            assert job
            for kept in self.jobs:
                if kept.state is JobState.CLAIMED:
                    kept.state = JobState.WAITING
                if (kept.arm, kept.position, kept.seed) == (job.arm, job.position, job.seed):
                    found = kept
            found.attempt += 1
            found.state, found.claimed = JobState.CLAIMED, job

    @invariant()
    def batch_and_results_are_those_of_the_model_also_when_it_was_deleted_and_had_back(self):
        if self.store.batches.is_running(self.batch):
            with pytest.raises(StoreError, match="“MATH” is running"):
                self.store.batches.delete(self.batch)
        else:
            self.store.batches.delete(self.batch)
            assert self.store.batches.all() == []
            self.store.batches.restore(self.batch)
        (batch,) = self.store.batches.all()
        assert batch == self.store.batches.open(self.batch)
        assert (batch.name, batch.settings, batch.arms) == ("MATH", self.settings, tuple(self.arms))
        done = [kept for kept in self.jobs if kept.state is JobState.DONE]
        assert (batch.problems, batch.jobs, batch.done) == (len(PROBLEMS), len(self.jobs), len(done))
        assert list(self.store.batches.problems(self.batch)) == PROBLEMS
        rows = list(self.store.batches.results(self.batch))
        for row, kept in zip(rows, self.jobs, strict=True):
            assert (row.arm, row.position, row.seed, row.state) == (kept.arm, kept.position, kept.seed, kept.state)
            assert (row.answer, row.verdict, row.error, row.notices, row.conditions) == kept.result
            assert row.cost == kept.cost
        assert list(self.store.batches.results(self.batch, "both")) == [row for row in rows if row.arm == "both"]
        assert self.store.batches.is_running(self.batch) is any(kept.state is JobState.CLAIMED for kept in self.jobs)

    @invariant()
    def totals_are_sums(self):
        for arm, totals in zip(self.arms, self.store.batches.totals(self.batch), strict=True):
            jobs = [kept for kept in self.jobs if kept.arm == arm.name]
            done = [kept for kept in jobs if kept.state is JobState.DONE]
            right, wrong = (sum(kept.result[1] is verdict for kept in done) for verdict in (RIGHT, WRONG))
            failed = sum(bool(kept.result[2]) for kept in done)
            seconds = sum(kept.cost.seconds for kept in done if not kept.result[2])
            assert totals == ArmTotals(arm.name, len(jobs), len(done), right, wrong, failed, seconds)
            assert totals.unscored == len([kept for kept in done if kept.result[1] is None and not kept.result[2]])


TestAnyUseOfABatch = pytest.mark.scaled(AnyUseOfABatch.TestCase)
TestAnyUseOfABatch.settings = settings(stateful_step_count=20)


def test_two_programs_on_one_batch_share_its_jobs(store, path):
    batch = store.batches.create("MATH", {}, PROBLEMS, ARMS, SEEDS)
    with Store.open(path) as other, ThreadPoolExecutor() as pool:
        mine, theirs = pool.map(lambda each: claim(each, batch, 100), (store, other))
    assert sorted(job.id for job in mine + theirs) == list(range(1, 9))


def test_what_is_not_there_is_said_and_a_run_names_its_batch_and_problem(store):
    for table in (store.batches, store.conversations):
        with pytest.raises(StoreError, match="not in the store"):
            table.open("nothing")
    batch = store.batches.create("MATH", {}, PROBLEMS, ARMS)
    *_, last = claim(store, batch, 100)
    assert last.seed == 0
    assert store.batches.of_run(last.run) == (store.batches.open(batch), PROBLEMS[1])
    assert store.batches.of_run("nothing") is None


def test_events_come_back_as_they_were_whatever_models_write(store):
    """Half a surrogate pair is replaced in the answer; the progress of a prefill is not kept."""
    alternatives = (Alternative(1, "null", -math.inf), Alternative(None, "\ud83d", -1.0))
    events = [
        *a_run(answer="broken \ud83d"),
        TokenWritten(0.5, Author.SMALL, None, "a", -math.inf, alternatives),
        TokenWritten(1.0, Author.LARGE, 1, "So", drafted=True),
        TokenWritten(1.1, Author.LARGE, 2, " it", rejected_drafts=3),
    ]
    recorder = store.runs.record("r")
    for event in (events[0], PrefillProgressed(0.0, Author.SMALL, 64, 1000), *events[1:]):
        recorder.record([event])
    recorder.finish().result()
    assert concluded(store, "r").answer == "broken ?aSo it"
    assert store.runs.trace("r").events == events
    assert store.runs.trace("nobody").events == []


def test_a_run_is_continued_while_its_first_recorder_still_has_events(path):
    """As after a full disk: the events that were refused are saved late."""
    with closing(Database(path)) as database:
        runs, events, is_let_go = Runs(database), a_run(), Signal()
        database.writer.submit(lambda _: is_let_go.wait(PATIENCE))
        first = runs.record("r")
        second = runs.record("r", first.attempt, 9)
        for recorder, part in ((first, events[:9]), (second, events[9:])):
            recorder.record(part)
            recorder.finish()
        is_let_go.set()
        second.future.result(PATIENCE)
        assert runs.trace("r").events == events


# What a run came to


def test_what_a_run_came_to_is_computed_from_its_events(store):
    summary = save(store, "r", a_run(answer="It is 4."))
    cost = summary.cost
    assert (summary.state, summary.finish, summary.answer) == (RunState.ENDED, Finish.END_OF_TEXT, "It is 4.")
    assert (cost.small_tokens, cost.large_tokens, cost.tokens, cost.discarded_tokens) == (8, 6, 14, 6)
    assert (cost.small_read, cost.large_read, cost.small_decoded, cost.large_decoded) == (21, 31, 8, 6)
    assert (cost.steps, cost.large_steps, cost.handoffs, cost.seconds, cost.seconds_to_answer) == (6, 2, 3, 5.0, 4.0)
    assert cost.large_share == round(6 / 14, 6)
    assert cost.takeovers == (Takeover(REFLECTION.id, "wait"),) * 2
    assert [segment.author for segment in cost.ribbon] == [Author.SMALL, Author.LARGE] * 2 + [Author.SMALL]
    handoff = HandedOver(0.0, Author.LARGE, Handoff(0, 3, 0.01))
    began = [TakeoverStarted(0.0, REFLECTION.id, None, 40, 0), WriteStarted(0.0, Author.LARGE, REFLECTION.id, 0)]
    over_steps = [*began, handoff, *tokens(Author.LARGE, ["1.\n\n", "2."])]
    assert RunCost.of(Trace.of([started(), *over_steps])).takeovers == (Takeover(REFLECTION.id, ""),)


def test_costs_add_up_and_name_all_their_currencies():
    one, two = Cost(small_tokens=1, seconds=0.5), Cost(small_tokens=2, large_tokens=4, money=0.25, currency="EUR")
    total = Cost.total(iter([one, two, two.model_copy(update={"currency": "USD"})]))
    assert not any(dict(Cost()).values())
    assert total == Cost(small_tokens=5, large_tokens=8, seconds=0.5, money=0.5, currency="EUR + USD")


def test_a_run_of_any_usage_is_saved(store):
    """A foreign trace may hold any number of events with the largest count."""
    report = UsageReported(1.0, Author.LARGE, Usage(RequestUsage(read=2**53, written=2**53)))
    events = [started(), *[report] * 600, *[HandedOver(0.0, Author.SMALL, Handoff(0, MOST_COUNTED, 0.0))] * 1_025]
    cost = save(store, "r", events).cost
    assert (cost.remote_tokens, cost.small_read) == (2**54, LARGEST_INTEGER)
    assert store.runs.trace("r").events == events


@given(st.lists(st.tuples(st.sampled_from(Author), st.integers(1, 4)), max_size=9), st.sampled_from([1, 99]))
@example([(Author.SMALL, 3), (Author.LARGE, 1)], 99)
def test_a_ribbon_of_any_run_keeps_the_share_of_each_author_and_their_order_if_it_can(spans, times):
    spans = spans * times
    trace = Trace.of([started()])
    for author, length in spans:
        trace.apply(WriteStarted(0.0, author, None, trace.length))
        for _ in range(length):
            trace.apply(TokenWritten(0.0, author, 1, "a"))
    ribbon = ribbon_of(trace)
    assert len(ribbon) <= RIBBON_SEGMENTS
    assert all(one.author is not next_one.author for one, next_one in pairwise(ribbon))
    for author in Author:
        assert sum(length for by, length in spans if by is author) == sum(n for by, n in ribbon if by is author)
    begun = [author for at, (author, _) in enumerate(spans) if at == 0 or spans[at - 1][0] is not author]
    if len(begun) > RIBBON_SEGMENTS:
        assert len(ribbon) >= RIBBON_SEGMENTS // 2, "each part has both"
    else:
        assert [segment.author for segment in ribbon] == begun


def chunk(*lines):
    return zlib.compress("\n".join(map(json.dumps, lines)).encode())


VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5)
FIELDS = st.sampled_from("event at id text author logprob alternatives ends_step drafted rejected_drafts".split())
ROWS = st.dictionaries(
    FIELDS, VALUES | st.lists(VALUES | st.lists(VALUES, max_size=3), max_size=3) | st.sampled_from(["token", "small"])
)


@given(st.lists(ROWS | VALUES, max_size=3), st.binary(max_size=30))
def test_a_chunk_of_any_content_is_decoded_or_refused(lines, other):
    token = {"event": "token", "author": "small", "at": 0, "id": 1, "text": "a"}
    merged = [token | line if isinstance(line, dict) else line for line in lines]
    for packed in (chunk(*lines), chunk(*merged), other):
        with suppress(StoreError):
            events = list(unpack(packed))
            assert list(unpack(pack(events))) == events or "nan" in repr(events)
