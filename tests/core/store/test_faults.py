"""Kills, full disks, damage, newer and older files, two programs at once, and data that cannot be written."""

import multiprocessing
import random
import re
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import count
from threading import Event

import psutil
import pytest

from baton_reasoning.core.analysis.run_cost import RunCost
from baton_reasoning.core.child_process import run_in_subprocess
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import StoreError, WrittenElsewhere
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import JobState, StoredArm
from baton_reasoning.core.store.damage import is_foreign
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.event_chunks import pack
from baton_reasoning.core.store.migrations import FIRST, MIGRATIONS
from baton_reasoning.core.store.owners import is_alive, this_process
from baton_reasoning.core.store.runs import Runs, RunState
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.store.writer import Writer
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import a_run, claim, concluded, recorder_of, save, started
from tests.fakes.full_disk import a_full_disk
from tests.fakes.valued import RESCUED, values_of
from tests.patience import PATIENCE
from tests.systems import posix_only
from tests.tiers import size

pytestmark = pytest.mark.slow

ASKED = Exchange("How many?", id="e")


@pytest.fixture
def used(path):
    """A file with a conversation, and nobody who has it open."""
    with Store.open(path) as store:
        store.conversations.put("c", ASKED).result()
    return path


def changed(path, statement, *values):
    """Change the file as no program of ours does."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


KILLS = size(3, long=20)


def write_until_killed(path, told):
    """Tell again and again how many of the tokens are saved."""
    with Store.open(path) as store, Store.open(path) as reader:
        (job,) = claim(store, store.batches.all()[0].id)
        recorder = store.runs.record(job.run)
        recorder.record([started()])
        for number in count():
            recorder.record([TokenWritten(0.0, Author.SMALL, number, f" {number}")])
            if number % 100 == 0:
                told.send(sum(isinstance(event, TokenWritten) for event in reader.runs.trace(job.run).events))


@pytest.mark.scaled
def test_a_kill_loses_nothing_that_was_saved_and_no_job(path):
    chance, spawn = random.Random(5), multiprocessing.get_context("spawn")
    with Store.open(path) as store:
        problems = [Problem(str(number), "?", None, {}, number) for number in range(KILLS)]
        batch = store.batches.create("b", {}, problems, [StoredArm("small", {})])
    for _ in range(KILLS):
        hears, told = spawn.Pipe(duplex=False)
        child = spawn.Process(target=write_until_killed, args=(path, told))
        child.start()
        wanted, saved = chance.randint(1, 300), 0
        while saved < wanted:
            assert hears.poll(PATIENCE), "it saves every half second"
            saved = hears.recv()
        with Store.open(path) as store:
            assert store.batches.is_running(batch)
            (run,) = (row.run for row in store.batches.results(batch) if row.started and not row.ended)
            with pytest.raises(WrittenElsewhere, match="Another Baton is writing this answer"):
                recorder_of(store, run)
        child.kill()
        child.join()
        with Store.open(path) as store:
            (job,) = claim(store, batch)
            tokens = [event.id for event in store.runs.trace(job.run).events if isinstance(event, TokenWritten)]
            assert tokens == list(range(len(tokens)))
            assert len(tokens) >= saved
            assert concluded(store, job.run).state is RunState.INTERRUPTED
            assert job.attempt == 2
            store.batches.finish(job, "", None)
    with Store.open(path) as store:
        assert store.batches.claim(batch) is None
        assert [row.state for row in store.batches.results(batch)] == [JobState.DONE] * KILLS


def test_a_program_is_known_by_its_number_and_its_start(path, monkeypatch):
    ended, me = run_in_subprocess(this_process, seconds=PATIENCE), this_process()
    number, born, place = me.split("@")
    another = f"{psutil.Process().ppid()}@{born}@{place}"
    with closing(Database(path)) as database, database.reading() as connection:
        assert is_alive(connection, me)
        assert not any(is_alive(connection, each) for each in (ended, "", another, f"{number}@0@{place}"))
        if psutil.LINUX:  # psutil adds the ticks to the boot time, which moves when the clock is set
            monkeypatch.setattr(psutil.Process, "create_time", lambda _: 0.0)
            assert run_in_subprocess(this_process, seconds=PATIENCE).split("@")[2] == place
            assert is_alive(connection, me)


def test_what_a_full_disk_refuses_is_said_at_once_and_saved_when_there_is_room(path):
    troubles = []
    refused, accepted = Event(), Event()

    def on_trouble(trouble):
        troubles.append(trouble)
        (refused if trouble else accepted).set()

    events = a_run(answer="Eleven.", steps=400)
    with Store.open(path, on_trouble) as store:
        recorder = store.runs.record("e")
        with a_full_disk():
            put, show = store.conversations.put("c", ASKED), store.conversations.show("c", "e")
            assert refused.wait(PATIENCE)
            recorder.record(events[:500])
            assert "disk" in str(store.flush())
            recorder.record(events[500:])
            for future in (put, show, recorder.finish()):
                with pytest.raises(StoreError, match="disk"):
                    future.result(PATIENCE)
            with pytest.raises(StoreError, match="disk"):
                store.batches.create("refused", {}, [], [])
        store.conversations.rename("c", "Eleven")  # before which all that was refused is saved
        assert store.conversations.open("c").title == "Eleven"
        assert accepted.wait(PATIENCE)
        assert store.flush() is None
        assert store.runs.trace("e").events == events
        assert store.conversations.open("c").path[-1].id == "e"
        assert concluded(store, "e").state is RunState.ENDED
        assert [found.exchange for found in store.conversations.search("eleven")] == ["e"]
        assert store.batches.all() == [], "what is not kept is tried once"
    assert [type(trouble) for trouble in troubles] == [StoreError, type(None)]


def test_a_store_can_be_read_on_a_full_disk_unless_a_killed_program_left_a_journal(used):
    with a_full_disk():
        with pytest.raises(StoreError, match="disk"):
            Store.open(used)
        with Store.open_to_read(used) as store:
            assert [headline.name for headline in store.conversations.recent()] == ["How many?"]
            with pytest.raises(StoreError):
                store.conversations.rename("c", "x")
    with Store.open(used) as store:
        store.conversations.rename("c", "Only in the journal")
        copy = used.with_name("copy.sqlite")
        for suffix in ("", "-wal"):
            copy.with_name(copy.name + suffix).write_bytes(used.with_name(used.name + suffix).read_bytes())
    with a_full_disk(), pytest.raises(StoreError, match="disk"):
        Store.open_to_read(copy)


# Damage, permissions and other programs


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"\xa5" * 12_000 + whole[12_000:],
        lambda whole: whole[:100] + b"\xa5" * 12_000 + whole[12_100:],
        lambda whole: whole.replace(b"TABLE conversations", b"TABLE \xe7onver\xffations"),
    ],
    ids=["first pages", "all but the header", "a schema that is not text"],
)
def test_a_file_whose_list_of_tables_is_damaged_is_set_aside_and_a_new_one_begun(path, long_history, damage):
    broken = damage(long_history)
    path.parent.mkdir()
    path.write_bytes(broken)
    with Store.open(path) as store:
        (notice,) = store.notices
        assert store.conversations.recent() == []
        store.conversations.put("c", ASKED).result()
    (aside,) = path.parent.glob("*-damaged-*.sqlite")
    assert aside.read_bytes() == broken
    assert f"set aside as {aside.name} in {path.parent}" in notice


@pytest.fixture(scope="module")
def long_history(tmp_path_factory):
    """The bytes of a file with 400 conversations, each with an answer, and a batch that is done."""
    path = tmp_path_factory.mktemp("long") / "baton.sqlite"
    with Store.open(path) as store:
        for number in range(400):
            asked = Exchange(f"How many apples are {number:03}?", id=f"e{number:03}")
            store.conversations.put(f"c{number:03}", asked)
            save(store, asked.id, a_run(answer=f"There are {number:03} apples."))
        problems = [Problem(f"p{number}", f"Problem {number:03}.", None, {}, number) for number in range(100)]
        batch = store.batches.create("b", {}, problems, [StoredArm("small", {})])
        for job in claim(store, batch, 100):
            store.batches.finish(job, "7", None)
    return path.read_bytes()


def with_damaged_pages(content, path, *words):
    """Overwrite the last page that holds each of the words; returns what stood there."""
    damaged, size_of_page = bytearray(content), int.from_bytes(content[16:18], "big")
    places = [content.rindex(word) // size_of_page * size_of_page for word in words]
    for place in places:
        damaged[place : place + size_of_page] = b"\xa5" * size_of_page
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(damaged)
    return b"".join(content[place : place + size_of_page] for place in places)


EXCHANGES = [f"e{number:03}c{number:03}How many".encode() for number in (100, 140, 300)]


def test_damaged_pages_cost_only_what_stands_on_them(path, long_history):
    lost = with_damaged_pages(long_history, path, *EXCHANGES, b"end of textThere are 200 apples.", b'"Problem 060.')
    numbers = set(range(400)) - {int(each) for each in re.findall(rb"e(\d{3})c\d{3}How many", lost)}
    assert 200 < len(numbers) < 400
    damaged = path.read_bytes()
    with Store.open_to_read(path) as store:
        assert len(store.conversations.recent()) >= len(numbers)
    assert (path.read_bytes(), list(path.parent.iterdir())) == (damaged, [path]), "reading changes nothing"
    with Store.open(path) as store:
        (notice,) = store.notices
        assert "400 conversations and 1 batch could be read and are still here" in notice
        names = {f"How many apples are {number:03}?" for number in numbers}
        assert {each.name for each in store.conversations.recent()} == {*names, "New conversation"}
        store.flush()
        for number in numbers:
            trace, damage, *_ = store.runs.read(f"e{number:03}")
            assert (trace.answer, damage) == (f"There are {number:03} apples.", None)
        assert concluded(store, "e200").answer == "There are 200 apples.", "its row is lost, and made anew"
        assert [each.exchange for each in store.conversations.search("399 apples")] == ["e399"]
        (batch,) = store.batches.all()
        assert batch.done == 100
        on_the_page = lost.count(b'"Problem')  # what SQLite has moved elsewhere too, and the row above is lost with it
        assert 99 - on_the_page <= batch.problems < 100
        store.conversations.put("c", ASKED).result()
    (aside,) = path.parent.glob("*-damaged-*.sqlite")
    assert {each.name for each in path.parent.iterdir()} == {aside.name, path.name}


def test_a_damaged_file_that_another_program_has_open_is_never_renamed(path, long_history):
    path.parent.mkdir()
    path.write_bytes(long_history)
    with Store.open(path) as running:
        running.conversations.put("new", ASKED).result()
        with_damaged_pages(path.read_bytes(), path, EXCHANGES[0])
        with pytest.raises(StoreError, match=r"another Baton may have it open|other program that has it open"):
            Store.open(path)
        with Store.open_to_read(path) as store:
            assert "could be read" in store.notices[0]
            assert len(store.conversations.recent()) > 300
        running.conversations.put("newer", Exchange("And then?", id="e2")).result()
        assert list(path.parent.glob("*damaged*")) == []
    with Store.open(path) as store:
        assert {"new", "newer"} <= {each.id for each in store.conversations.recent()}
    assert len(list(path.parent.glob("*-damaged-*.sqlite"))) == 1


def test_however_a_file_is_damaged_it_opens_or_is_refused_in_words(used):
    with Store.open(used) as store:
        store.batches.create("b", {}, [Problem("p", "?", None, {}, 1)], [StoredArm("small", {})])
    whole = used.read_bytes()
    for seed in range(size(60, long=500)):
        dice, damaged = random.Random(seed), bytearray(whole)
        for _ in range(dice.choice((1, 3, 20))):
            at = dice.randrange(200) if dice.random() < 0.4 else dice.randrange(len(damaged))
            damaged[at : at + 32] = dice.randbytes(len(damaged[at : at + 32]))
        copy = used.with_name(f"copy-{seed}.sqlite")
        copy.write_bytes(damaged)
        with suppress(StoreError), Store.open(copy) as store:
            list(store.conversations.recent())
            for batch in store.batches.all():
                list(store.batches.results(batch.id))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("UPDATE event_chunks SET events = x'00' WHERE sequence = 1", "cannot be read"),
        ("DELETE FROM event_chunks WHERE sequence = 1", "A part of this run is lost"),
    ],
)
def test_a_run_of_which_a_part_is_broken_or_lost_ends_before_it_and_says_so(path, damage, told):
    with Store.open(path) as store:
        for part in (a_run()[:9], a_run()[9:20], a_run()[20:]):
            save(store, "r", part)
        changed(path, damage)
        changed(path, "UPDATE runs SET state = 'running', owner = '1@0.00'")
    with Store.open(path) as store:
        store.flush()
        trace, error, *_ = store.runs.read("r")
        assert trace.text == Trace.of(a_run()[:9]).text
        summary = concluded(store, "r")
        assert summary.cost == RunCost.of(trace)
        for said in (summary.reason, str(error)):
            assert told in said
        with pytest.raises(StoreError, match=told):
            store.runs.trace("r")


def test_a_value_that_cannot_be_read_and_a_place_that_cannot_be_used_are_said(used, tmp_path):
    changed(used, "UPDATE exchanges SET settings = 'x'")
    with Store.open(used) as store, pytest.raises(StoreError, match="holds a value that cannot be read"):
        store.conversations.open("c")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        Store.open(tmp_path / "file" / "baton.sqlite")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(tmp_path / "folder")


@posix_only("permissions of files")
def test_only_the_owner_may_read_a_store_and_the_folder_made_for_it(path):
    for _ in range(2):
        with Store.open(path) as store:
            store.conversations.rename("c", "")
            files = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert set(files.values()) == {0o600}
        path.chmod(0o644)  # which the next opening mends
    assert path.parent.stat().st_mode & 0o777 == 0o700


@posix_only("files that are deleted while they are open")
def test_a_store_that_is_deleted_while_it_is_open_is_noticed_at_the_next_change(path):
    store = Store.open(path)
    shutil.rmtree(path.parent)
    with pytest.raises(StoreError, match="was deleted or moved while it was in use"):
        store.batches.create("b", {}, [], [])
    store.close()
    assert not path.parent.exists()


def test_a_file_of_another_program_is_foreign_and_ours_is_not(used, tmp_path):
    other = tmp_path / "other.sqlite"
    assert not is_foreign(other)
    changed(other, "PRAGMA user_version = 0")
    assert not is_foreign(other), "it is empty"
    changed(other, "CREATE TABLE bookmarks (x)")
    assert is_foreign(other)
    other.write_bytes(b"no database, but text" * 99)
    assert is_foreign(other)
    assert not is_foreign(used)


def test_two_programs_begin_one_file_at_once_and_both_write(path, monkeypatch):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other, monkeypatch.context() as patched:
        other.execute("BEGIN IMMEDIATE")
        patched.setattr(time, "sleep", lambda _: other.rollback())
        Store.open(path).close()  # which waits for the other one

    def begin_and_write(name):
        with Store.open(path) as store:
            for number in range(50):
                store.conversations.put(name, Exchange("?", id=f"{name}{number}")).result()

    with ThreadPoolExecutor() as pool:
        list(pool.map(begin_and_write, "ab"))
    with Store.open(path) as store:
        assert store.notices == ()
        assert [headline.exchanges for headline in store.conversations.recent()] == [50, 50]


def test_an_up_to_date_store_opens_while_another_program_writes_and_readers_cannot_write(used):
    with closing(sqlite3.connect(used, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(Database(used)) as database, database.reading() as connection:
            assert connection.execute("SELECT id FROM conversations").fetchone()["id"] == "c"
            other.execute("ROLLBACK")
            with pytest.raises(sqlite3.OperationalError):
                connection.execute("DELETE FROM conversations")


# Files of other versions


@pytest.fixture
def outdated(path):
    """A file of a version that was never released, before it kept what runs cost: exchanges with a run that has ended,
    a valued, a damaged one, and one without an end."""
    Database(path).close()
    for name in ("attempt", "events", "reviewed", "large_steps", "small_recomputed"):
        changed(path, f"ALTER TABLE runs DROP COLUMN {name}")
    for table in ("owners", "unsent", "file_hashes"):
        changed(path, f"DROP TABLE {table}")
    changed(path, f"PRAGMA user_version = {FIRST - 1}")
    valued = [*a_run(), values_of(Trace.of(a_run()), RESCUED)]
    changed(path, "INSERT INTO conversations (id, created, changed) VALUES ('c', '2026-01-01', '2026-01-01')")
    for run, chunk in {"r": pack(a_run()), "valued": pack(valued), "damaged": b"", "open": pack(a_run()[:9])}.items():
        row = (run, "running" if run == "open" else "ended")
        columns = "id, state, started, owner, answer, small_tokens"
        changed(path, f"INSERT INTO runs ({columns}) VALUES (?, ?, '2026', '1@0.00', 'It is 4.', 7)", *row)
        changed(path, "INSERT INTO event_chunks VALUES (?, 0, ?)", run, chunk)
        columns = "id, conversation, problem, settings, created"
        changed(path, f"INSERT INTO exchanges ({columns}) VALUES (?, 'c', 'How many?', '{{}}', '2026-01-01')", run)
    return path


def test_of_an_outdated_file_all_texts_and_authors_are_taken_over_and_what_runs_cost_is_found_anew(outdated):
    with Store.open(outdated) as store:
        assert "was outdated. It was set aside as baton-outdated" in store.notices[0]
        assert store.runs.trace("r").events == a_run()
        summary = concluded(store, "r")
        assert summary.cost == RunCost.of(Trace.of(a_run()))
        assert summary.answer == "It is 4.", "as it was"
        assert concluded(store, "valued").cost == summary.cost
        assert concluded(store, "damaged").cost == RunCost(small_tokens=7), "as it was"
        store.flush()
        assert concluded(store, "open").cost == RunCost.of(Trace.of(a_run()[:9]))
        assert [found.conversation.id for found in store.conversations.search("many goes answer")] == ["c"]
    with closing(sqlite3.connect(outdated)) as connection:
        reviewed = dict(connection.execute("SELECT id, reviewed FROM runs").fetchall())
    assert reviewed == {"r": 0, "valued": 1, "damaged": 0, "open": 0}


def raising(error):
    def change(connection):
        raise error

    return change


@pytest.mark.parametrize("end", ["CREATE TABLE runs (x)", raising(ValueError()), raising(MemoryError())])
def test_a_migration_that_fails_changes_nothing_and_is_made_again(used, end):
    with pytest.raises((StoreError, MemoryError)):
        Database(used, migrations=[*MIGRATIONS, ("CREATE TABLE more (x)", end)])
    with closing(sqlite3.connect(used)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (FIRST,)
    Database(used, migrations=[*MIGRATIONS, ("CREATE TABLE more (x)",)]).close()
    with closing(sqlite3.connect(used)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (FIRST + 1,)
        assert connection.execute("SELECT count(*) FROM more").fetchone() == (0,)


def test_a_file_of_a_newer_baton_is_left_alone(used):
    changed(used, "PRAGMA user_version = 99")
    before = used.read_bytes()
    with pytest.raises(StoreError, match="newer Baton"):
        Store.open(used)
    assert (used.read_bytes(), list(used.parent.iterdir())) == (before, [used])


# The one thread that saves lives as long as the store, whatever it is given


def written(value):
    return lambda connection: connection.execute("UPDATE runs SET reason = ?", (value,))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (written(2**70), "cannot be stored"),
        (written(object()), "cannot be stored"),
        (raising(MemoryError()), "cannot be stored"),
        (raising(StoreError("Another Baton is writing it.")), "Another Baton is writing it"),
    ],
)
def test_what_cannot_be_written_is_said_once_and_all_else_is_saved(path, change, words):
    troubles = []

    def on_trouble(trouble):
        troubles.append(trouble)
        raise RuntimeError("Whoever is told may fail.")

    database = Database(path, on_trouble)
    runs = Runs(database)
    recorder = runs.record("r")
    recorder.record(a_run()[:9])
    with pytest.raises(StoreError, match=words):
        database.writer.keep(change).result(PATIENCE)
    assert database.writer.flush()
    assert runs.trace("r").events == a_run()[:9]
    recorder.record(a_run()[9:])
    recorder.finish().result(PATIENCE)
    assert runs.trace("r").events == a_run()
    assert [words in trouble.message and "tried again" in trouble.advice for trouble in troubles] == [True]
    with pytest.raises(StoreError, match="could not be saved, and is lost"):
        database.close()


def test_what_can_never_be_written_does_not_hide_why_the_disk_refuses_all_else(path):
    troubles: list[StoreError | None] = []
    store = Store.open(path, troubles.append)
    store.conversations.put("c", ASKED).result()
    with pytest.raises(StoreError, match="cannot be stored"):
        store.conversations.put("c", ASKED).result(PATIENCE)
    with a_full_disk():
        refused = store.conversations.put("c", Exchange("And then?", parent=ASKED, id="e2"))
        with pytest.raises(StoreError, match="The disk"):
            refused.result(PATIENCE)
        assert "The disk" in str(store.flush())
    assert "cannot be stored" in str(store.flush())
    assert [each.id for each in store.conversations.open("c")] == ["e", "e2"]
    assert ["The disk" in str(each) for each in troubles] == [False, True, False]
    with pytest.raises(StoreError, match="could not be saved, and is lost"):
        store.close()


def test_events_that_are_saved_before_finish_returns_are_saved_once(path, monkeypatch):
    database = Database(path)
    recorder, save_soon = Runs(database).record("r"), Writer.save

    def save_and_be_late(writer, buffer):
        save_soon(writer, buffer)
        writer.submit(lambda _: None).result(10)

    recorder.record(a_run())
    monkeypatch.setattr(Writer, "save", save_and_be_late)
    recorder.finish().result(10)
    monkeypatch.undo()
    assert Runs(database).trace("r").events == a_run()
    database.close()


def test_a_closed_store_refuses_in_words(path):
    store = Store.open(path)
    recorder = store.runs.record("r")
    recorder.record([started()])
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.conversations.rename("c", "x")
    with pytest.raises(StoreError, match="closed"):
        store.conversations.put("c", ASKED).result(10)
    with Store.open(path) as again:
        assert again.runs.trace("r").events == [started()]
