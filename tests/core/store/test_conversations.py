import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.conversations import (
    MARK_END,
    MARK_START,
    Headline,
    StoredExchange,
    by_day,
    path_to,
    title_of,
)
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.edit import edited
from tests.core.store.made import a_run, save


def answer(store: Store, exchange: str, text: str) -> None:
    save(store, exchange, a_run(answer=text))


def test_siblings_and_the_shown_path_come_back(store):
    first = StoredExchange("1", None, "What is 2 + 2?", {"seed": 1})
    second = StoredExchange("2", "1", "And 3 + 3?")
    again = StoredExchange("3", "1", "And 3 + 4?")
    for exchange in (first, second, again):
        store.conversations.put("c", exchange).result()
    conversation = store.conversations.open("c")
    assert conversation.exchanges == (first, second, again)
    assert [exchange.id for exchange in path_to(conversation.exchanges, conversation.leaf)] == ["1", "3"]
    store.conversations.show("c", "2").result()
    assert store.conversations.open("c").leaf == "2"


def test_a_name_comes_from_the_problem_until_a_person_gives_one(store):
    store.conversations.put("c", StoredExchange("1", None, "How many  primes\nare below 100?")).result()
    answer(store, "1", "Okay, so there are 25.")
    assert store.conversations.recent()[0].name == "How many primes are below 100?"
    store.conversations.rename("c", "Primes")
    assert store.conversations.recent()[0].name == store.conversations.open("c").name == "Primes"
    store.conversations.rename("c", " ")
    assert store.conversations.open("c").name == "How many primes are below 100?"


def test_a_long_problem_is_cut_at_a_word_and_its_full_name_keeps_its_end(store):
    problem = "word " * 40 + "end"
    assert title_of(problem) == "word " * 11 + "word …"
    store.conversations.put("c", StoredExchange("1", None, problem)).result()
    assert store.conversations.recent()[0].full_name == problem
    assert store.conversations.search("end")[0].conversation.full_name == problem
    store.conversations.rename("c", "Words")
    assert store.conversations.recent()[0].full_name == "Words"


def test_what_is_deleted_can_be_had_back(store):
    store.conversations.put("c", StoredExchange("1", None, "triangle")).result()
    store.conversations.delete("c")
    assert store.conversations.recent() == []
    assert store.conversations.search("triangle") == []
    store.conversations.restore("c")
    assert [headline.id for headline in store.conversations.recent()] == ["c"]
    assert len(store.conversations.search("triangle")) == 1


def test_what_was_deleted_a_month_ago_is_gone_at_the_next_start_with_its_events_and_words(path):
    with Store.open(path) as store:
        for name in ("old", "new"):
            store.conversations.put(name, StoredExchange(name, None, "triangle")).result()
            answer(store, name, "It is round.")
            store.conversations.delete(name)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE conversations SET deleted = '2020-01-01T00:00:00.000000+00:00' WHERE id = 'old'")
    with Store.open(path) as store:
        store.conversations.restore("new")  # the writer has removed the other before it does this
        assert [headline.id for headline in store.conversations.recent()] == ["new"]
        with pytest.raises(StoreError, match="not in the store"):
            store.conversations.open("old")
        assert store.runs.trace("old").events == []
        assert [found.exchange for found in store.conversations.search("round")] == ["new"]


@pytest.mark.parametrize("words", ["eleven", "ELEV", "apples éleven", '"eleven', "eleven* OR", "apples"])
def test_problems_and_answers_are_found_by_their_words(store, words):
    store.conversations.put("c", StoredExchange("1", None, "How many apples or pears?")).result()
    store.conversations.put("d", StoredExchange("2", None, "Something else")).result()
    answer(store, "1", "There are eleven.")
    (found,) = store.conversations.search(words)
    assert (found.conversation.id, found.exchange) == ("c", "1")
    assert MARK_START in found.excerpt
    assert MARK_END in found.excerpt


@pytest.mark.parametrize("words", ["", "  ", '"', "***", "()"])
def test_a_search_for_no_words_finds_nothing(store, words):
    store.conversations.put("c", StoredExchange("1", None, "How many?")).result()
    assert store.conversations.search(words) == []


@pytest.mark.parametrize("words", ["质数", "100 质数", "以内的质数有多少", "質数 25"])
def test_words_of_a_script_without_blanks_are_found_inside_a_sentence(store, words):
    store.conversations.put("c", StoredExchange("1", None, "请问100以内的质数有多少个？")).result()
    store.conversations.put("d", StoredExchange("2", None, "二加二等于多少？")).result()
    answer(store, "1", "There are 25. 質数は25個あります。")
    found = store.conversations.search(words)
    assert [one.exchange for one in found] == ["1"]
    assert MARK_START in found[0].excerpt
    assert store.conversations.search("三角形") == []
    assert store.conversations.search(f"{words} triangle") == []


def test_reasoning_is_found_and_each_conversation_once_with_its_best_excerpt(store):
    for attempt in ("1", "2"):
        store.conversations.put("c", StoredExchange(attempt, None, "How many?")).result()
        answer(store, attempt, "Eleven.")
    assert "goes" in store.runs.trace("1").thinking_text
    (found,) = store.conversations.search("goes")
    assert found.conversation.id == "c"
    assert f"{MARK_START}goes{MARK_END}" in found.excerpt
    assert len(found.excerpt) < 100
    assert store.conversations.search("many eleven goes"), "the words may stand in different parts"


@pytest.mark.parametrize(
    ("words", "shown"), [("hold on", "Hold on"), ("step 2999", "Step 2999"), ("step thousand", "thousand")]
)
def test_the_excerpt_shows_the_phrase_where_it_stands_or_else_a_word(store, words, shown):
    text = "Three thousand steps:\nThe number we can go on to step twice.\nStep 2999.\nHold on, we are done."
    store.conversations.put("c", StoredExchange("1", None, text)).result()
    (found,) = store.conversations.search(words)
    assert f"{MARK_START}{shown}{MARK_END}".lower() in found.excerpt.lower()


def test_the_words_of_an_edited_step_are_found(store):
    store.conversations.put("c", StoredExchange("1", None, "How many?")).result()
    answer(store, "1", "Eleven.")
    trace = edited(store.runs.trace("1"), 0, "It is 99999.")
    store.conversations.put("c", StoredExchange("2", None, "How many?")).result()
    recorder = store.runs.record("2")
    recorder.record(trace.events)
    recorder.finish().result()
    assert [found.exchange for found in store.conversations.search("99999")] == ["2"]


def test_conversations_are_listed_by_the_day_of_their_change():
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    headlines = [Headline(str(days), "", noon - timedelta(days=days // 2), "") for days in range(4)]
    assert [[headline.id for headline in group] for _, group in by_day(headlines)] == [["0", "1"], ["2", "3"]]
