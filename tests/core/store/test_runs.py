import math
from contextlib import closing

import pytest

from baton_reasoning.core.engines.base import Alternative
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.run_cost import RIBBON_SEGMENTS, RunCost, ribbon_of
from baton_reasoning.core.store.runs import Runs, RunState
from baton_reasoning.core.thinking.events import Finish, PrefillProgressed, TokenWritten, UsageReported, WriteStarted
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import a_run, concluded, save, started


def test_events_come_back_as_they_were_without_the_progress_of_a_prefill(store):
    """Half a surrogate pair is kept, too, and replaced in the answer."""
    events = a_run(answer="broken \ud83d")
    recorder = store.runs.record("r")
    for event in (events[0], PrefillProgressed(0.0, Author.SMALL, 64, 1000), *events[1:]):
        recorder.record([event])
    recorder.finish().result()
    assert concluded(store, "r").answer == "broken ?"
    assert store.runs.trace("r").events == events


def test_a_summary_says_what_the_run_came_to(store):
    summary = save(store, "r", a_run(answer="It is 4."))
    assert (summary.state, summary.finish) == (RunState.ENDED, Finish.END_OF_TEXT)
    assert (summary.cost.small_tokens, summary.cost.large_tokens, summary.cost.steps) == (8, 6, 6)
    assert summary.cost.large_share == pytest.approx(6 / 14, abs=1e-6)
    assert summary.answer == "It is 4."
    assert [segment.author for segment in summary.cost.ribbon] == [Author.SMALL, Author.LARGE] * 2 + [Author.SMALL]


def test_a_run_of_any_usage_is_saved(store):
    report = UsageReported(1.0, Author.LARGE, Usage(RequestUsage(read=2**53, written=2**53)))
    recorder = store.runs.record("r")
    recorder.record([started(), report] * 600)
    recorder.finish().result()
    assert concluded(store, "r").cost.remote_tokens == 2**54
    assert store.runs.trace("r").events == [started(), report] * 600


def test_a_run_goes_on_where_it_stopped(store):
    events = a_run()
    for part in (events[:10], events[10:]):
        save(store, "r", part)
    assert store.runs.trace("r").events == events


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


def test_a_run_that_is_begun_anew_keeps_nothing_of_before(store):
    save(store, "r", a_run(steps=9))
    recorder = store.runs.record("r", anew=True)
    recorder.record(a_run(steps=1))
    recorder.finish().result()
    assert store.runs.trace("r").events == a_run(steps=1)
    assert concluded(store, "r").cost == RunCost.of(Trace.of(a_run(steps=1)))


def test_a_run_that_is_not_there_has_no_events(store):
    assert store.runs.trace("nobody").events == []


def test_a_long_ribbon_keeps_the_share_of_each_author():
    trace = Trace.of([started()])
    for number in range(1000):
        author = Author.LARGE if number % 5 == 0 else Author.SMALL
        trace.apply(WriteStarted(0.0, author, None, 2 * number))
        trace.apply(TokenWritten(0.0, author, 1, "ab"))
    ribbon = ribbon_of(trace)
    assert len(ribbon) <= RIBBON_SEGMENTS
    assert sum(segment.tokens for segment in ribbon if segment.author is Author.LARGE) == 200
    assert sum(segment.tokens for segment in ribbon) == 1000


def test_drafted_tokens_come_back_with_what_was_rejected(store):
    events = [
        *a_run()[:2],
        TokenWritten(1.0, Author.LARGE, 1, "So", drafted=True),
        TokenWritten(1.1, Author.LARGE, 2, " it", rejected_drafts=3),
    ]
    save(store, "r", events)
    assert store.runs.trace("r").events == events
    piece = Trace.of(events).pieces[-1]
    assert (piece.accepted_drafts, piece.drafts) == (1, 4)


def test_a_token_of_any_probability_comes_back(store):
    """A broken model gives probabilities that are no numbers."""
    alternatives = (Alternative(1, "null", -math.inf), Alternative(None, "\ud83d", -1.0))
    events = [started(), TokenWritten(0.5, Author.SMALL, None, "a", -math.inf, alternatives)]
    save(store, "r", events)
    assert store.runs.trace("r").events == events
