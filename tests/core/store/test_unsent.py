"""What is typed and not sent survives a kill, belongs to its conversation, and is not fought about by two programs."""

from pathlib import Path

import pytest

from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.store.deleted import KEEP_DELETED, purge
from baton_reasoning.core.store.salvage import salvage
from baton_reasoning.core.store.store import Store
from tests.another_program import another_program
from tests.core.store.test_owners import ago, execute

LONE_SURROGATE = "How many \ud83d?"


def kept(store):
    with store.unsent._database.reading() as connection:
        return dict(connection.execute("SELECT conversation, text FROM unsent ORDER BY number").fetchall())


def test_the_last_text_of_each_conversation_is_kept_and_an_empty_one_removed(store, path):
    store.conversations.put("c", Exchange("How many?", id="e")).result()
    for text in ("And", "And how", "And how many"):
        store.unsent.keep("c", text)
    store.unsent.keep("new", LONE_SURROGATE)
    store.unsent.keep("sent", "How many?")
    store.unsent.keep("sent", "")
    assert (store.unsent.read("c"), store.unsent.read("other")) == ("And how many", "")
    store.flush()
    assert kept(store) == {"c": "And how many", "new": "How many ??"}
    with Store.open(path) as again:
        assert again.unsent.read("c") == "And how many"


def test_it_is_restored_and_goes_for_good_with_its_conversation_and_is_salvaged_with_it(store, path, tmp_path):
    store.conversations.put("c", Exchange("How many?", id="e")).result()
    store.unsent.keep("c", "And cats?")
    store.flush()
    salvage(path, tmp_path / "fresh.sqlite")
    with Store.open(tmp_path / "fresh.sqlite") as fresh:
        assert kept(fresh) == {"c": "And cats?"}
    store.conversations.delete("c")
    store._database.write(purge)
    assert kept(store) == {"c": "And cats?"}
    execute(store, "UPDATE conversations SET deleted = ?", ago(KEEP_DELETED.total_seconds() + 1))
    store._database.write(purge)
    assert kept(store) == {}


def type_in_both(path):
    with Store.open(Path(path)) as store:
        store.unsent.keep("c", "typed there")
        store.unsent.keep("theirs", "not sent there")
        store.flush()
        print("saved", flush=True)
        input()
        store.unsent.keep("c", "typed there last")
        store.flush()
        print("saved", flush=True)
        input()


@pytest.mark.slow
def test_two_programs_keep_what_is_typed_in_both_and_one_that_was_killed_leaves_its_text_to_the_next(store, path):
    store.conversations.put("c", Exchange("How many?", id="e")).result()
    with another_program(type_in_both, path) as other:
        assert other.stdout.readline() == "saved\n"
        assert store.unsent.read("c") == "typed there"
        assert store.unsent.take_over("mine") == "", "its window is still open"
        store.unsent.keep("c", "typed here")
        store.unsent.keep("mine", "not sent here")
        store.flush()
        print(file=other.stdin, flush=True)
        assert other.stdout.readline() == "saved\n"
        assert store.unsent.read("c") == "typed here", "what stands in this window"
        assert kept(store) == {"theirs": "not sent there", "mine": "not sent here", "c": "typed there last"}
    store.unsent.keep("mine", "")
    store.flush()
    assert store.unsent.take_over("next") == "not sent there"
    store.flush()
    assert kept(store) == {"c": "typed there last", "next": "not sent there"}
