"""The soak can find what it looks for."""

import contextlib
import sqlite3

import pytest

from baton_reasoning.core.store.store import Store
from tests.core.store.made import a_run, save
from tests.soak.checks import Kept, Reference

ALONE = Reference("one two three", ((0, "small"), (4, "large"), (8, "small")))


@pytest.mark.parametrize(
    ("found", "is_same"),
    [
        (Reference("one two three", ((0, "small"),)), False),
        (Reference("one tree", ((0, "small"), (4, "large"), (6, "small"))), True),
        (Reference("one tree", ((0, "small"), (5, "large"))), False),
    ],
)
def test_writers_are_compared_up_to_where_the_texts_part(found, is_same):
    assert found.same_writers_in(ALONE) is is_same


def test_a_chunk_that_is_gone_is_counted_by_its_tokens(tmp_path):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        save(store, "r", a_run())
        kept = Kept(path)
        kept.look()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("DELETE FROM event_chunks")
        assert kept.seen_tokens() == 14
        assert kept.lost_tokens() == 14
        assert kept.seen_tokens() == 0
