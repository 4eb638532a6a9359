"""Events come back as they were, chunks of any content are read or refused, and costs are computed."""

import json
import math
import zlib
from contextlib import closing, suppress
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Alternative, Handoff
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import MOST_COUNTED, RequestUsage, Usage
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.event_chunks import pack, unpack
from baton_reasoning.core.store.migrations import MIGRATIONS
from baton_reasoning.core.store.run_cost import LARGEST_INTEGER, RIBBON_SEGMENTS, Cost, RunCost, Takeover, ribbon_of
from baton_reasoning.core.store.runs import Runs, RunState
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import (
    Finish,
    HandedOver,
    PrefillProgressed,
    TokenWritten,
    UsageReported,
    WriteStarted,
)
from baton_reasoning.core.thinking.policies.keywords import REFLECTION
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import a_run, concluded, save, started, tokens


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
        runs, events = Runs(database), a_run()
        first, second = runs.record("r"), runs.record("r")
        for recorder, part in ((first, events[:5]), (second, events[5:9]), (first, events[9:])):
            recorder.record(part)
            database.writer.keep(lambda _: None).result()  # with it all that waits is saved
        first.finish().result()
        assert runs.trace("r").events == events


# What a run came to


def test_what_a_run_came_to_is_computed_from_its_events(store):
    summary = save(store, "r", a_run(answer="It is 4."))
    cost = summary.cost
    assert (summary.state, summary.finish, summary.answer) == (RunState.ENDED, Finish.END_OF_TEXT, "It is 4.")
    assert (cost.small_tokens, cost.large_tokens, cost.tokens, cost.discarded_tokens) == (8, 6, 14, 6)
    assert (cost.small_read, cost.large_read, cost.small_decoded, cost.large_decoded) == (6, 6, 8, 6)
    assert (cost.steps, cost.large_steps, cost.handoffs, cost.seconds, cost.seconds_to_answer) == (6, 2, 3, 5.0, 4.0)
    assert cost.large_share == round(6 / 14, 6)
    assert cost.takeovers == (Takeover(REFLECTION.id, "wait"),) * 2
    assert [segment.author for segment in cost.ribbon] == [Author.SMALL, Author.LARGE] * 2 + [Author.SMALL]
    handoff = HandedOver(0.0, Author.LARGE, Handoff(0, 3, 0.01))
    over_steps = [WriteStarted(0.0, Author.LARGE, REFLECTION.id, 0), handoff, *tokens(Author.LARGE, ["1.\n\n", "2."])]
    assert RunCost.of(Trace.of([started(), *over_steps])).takeovers == (Takeover(REFLECTION.id, ""),)


def test_costs_add_up_in_the_first_currency_that_is_named():
    one, two = Cost(small_tokens=1, seconds=0.5), Cost(small_tokens=2, large_tokens=4, money=0.25, currency="EUR")
    total = Cost.total(iter([one, two, two.model_copy(update={"currency": "USD"})]))
    assert not any(dict(Cost()).values())
    assert total == Cost(small_tokens=5, large_tokens=8, seconds=0.5, money=0.5, currency="EUR")


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


# Chunks, also those that earlier versions stored

COLUMNS = {
    "event": "tokens",
    "author": "small",
    "at": [0.3, 0.4],
    "id": [1, None],
    "text": ["", "é\ud83d"],
    "logprob": [-0.5, None],
    "alternatives": [[], [[6, "5", -2.0]]],
    "ends_step": [False, True],
    "data": ["ww==", "qQ=="],
}
DRAFTED = {"event": "tokens", "author": "large", "at": [0.5], "id": [3], "text": [" 4"], "drafted": [True]}
TOKENS = [
    TokenWritten(0.3, Author.SMALL, 1, "", -0.5),
    TokenWritten(0.4, Author.SMALL, None, "é\ud83d", None, (Alternative(6, "5", -2.0),), ends_step=True),
    TokenWritten(0.5, Author.LARGE, 3, " 4", drafted=True),
]


def chunk(*lines):
    return zlib.compress("\n".join(map(json.dumps, lines)).encode())


def test_what_the_versions_stored_that_packed_tokens_in_columns_is_read(path):
    with closing(Database(path, migrations=MIGRATIONS[:2])) as database:
        run = "INSERT INTO runs (id, started, state, owner) VALUES ('r', '2026-01-01', 'ended', '')"
        database.execute(run).result()
        for number, events in enumerate([pack([started()]), chunk(COLUMNS, DRAFTED)]):
            database.execute("INSERT INTO event_chunks VALUES ('r', ?, ?)", number, events).result()
    with Store.open(path) as store:
        assert store.runs.trace("r").events == [started(), *TOKENS]
        cost = concluded(store, "r").cost
        assert (cost.small_tokens, cost.large_tokens) == (2, 1)


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
    for columns in (COLUMNS | line if isinstance(line, dict) else line for line in lines):
        with suppress(StoreError):
            assert list(unpack(chunk(columns, DRAFTED)))[-1:] == TOKENS[2:]
