"""What takeovers were worth in a batch, by cue, from values of a sample of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from baton_reasoning.core.batch.reporting.charts import worth_by_cue
from baton_reasoning.core.batch.reporting.failures import analyse
from baton_reasoning.core.batch.reporting.page import html_report
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.reviews import Reviews, Values, answers_of, sample_answers
from baton_reasoning.core.batch.reporting.worth import MeanWorth, TakeoverKind, worth_of
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.run import Pair
from baton_reasoning.core.step_values.estimator import ValueEstimator, ValueOptions
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import ValuesEstimated
from tests.core.batch.known_worth import AFTER_WAIT, AFTER_YES, START, known_batch, known_pair, small_draws
from tests.fakes.scripted import ScriptedEngine

OPTIONS = ValueOptions(only_takeovers=True)
WAIT, YES = TakeoverKind("Reflection takeover", "wait"), TakeoverKind("Affirmation takeover", "yes")


@pytest.fixture
def batch(store, grader):
    return known_batch(store, grader)


def reviews(store: Store, batch: str, grader: Grader, rows: Sequence[ResultRow], pair: Pair) -> Reviews:
    return Reviews(Values(OPTIONS, grader), pair, answers_of(store, store.batches.open(batch), rows))


def missing(store: Store, batch: str, grader: Grader, sample: int) -> list[ResultRow]:
    """The sampled answers that have no values yet."""
    opened = store.batches.open(batch)
    answers = answers_of(store, opened, sample_answers(store, opened, size=sample))
    return [answer.row for answer in Values(OPTIONS, grader).missing(answers) if answer.row]


@pytest.mark.slow
def test_the_worth_of_each_cue_is_the_known_difference(store, batch, grader):
    rows = missing(store, batch, grader, 50)
    *_, last = reviews(store, batch, grader, rows, known_pair()).run()
    assert (last.done, last.share) == (24, 1.0)
    worth = worth_of(store, rows, "small")
    assert worth.answers == 24
    assert worth.start
    assert worth.start.low <= START <= worth.start.high
    assert worth.all
    assert (worth.all.takeovers, worth.all.problems) == (24, len({row.position for row in rows}))
    for kind, known in ((WAIT, AFTER_WAIT - START), (YES, AFTER_YES - START)):
        mean = worth.kinds[kind].mean
        assert mean.low <= known <= mean.high
        assert mean.value == pytest.approx(known, abs=0.1)
        assert mean.high - mean.low < 0.3
    waits, yeses = worth.kinds[WAIT], worth.kinds[YES]
    assert waits.helped > 0.8 * waits.takeovers
    assert 0 < waits.rescued <= waits.helped
    assert waits.spoiled == yeses.rescued == yeses.helped == 0
    assert yeses.spoiled > 0
    assert waits.tokens == 5 * waits.takeovers


def test_a_mean_of_few_problems_is_marked_neither_as_a_gain_nor_as_a_loss():
    """Its interval covers chance in the continuations alone."""
    mean = Estimate(0.5, 0.09, 0.91)
    texts = [MeanWorth(3, problems, mean, 3, 0, 0, 60).mean_text for problems in (2, 3)]
    assert texts == ["+0.50 (+0.09 to +0.91)", "▲ +0.50 (+0.09 to +0.91)"]


@pytest.mark.slow
def test_nothing_is_valued_twice(store, batch, grader):
    rows = missing(store, batch, grader, 5)
    list(reviews(store, batch, grader, rows, known_pair()).run())
    assert missing(store, batch, grader, 5) == []
    small = ScriptedEngine(draw=small_draws)
    list(reviews(store, batch, grader, rows, Pair(small, None)).run())
    assert small.written == 0
    assert all(len(store.runs.trace(row.run).values) == 1 for row in rows)


@pytest.mark.slow
def test_what_was_stopped_goes_on_and_ends_as_if_it_had_not_been(store, batch, grader):
    rows = missing(store, batch, grader, 3)
    uninterrupted = list[ValuesEstimated]()
    for answer in answers_of(store, store.batches.open(batch), rows):
        *_, estimated = Values(OPTIONS, grader).carry_out(known_pair(), answer, lambda _: None)
        assert isinstance(estimated, ValuesEstimated)
        uninterrupted.append(estimated)

    def stop_in_the_second_answer(_: str) -> None:
        if small.written > uninterrupted[0].tokens + 50:
            values.stop()

    small = ScriptedEngine(draw=small_draws, before_token=stop_in_the_second_answer)
    values = reviews(store, batch, grader, rows, Pair(small, None))
    list(values.run())
    kept = [store.runs.trace(row.run).values for row in rows]
    assert [[each.is_whole for each in values.values()] for values in kept] == [[True], [False], []]
    assert [row.job for row in missing(store, batch, grader, 3)] == [row.job for row in rows[1:]]
    list(reviews(store, batch, grader, rows[1:], known_pair()).run())
    assert [store.runs.trace(row.run).values["small"].places for row in rows] == [each.places for each in uninterrupted]


def test_the_same_answers_with_takeovers_are_drawn_again(store, batch):
    opened = store.batches.open(batch)
    jobs = [row.job for row in sample_answers(store, opened, size=10)]
    assert jobs == [row.job for row in sample_answers(store, opened, size=10)]
    assert len(jobs) == len(set(jobs)) == 10
    assert {row.arm for row in sample_answers(store, opened)} == {"both"}


def test_what_cannot_be_drawn_is_said_in_a_sentence(store, batch, grader):
    with pytest.raises(SettingsError, match="contains a takeover"):
        sample_answers(store, store.batches.open(batch), ["small"])
    with pytest.raises(SettingsError, match="no graded answers"):
        sample_answers(store, store.batches.open(known_batch(store, grader, answers=2, expected=None)))


def test_values_that_say_only_agreement_and_those_of_another_writer_are_no_worth(store, batch, grader):
    (row,) = sample_answers(store, store.batches.open(batch), size=1)
    estimator = ValueEstimator(known_pair(), store.runs.trace(row.run), grader, "", OPTIONS)
    *_, agreement = estimator.run()
    assert isinstance(agreement, ValuesEstimated)
    store.runs.append(row.run, [agreement]).result()
    assert worth_of(store, [row], "small") == (0, None, None, {})
    list(reviews(store, batch, grader, [row], known_pair()).run())
    assert worth_of(store, [row], "small").all
    assert worth_of(store, [row], "large").all is None


@pytest.mark.slow
def test_the_analysis_of_a_batch_shows_worth_where_answers_are_valued(store, batch, grader):
    before = analyse(store, batch)
    results = Results.read(store, batch)
    assert not before.has_worth
    assert "What takeovers were worth" not in html_report(results.report, before)
    rows = missing(store, batch, grader, 6)
    list(reviews(store, batch, grader, rows, known_pair()).run())
    after = analyse(store, batch)
    assert [replace(group, worth=None) for group in after.takeovers] == list(before.takeovers)
    worths = {TakeoverKind(group.reason, group.cue): group.worth for group in after.takeovers}
    assert worths == worth_of(store, rows, "small").kinds
    page = html_report(results.report, after)
    assert "No takeover." not in page
    alone = results.report.model_copy(update={"arms": ()})
    assert "No takeover." not in html_report(alone, after), "the table has the takeovers"
    assert "<h3>What takeovers were worth</h3>" in page
    waits = next(group for group in after.takeovers if group.cue == "wait")
    assert waits.worth
    assert f">▲ {waits.worth.mean.value:+.2f} (" in page
    assert f", {waits.worth.takeovers} of them</td>" in page
    drawing = ElementTree.fromstring(worth_by_cue(after.takeovers))
    texts = [each.text for each in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert f"Reflection takeover: wait ({waits.worth.takeovers})" in texts
    lines = [each.attrib["points"] for each in drawing.iter("{http://www.w3.org/2000/svg}polyline")]
    assert all(0 <= float(place.partition(",")[0]) <= 640 for line in lines for place in line.split())


def test_exported_results_have_the_values_of_their_text(store, batch, grader, tmp_path):
    (row,) = sample_answers(store, store.batches.open(batch), size=1)
    list(reviews(store, batch, grader, [row], known_pair()).run())
    exported = {each.run: each for each in Results.read(store, batch).exported()}
    result = exported.pop(row.run)
    assert all(each.values == () for each in exported.values())
    start, replaced, after = result.values
    assert [each.replaced for each in result.values] == [False, True, False]
    assert (start.writer, start.position, start.worth, replaced.worth) == ("small", 0, None, None)
    assert after.worth == pytest.approx(after.value - replaced.value)
    assert after.low <= after.value <= after.high
    assert after.continuations >= 16
    (takeover,) = [span for span in result.spans if span.reason]
    assert (replaced.position, after.position) == (takeover.start, takeover.end)
