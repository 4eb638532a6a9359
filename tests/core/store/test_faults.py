"""Kills, full disks, damage, newer files and two programs at once: none of them made up."""

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from threading import Event

import pytest

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import JobState, StoredArm
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.migrations import MIGRATIONS
from baton_reasoning.core.store.run_cost import RunCost
from baton_reasoning.core.store.runs import RunState
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import a_run, claim, concluded, save, started
from tests.fakes.full_disk import a_full_disk
from tests.patience import PATIENCE
from tests.tiers import size

pytestmark = pytest.mark.slow

KILLS = size(3, long=20)
WRITES_UNTIL_KILLED = """
import sys
from itertools import count
from pathlib import Path
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import TokenWritten
from tests.core.store.made import started

path = Path(sys.argv[1])
with Store.open(path) as store, Store.open(path) as reader:
    job = store.batches.claim(store.batches.all()[0].id)
    recorder = store.runs.record(job.run)
    recorder.record([started()])
    saved = 0
    for number in count():
        recorder.record([TokenWritten(0.0, Author.SMALL, number, f" {number}")])
        if number % 100 == 0:
            saved = sum(isinstance(event, TokenWritten) for event in reader.runs.trace(job.run).events)
        print(saved, flush=True)
"""
"""Writes without end, and prints how many of its tokens are saved."""


@pytest.mark.slow
@pytest.mark.scaled
def test_a_kill_loses_nothing_that_was_saved_and_no_job(path):
    chance = random.Random(5)
    with Store.open(path) as store:
        problems = [Problem(str(number), "?", None, {}, number) for number in range(KILLS)]
        batch = store.batches.create("b", {}, problems, [StoredArm("small", {})])
    for _ in range(KILLS):
        command = [sys.executable, "-c", WRITES_UNTIL_KILLED, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            wanted, saved, patience = chance.randint(1, 300), 0, time.monotonic() + PATIENCE
            while saved < wanted and time.monotonic() < patience:
                saved = int(child.stdout.readline())
            child.kill()
        assert saved >= wanted, "it saves every half second"
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


def test_an_answer_that_a_kill_broke_off_is_found_by_its_words(path):
    with Store.open(path) as store:
        store.conversations.put("c", StoredExchange("e", None, "How many?")).result()
        save(store, "e", a_run(answer="Eleven.")[:-1])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET state = 'running', owner = '1@0.00', answer = ''")
    with Store.open(path) as store:
        store.conversations.rename("c", "")  # the writer has recovered what it found before it does this
        assert [found.exchange for found in store.conversations.search("eleven")] == ["e"]
        assert concluded(store, "e").state is RunState.INTERRUPTED


def test_what_a_full_disk_refuses_is_kept_and_saved_later(path):
    troubles: list[StoreError | None] = []
    refused, accepted = Event(), Event()

    def on_trouble(trouble: StoreError | None) -> None:
        troubles.append(trouble)
        (refused if trouble else accepted).set()

    events = a_run(steps=400)
    with Store.open(path, on_trouble) as store:
        recorder = store.runs.record("r")
        with a_full_disk():
            recorder.record(events[:500])
            assert refused.wait(PATIENCE)
            recorder.record(events[500:])
            with pytest.raises(StoreError, match="disk"):
                recorder.finish().result()
            with pytest.raises(StoreError, match="disk"):
                store.batches.create("refused", {}, [], [])
        assert accepted.wait(PATIENCE)
        assert store.runs.trace("r").events == events
        assert concluded(store, "r").state is RunState.ENDED
        store.batches.create("b", {}, [], [])
        assert [batch.name for batch in store.batches.all()] == ["b"], "what is not kept is tried once"
    assert isinstance(troubles[0], StoreError)
    assert troubles[-1] is None


def test_what_must_not_be_lost_is_refused_at_once_and_saved_when_the_disk_has_room(path):
    refused, accepted = Event(), Event()
    with Store.open(path, lambda trouble: (refused if trouble else accepted).set()) as store:
        with a_full_disk():
            put = store.conversations.put("c", StoredExchange("e", None, "How many?"))
            show = store.conversations.show("c", "e")
            recorder = store.runs.record("e")
            recorder.record(a_run(answer="Eleven."))
            for future in (put, show, recorder.finish()):
                with pytest.raises(StoreError, match="disk"):
                    future.result(PATIENCE)
            assert refused.wait(PATIENCE)
        assert accepted.wait(PATIENCE)
        store.conversations.rename("c", "")  # after all that was to be saved later
        assert store.conversations.open("c").leaf == "e"
        assert concluded(store, "e").state is RunState.ENDED
        assert [found.exchange for found in store.conversations.search("eleven")] == ["e"]


def test_what_the_disk_refused_is_saved_before_the_next_change(path):
    refused = Event()
    with Store.open(path, lambda _: refused.set()) as store:
        with a_full_disk():
            store.conversations.put("c", StoredExchange("e", None, "How many?"))
            assert refused.wait(PATIENCE)
        store.conversations.rename("c", "Eleven")
        assert store.conversations.open("c").title == "Eleven"


def test_an_answer_that_ends_as_the_store_closes_on_a_full_disk_is_said_to_be_lost(path):
    store = Store.open(path)
    recorder = store.runs.record("r")
    with a_full_disk():
        recorder.record(a_run(steps=400))
        recorder.finish()
        with pytest.raises(StoreError, match="could not be saved"):
            store.close()


def test_a_store_can_be_read_on_a_full_disk(path):
    with Store.open(path) as store:
        store.conversations.put("c", StoredExchange("e", None, "How many?")).result()
    with a_full_disk():
        with pytest.raises(StoreError, match="disk"):
            Store.open(path)
        with Store.open_to_read(path) as store:
            assert [headline.name for headline in store.conversations.recent()] == ["How many?"]
            with pytest.raises(StoreError):
                store.conversations.rename("c", "x")


def test_a_store_to_be_read_does_not_hide_what_a_killed_program_left_in_its_journal(path):
    with Store.open(path) as store:
        store.conversations.put("c", StoredExchange("e", None, "How many?")).result()
        copy = path.with_name("copy.sqlite")
        for suffix in ("", "-wal"):
            copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    with a_full_disk(), pytest.raises(StoreError, match="disk"):
        Store.open_to_read(copy)


def test_an_up_to_date_store_opens_while_another_program_writes(path):
    with Store.open(path) as store:
        store.conversations.put("c", StoredExchange("e", None, "How many?")).result()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        database = Database(path)
        with database.reading() as connection:
            assert connection.execute("SELECT id FROM conversations").fetchone()["id"] == "c"
        other.execute("ROLLBACK")
        database.close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        Store.open(tmp_path / "file" / "baton.sqlite")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(tmp_path / "folder")


@pytest.mark.parametrize("where", [0, 100, 5000])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path, where):
    with Store.open(path) as store:
        for number in range(200):
            store.conversations.put(f"c{number}", StoredExchange(f"e{number}", None, "How many? " * 20)).result()
    whole = path.read_bytes()
    broken = whole[:where] + b"\xa5" * 12_000 + whole[where + 12_000 :]
    path.write_bytes(broken)
    with Store.open(path) as store:
        (notice,) = store.notices
        assert "set aside as" in notice
        assert store.conversations.recent() == []
        store.conversations.put("c", StoredExchange("e", None, "?")).result()
    (aside,) = path.parent.glob("*-damaged-*.sqlite")
    assert aside.read_bytes() == broken
    assert f"{aside.name} in {path.parent}" in notice


def test_however_a_file_is_damaged_it_opens_or_is_refused_in_words(path):
    with Store.open(path) as store:
        store.conversations.put("c", StoredExchange("e", None, "How many? " * 20)).result()
        store.batches.create("b", {}, [Problem("p", "?", None, {}, 1)], [StoredArm("small", {})])
    whole = path.read_bytes()
    for seed in range(150):
        dice, damaged = random.Random(seed), bytearray(whole)
        for _ in range(dice.choice((1, 3, 20))):
            at = dice.randrange(200) if dice.random() < 0.4 else dice.randrange(len(damaged))
            damaged[at : at + 32] = dice.randbytes(len(damaged[at : at + 32]))
        copy = path.with_name(f"copy-{seed}.sqlite")
        copy.write_bytes(damaged)
        with suppress(StoreError), Store.open(copy) as store:
            list(store.conversations.recent())
            for batch in store.batches.all():
                list(store.batches.results(batch.id))


def test_a_schema_that_is_not_text_is_damage_like_any_other(path):
    Store.open(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"CREATE TABLE conversations", b"CREATE TABLE \xe7onver\xffations"))
    with Store.open(path) as store:
        assert "set aside as" in store.notices[0]


def test_only_the_owner_may_read_a_store_and_the_folder_made_for_it(tmp_path):
    path = tmp_path / "data" / "baton.sqlite"
    with Store.open(path) as store:
        store.conversations.put("c", StoredExchange("e", None, "?")).result()
        modes = {file.name: file.stat().st_mode & 0o777 for file in (path.parent, *path.parent.iterdir())}
    assert modes.pop("data") == 0o700
    assert set(modes.values()) == {0o600}


def test_a_store_that_others_may_read_becomes_private(path):
    Store.open(path).close()
    path.chmod(0o644)
    Store.open(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_store_that_is_deleted_while_it_is_open_is_noticed_at_the_next_change(tmp_path):
    folder = tmp_path / "results"
    store = Store.open(folder / "batch.sqlite")
    batch = store.batches.create("b", {}, [Problem("p", "?", None, {}, 1)], [StoredArm("small", {})])
    shutil.rmtree(folder)
    with pytest.raises(StoreError, match="was deleted or moved while it was in use"):
        store.batches.claim(batch)
    store.close()
    assert not folder.exists()


def test_a_file_of_a_newer_baton_is_left_alone(path):
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer Baton"):
        Store.open(path)
    assert path.read_bytes() == before
    assert list(path.parent.glob("*damaged*")) == []


def test_an_older_file_is_brought_up_to_date(path):
    with Store.open(path) as store:
        store.conversations.put("c", StoredExchange("e", None, "How many?")).result()
    newer = [*MIGRATIONS, ("ALTER TABLE conversations ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'",)]
    for _ in range(2):
        database = Database(path, migrations=newer)
        with database.reading() as connection:
            assert connection.execute("SELECT colour FROM conversations").fetchone()["colour"] == "red"
            assert connection.execute("PRAGMA user_version").fetchone()[0] == len(newer)
        database.close()


def fail(_: sqlite3.Connection) -> None:
    raise ValueError("a row cannot be read")


@pytest.mark.parametrize("broken", ["CREATE TABLE runs (x)", fail])
def test_a_migration_that_fails_changes_nothing(path, broken):
    Store.open(path).close()
    with pytest.raises(StoreError):
        Database(path, migrations=[*MIGRATIONS, ("CREATE TABLE more (x)", broken)])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'more'").fetchone() is None


def test_two_programs_begin_one_file_at_once_and_both_write(path):
    code = """
import sys
from pathlib import Path
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.store.store import Store
with Store.open(Path(sys.argv[1])) as store:
    for number in range(50):
        store.conversations.put(sys.argv[2], StoredExchange(f"{sys.argv[2]}{number}", None, "?")).result()
"""
    children = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "ab"]
    assert [child.wait() for child in children] == [0, 0]
    with Store.open(path) as store:
        assert store.notices == ()
        assert [headline.exchanges for headline in store.conversations.recent()] == [50, 50]


def test_a_broken_part_of_a_run_ends_its_trace_and_is_said(path):
    with Store.open(path) as store:
        for part in (a_run()[:9], a_run()[9:]):
            save(store, "r", part)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE event_chunks SET events = x'00' WHERE sequence = 1")
        store.runs.record("r").finish().result()
        summary = concluded(store, "r")
        assert "cannot be read" in summary.reason
        trace, error = store.runs.read("r")
        assert trace.text == Trace.of(a_run()[:9]).text
        assert error
        assert summary.cost == RunCost.of(trace)
        with pytest.raises(StoreError, match="cannot be read"):
            store.runs.trace("r")


def test_a_closed_store_refuses_in_words(path):
    store = Store.open(path)
    recorder = store.runs.record("r")
    recorder.record([started()])
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.conversations.rename("c", "x")
    with pytest.raises(StoreError, match="closed"):
        store.conversations.put("c", StoredExchange("e", None, "?")).result(10)
    with Store.open(path) as again:
        assert again.runs.trace("r").events == [started()]
