"""Older files are brought up to date as a whole; a program is recognised by its number and its start."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import psutil
import pytest

from baton_reasoning.core.store.database import Database, is_alive, this_process
from baton_reasoning.core.store.event_chunks import pack
from baton_reasoning.core.store.migrations import MIGRATIONS
from baton_reasoning.core.store.run_cost import RunCost
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import a_run, concluded
from tests.fakes.valued import RESCUED, values_of

COSTS = 3
"""The number of the migration that stores what runs cost."""


@pytest.fixture
def older(path):
    """A file from before that, with a run that has ended, a valued one, a damaged one, and one without an end."""
    Database(path, migrations=MIGRATIONS[: COSTS - 1]).close()
    valued = [*a_run(), values_of(Trace.of(a_run()), RESCUED)]
    runs = {"r": pack(a_run()), "valued": pack(valued), "damaged": b"", "open": pack(a_run()[:9])}
    with closing(sqlite3.connect(path)) as connection, connection:
        for run, chunk in runs.items():
            state = "running" if run == "open" else "ended"
            connection.execute(
                """INSERT INTO runs (id, started, state, owner, answer, small_tokens)
                    VALUES (?, '2026', ?, '1@0.00', 'It is 4.', 7)""",
                (run, state),
            )
            connection.execute("INSERT INTO event_chunks VALUES (?, 0, ?)", (run, chunk))
        connection.execute("INSERT INTO outlines VALUES ('r', x'00')")
    return path


def test_an_older_file_learns_what_its_runs_cost_and_keeps_text_and_authors(older):
    with Store.open(older) as store:
        assert store.runs.trace("r").events == a_run()
        summary = concluded(store, "r")
        assert summary.cost == RunCost.of(Trace.of(a_run()))
        assert summary.answer == "It is 4.", "as it was"
        assert concluded(store, "valued").cost == summary.cost
        assert concluded(store, "damaged").cost == RunCost(small_tokens=7), "as it was"
        store.conversations.rename("c", "")  # the writer has concluded what it found before it does this
        assert concluded(store, "open").cost == RunCost.of(Trace.of(a_run()[:9]))
    with closing(sqlite3.connect(older)) as connection:
        reviewed = dict(connection.execute("SELECT id, reviewed FROM runs").fetchall())
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert reviewed == {"r": 0, "valued": 1, "damaged": 0, "open": 0}
    assert "outlines" not in tables


def test_a_migration_that_is_killed_is_made_again(older):
    code = """
import os, signal, sys
from pathlib import Path
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.migrations import MIGRATIONS
*others, last = MIGRATIONS
Database(Path(sys.argv[1]), migrations=[*others, (*last, lambda _: os.kill(os.getpid(), signal.SIGKILL))])
"""
    killed = subprocess.run([sys.executable, "-c", code, str(older)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with closing(sqlite3.connect(older)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (COSTS - 1,)
        assert connection.execute("SELECT count(*) FROM outlines").fetchone() == (1,)
    with Store.open(older) as store:
        assert store.notices == ()
        assert concluded(store, "r").cost.tokens == 14


def test_a_migration_whose_function_fails_changes_nothing(older):
    def fail(_: sqlite3.Connection) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        Database(older, migrations=[*MIGRATIONS[:-1], (*MIGRATIONS[-1], fail)])
    with closing(sqlite3.connect(older)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (COSTS - 1,)


def test_this_program_is_alive_and_one_that_ended_is_not():
    code = "from baton_reasoning.core.store.database import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert is_alive(this_process())
    assert not is_alive(ended)
    assert not is_alive("")


def test_a_number_that_was_given_out_again_is_another_program():
    number, _, born = this_process().partition("@")
    assert not is_alive(f"{number}@{born[:-1]}{(int(born[-1]) + 1) % 10}")


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux has the start in ticks since boot")
def test_setting_the_clock_does_not_make_a_live_program_look_dead(monkeypatch):
    """psutil adds the ticks to the boot time, which moves when the clock is set."""
    before = this_process()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 0.0)
    assert is_alive(before)
