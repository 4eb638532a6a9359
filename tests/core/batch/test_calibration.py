"""A pilot finds the chance of takeover that gives a large share; what it has written is never written again."""

from contextlib import closing
from threading import Event

import pytest

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, add_arms
from baton_reasoning.core.batch.running.calibration import chance_for_share, pilot_places
from baton_reasoning.core.batch.running.progress import BatchProgress, Calibrated, Calibrating, JobStarted
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.run import RunSettings
from tests.core.batch.counting import batch_of, doubting_pair, rows_of, run_batch
from tests.patience import PATIENCE


def measured(share, measure):
    """The chance that is found, where `measure` gives the share at once."""

    def as_pilot(chance):
        yield from ()
        return measure(chance)

    search = chance_for_share(share, as_pilot)
    with pytest.raises(StopIteration) as found:
        next(search)
    return found.value.value


def test_a_chance_is_found_whose_share_is_the_one_wanted_or_the_nearest():
    def long_takeovers(p):
        return 3 * p / (3 * p + 1 - p)

    for reachable in (0.05, 0.2, 0.35, 0.6):
        assert long_takeovers(measured(reachable, long_takeovers)) == pytest.approx(reachable, abs=0.02)
    assert measured(0.9, lambda p: 0.3 * p) == 1.0
    assert measured(0.4, lambda _: 0.0) == 0.0
    assert measured(0.0, lambda _: pytest.fail("measured")) == 0.0
    shares = iter([0.5])
    assert measured(0.5, lambda _: next(shares)) == 0.5, "each try is a pilot run"


def test_pilots_come_from_all_over_the_set():
    assert list(pilot_places(245)) == list(range(0, 240, 10))
    assert list(pilot_places(2)) == [0, 1]


def told(events):
    return [event for event in events if isinstance(event, Calibrating)]


def test_a_pilot_says_how_far_it_is_and_is_counted_in_the_time_left(store):
    batch = batch_of(store, 6, "chosen", "random")
    counts, lines = BatchProgress(store.batches.totals(batch), 2), list[str]()
    events = run_batch(store, batch, doubting_pair())
    for event in events:
        counts.take(event)
        if isinstance(event, Calibrating):
            lines.append(counts.status)
    assert lines[0] == "calibrating random, round 1 of 5: 0 of 6 · time not known yet"
    assert lines[3] == "calibrating random, round 1 of 5: 3 of 6 · under a minute left"
    assert [(each.round, each.done) for each in told(events)][:7] == [(1, n) for n in range(7)]
    first = next(place for place, event in enumerate(events) if isinstance(event, Calibrated))
    assert all(isinstance(event, JobStarted) is False for event in events[:first]), "all arms take turns after it"
    assert counts.seconds_left() == 0


def test_a_pilot_that_ends_in_its_midst_goes_on_with_the_answers_that_it_has(store, grader):
    batch = batch_of(store, 6, "chosen", "random")
    begun = list[str]()

    def hold_the_ninth(body):
        """Write the third answer of the second round no further until the batch is stopped."""
        begun.extend([] if body else ["an answer"])
        if len(begun) == 9:
            stopped = Event()
            with runner.control.stopping(stopped.set):
                assert stopped.wait(PATIENCE)

    runner = Runner(store, batch, doubting_pair(before_token=hold_the_ninth), grader)
    with closing(runner.run()) as events:
        next(each for each in events if isinstance(each, Calibrating) and (each.round, each.done) == (2, 2))
    saved = BatchSettings.of(store.batches.open(batch)).pilots
    assert [len(answers) for answers in saved.values()] == [6, 2]
    again = doubting_pair()
    rounds = told(Runner(store, batch, again, grader).run())
    assert [(each.round, each.done) for each in rounds][:3] == [(1, 6), (2, 2), (2, 3)]
    assert sum(bool(each.seconds) for each in rounds if each.round < 3) == 4
    assert all(row.has_answer for row in rows_of(store, batch))
    pilots = BatchSettings.of(store.batches.open(batch)).pilots
    assert [key.startswith("chosen ") for key in pilots] == [True], "what was tried is of no use any more"


def test_the_answers_of_the_copied_arm_serve_where_they_exist(store):
    batch = batch_of(store, 6, "chosen")
    run_batch(store, batch, doubting_pair())
    add_arms(store, batch, arms_of(["chosen", "random"], RunSettings()))
    rounds = told(run_batch(store, batch, doubting_pair()))
    assert [(each.done, each.seconds) for each in rounds if each.round == 1] == [(6, 0.0)]


def test_a_paused_pilot_begins_no_other_answer(store, grader):
    batch = batch_of(store, 6, "chosen", "random")

    def pause_at_once(body):
        if not body:
            runner.control.pause()

    runner = Runner(store, batch, doubting_pair(before_token=pause_at_once), grader)
    with closing(runner.run()) as events:
        assert next(events) == Calibrating("random", 1, 5, 0, 6)
        assert told([next(events)])[0].done == 1
        assert runner.control.paused
        runner.control.resume()
        assert told([next(events)])[0].done == 2
