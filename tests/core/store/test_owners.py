"""Several programs use one store: each run is written by one of them at a time, and no text is a mixture."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import WrittenElsewhere
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store import writer
from baton_reasoning.core.store.batches import StoredArm
from baton_reasoning.core.store.owners import LAPSED, is_alive, this_process
from baton_reasoning.core.store.runs import RunState
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.store.timestamps import format_timestamp
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.trace import Trace
from tests.another_program import another_program
from tests.core.store.made import a_run, claim, concluded, recorder_of, save, started
from tests.fakes.valued import values_of
from tests.patience import PATIENCE


def execute(store, statement, *values):
    store.runs._database.execute(statement, *values).result(PATIENCE)


def owners(store):
    """When each owner renewed its claim."""
    with store.runs._database.reading() as connection:
        return dict(connection.execute("SELECT name, renewed FROM owners").fetchall())


def ago(seconds):
    return format_timestamp(datetime.now(UTC) - timedelta(seconds=seconds))


MINUTE = LAPSED.total_seconds()


@pytest.mark.parametrize(("age", "lives"), [(0, True), (MINUTE / 2, True), (MINUTE + 1, False), (-5 * MINUTE, False)])
def test_a_program_that_cannot_be_seen_lives_as_long_as_it_renews_its_claim(store, age, lives):
    """In a container, or after a restart of the system; a claim from the future is from before the clock was set."""
    number, born, _ = this_process().split("@")
    elsewhere = f"{number}@{born}@another place"
    execute(store, "INSERT INTO owners VALUES (?, ?)", elsewhere, ago(age))
    with store.runs._database.reading() as connection:
        assert is_alive(connection, elsewhere) is lives
        assert not is_alive(connection, f"{number}@{born}@a third place"), "it has no claim"


def test_a_program_claims_what_it_writes_and_renews_that_until_it_owns_nothing(store, monkeypatch):
    monkeypatch.setattr(writer, "RENEW_SECONDS", 0.01)
    batch = store.batches.create("b", {}, [Problem("p", "?", None, {}, 1)], [StoredArm("small", {})])
    recorder = store.runs.record("r")
    recorder.record([started()])
    (job,) = claim(store, batch)
    store.flush()

    def wait_for_renewal(before):
        while owners(store) == before:
            store.runs._database.writer.submit(lambda _: None).result(PATIENCE)

    first = owners(store)
    assert first.keys() == {this_process()}
    wait_for_renewal(first)
    recorder.finish().result(PATIENCE)
    second = owners(store)
    wait_for_renewal(second)
    assert owners(store).keys() == {this_process()}, "it has still claimed a job"
    store.batches.finish(job, "", None)
    while owners(store):
        store.runs._database.writer.submit(lambda _: None).result(PATIENCE)


def test_claims_of_programs_that_ended_long_ago_are_forgotten(path):
    with Store.open(path) as store:
        for name, age in (("old", 90_000), ("recent", 80_000)):
            execute(store, "INSERT INTO owners VALUES (?, ?)", name, ago(age))
    with Store.open(path) as store:
        store.flush()
        assert owners(store).keys() == {"recent"}


# One run, several writers


def test_a_recorder_whose_run_another_one_has_begun_adds_nothing_and_says_so(store):
    events = a_run()
    first = store.runs.record("r")
    first.record(events[:5])
    store.flush()
    second = store.runs.record_anew("r")
    second.record(events)
    store.flush()
    first.record([TokenWritten(0.0, Author.SMALL, 1, "of the first")])
    store.flush()
    with pytest.raises(WrittenElsewhere, match="Another Baton has taken this answer over"):
        first.record([TokenWritten(0.0, Author.SMALL, 1, "more")])
    with pytest.raises(WrittenElsewhere):
        first.finish().result(PATIENCE)
    assert concluded(store, "r").state is RunState.RUNNING, "only the second may conclude it"
    second.finish().result(PATIENCE)
    assert store.runs.trace("r").events == events


def test_a_program_that_was_taken_for_dead_goes_on_where_nobody_else_has(store):
    """It slept for minutes; another has concluded its run when it opened the store."""
    recorder = store.runs.record("r")
    recorder.record(a_run()[:9])
    store.flush()
    execute(store, "UPDATE runs SET state = 'interrupted', owner = '' WHERE id = 'r'")
    recorder.record(a_run()[9:])
    recorder.finish().result(PATIENCE)
    assert store.runs.trace("r").events == a_run()
    assert concluded(store, "r").state is RunState.ENDED


def test_a_run_goes_on_only_after_the_text_that_was_read(store):
    """It was written on since, by another program: under another attempt, or under the same by one that woke up."""
    save(store, "r", a_run()[:9])
    read = store.runs.read("r")
    late = recorder_of(store, "r")
    save(store, "r", a_run()[9:12])
    same_attempt = store.runs.record("r", store.runs.read("r").attempt, len(read.trace.events))
    for recorder in (late, same_attempt, store.runs.record("r")):
        recorder.record(a_run()[12:])
        with pytest.raises(WrittenElsewhere, match="is not what stands here"):
            recorder.finish().result(PATIENCE)
    assert store.runs.trace("r").events == a_run()[:12]


def test_a_review_is_added_to_the_text_that_was_read_and_to_no_other(store):
    save(store, "r", a_run())
    read = store.runs.read("r")
    review = values_of(read.trace, {})
    save(store, "r", a_run(answer="Written anew."), anew=True)
    store.runs.append("r", [review], read.attempt).result(PATIENCE)
    assert store.runs.trace("r").values == {}
    store.runs.append("r", [review], store.runs.read("r").attempt).result(PATIENCE)
    assert store.runs.trace("r").values.keys() == {review.writer}
    recorder_of(store, "r").finish().result(PATIENCE)  # a review is counted among the events


def write_and_wait(path):
    """Write an answer, and tell when it is saved."""
    with Store.open(Path(path)) as store:
        recorder = store.runs.record("r")
        recorder.record(a_run()[:9])
        store.flush()
        print("saved", flush=True)
        input()


@pytest.mark.slow
def test_what_a_baton_in_another_process_namespace_writes_is_left_to_it_until_its_claim_has_lapsed(path):
    with another_program(write_and_wait, path, in_namespace=True) as other:
        assert other.stdout.readline() == "saved\n"
        with Store.open(path) as store:
            store.flush()  # what opening has to do is done
            read = store.runs.read("r")
            assert (concluded(store, "r").state, read.is_written_elsewhere) == (RunState.RUNNING, True)
            with pytest.raises(WrittenElsewhere, match="Another Baton is writing this answer"):
                recorder_of(store, "r")
    with Store.open(path) as store:
        store.flush()
        assert store.runs.read("r").is_written_elsewhere, "it may still live, as far as anybody can tell from here"
        execute(store, "UPDATE owners SET renewed = ?", ago(MINUTE + 1))
    with Store.open(path) as store:
        store.flush()
        assert concluded(store, "r").state is RunState.INTERRUPTED
        save(store, "r", a_run()[9:])
        assert store.runs.trace("r").events == a_run()
        assert store.runs.trace("r").text == Trace.of(a_run()).text
