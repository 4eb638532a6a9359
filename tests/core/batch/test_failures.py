"""Failure analysis groups what went wrong, counts takeovers by cue and outcome."""

from __future__ import annotations

import pytest

from baton_reasoning.core.batch.reporting.exports import export
from baton_reasoning.core.batch.reporting.failures import (
    Divergence,
    FailureAnalysis,
    FailureKind,
    TakeoverOutcomes,
    analyse,
    had_stated,
    takeover_table,
)
from baton_reasoning.core.batch.reporting.reviews import Answer, Opinions, Reviews, answers_of, wrong_answers
from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.engines.base import Conversation
from baton_reasoning.core.errors import EngineLost, EngineRefused
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import concluded
from tests.fakes.scripted import ScriptedEngine

SMALL = {
    "right": "2 + 2 is 4.</think>\n\nThe answer is \\boxed{4}.",
    "slip": "So 2 + 2 is 5.\n\nThat was easy.</think>\n\nThe answer is \\boxed{5}.",
    "turn": "The answer is 4.\n\nOr rather not.</think>\n\nThe answer is \\boxed{7}.",
    "silent": "I do not know.</think>",
    "endless": "and so on " * 400,
    "cue": "First.\n\nWait, that is",
}
LARGE = "Wait, it is 4.\n\nDone.</think>\n\nThe answer is \\boxed{4}."


def writes(conversation: Conversation, body: str) -> str:
    text = SMALL[conversation[-1].content.split()[0]]
    return text[len(body) :] if text.startswith(body) else "</think>\n\nThe answer is \\boxed{4}."


def pair(**large: object) -> Pair:
    expects = large.pop("expects", lambda _before, token: " 4" if token == " 5" else token)
    engine = ScriptedEngine(continue_with=lambda _, __: LARGE, name="large", expects=expects)  # type: ignore[arg-type]
    return Pair(ScriptedEngine(continue_with=writes), engine.with_card(**large))


@pytest.fixture
def batch(store, grader):
    """Six problems by the small model alone, and one of them with takeovers."""
    problems = [Problem(name, f"{name} 2 + 2?", "4", {}, line) for line, name in enumerate(SMALL, 1)]
    alone = RunSettings(policy=Never.Settings(), max_tokens=300)
    both = RunSettings(policy=Keywords.Settings(), max_tokens=300)
    arms = [Arm(name="small", settings=alone).stored(), Arm(name="both", settings=both).stored()]
    batch = store.batches.create("sums", BatchSettings().stored(), problems, arms)
    list(Runner(store, batch, pair(), grader, 1).run())
    return batch


def opinions(store: Store, batch: str, by: Pair, arm: str = "") -> Reviews:
    """The second opinions that are missing in an arm, or in all."""
    opened = store.batches.open(batch)
    wrong = answers_of(store, opened, wrong_answers(store, opened, [arm] if arm else None))
    return Reviews(Opinions(), by, Opinions().missing(wrong))


def kinds(found: FailureAnalysis) -> dict[str, FailureKind]:
    return {failure.problem.id: failure.kind for failure in found.failures}


def test_answers_are_grouped_by_what_went_wrong(store, batch):
    found = analyse(store, batch, "small")
    assert kinds(found) == {
        "endless": FailureKind.LIMIT,
        "silent": FailureKind.NO_ANSWER,
        "turn": FailureKind.CHANGED,
        "slip": FailureKind.WRONG,
    }
    assert list(found.groups) == [kind for kind in FailureKind if kind in found.groups]
    assert found.answers == 6


def test_takeovers_are_counted_by_reason_cue_and_outcome(store, batch):
    found = analyse(store, batch, "both")
    wait = next(group for group in found.takeovers if group.cue == "wait")
    assert wait.reason == "Reflection takeover"
    assert (wait.takeovers, wait.right, wait.wrong) == (1, 1, 0)
    table = takeover_table([wait, TakeoverOutcomes("Random", "", 1, 0, 0, 1)])
    assert table.headings == ("reason", "cue", "takeovers", "right", "wrong", "% right")
    assert table.rows[0] == ("Reflection takeover", "wait", "1", "1", "0", "100%")
    assert table.rows[1] == ("Random", "–", "1", "0", "0", "–")
    assert analyse(store, batch, "small").takeovers == ()


def test_an_opinion_names_the_first_error_of_every_wrong_answer(store, batch):
    *_, last = opinions(store, batch, pair()).run()
    assert last.done == last.total > 0
    slip = next(failure for failure in analyse(store, batch, "small").failures if failure.problem.id == "slip")
    assert slip.kind is FailureKind.DIVERGED
    assert slip.divergence
    assert (slip.divergence.step, slip.divergence.written, slip.divergence.expected) == (0, " 5", " 4")
    assert slip.divergence.before == "So 2 + 2 is"
    assert slip.divergence.is_missed
    assert slip.detail == "5, expected 4 · step 1: 5 instead of 4"


def test_answers_are_read_once_and_right_ones_never(store, batch):
    first = pair()
    list(opinions(store, batch, first).run())
    assert isinstance(first.large, ScriptedEngine)
    assert first.large.sessions
    again = opinions(store, batch, pair())
    assert again.answers == []
    assert [(item.done, item.total) for item in again.run()] == [(0, 0)]
    right = [row for row in store.batches.results(batch, "small") if row.answer == "4"]
    assert right
    assert all(store.runs.trace(row.run).opinion is None for row in right)


def test_stopped_it_keeps_the_answers_that_were_read(store, batch):
    reading = opinions(store, batch, pair())
    for item in reading.run():
        if item.done == 1:
            reading.stop()
    with_opinion = [row for row in store.batches.results(batch) if store.runs.trace(row.run).opinion]
    assert len(with_opinion) == 1
    assert len(opinions(store, batch, pair()).answers) == len(reading.answers) - 1


def test_a_large_model_that_cannot_score_is_refused_before_anything_is_read(store, batch):
    with pytest.raises(EngineRefused, match="vLLM"):
        list(opinions(store, batch, pair(returns_scores=False)).run())


def test_a_large_model_that_dies_leaves_what_was_read(store, batch):
    def dies(before: str, token: str) -> str:
        if "Or rather" in before:
            raise EngineLost("Gone.", "Start it.")
        return token

    with pytest.raises(EngineLost):
        list(opinions(store, batch, pair(expects=dies)).run())
    assert any(store.runs.trace(row.run).opinion for row in store.batches.results(batch))


def test_an_answer_that_does_not_fit_into_the_context_is_left_out_and_the_others_are_read(store, batch):
    reading = opinions(store, batch, pair(context=100), "small")
    *_, last = reading.run()
    assert last.done == last.total
    problems = [each.id for each in store.batches.problems(batch)]
    assert [problems[each.row.position] for each in reading.too_long if each.row] == ["endless"]
    assert reading.remarks == ["1 answer did not fit into the context. Load the models with a larger one."]


def test_an_answer_without_text_is_passed_over(store, batch):
    empty = Answer(Trace, Trace().apply, row=next(store.batches.results(batch)))
    reading = Reviews(Opinions(), pair(), [empty])
    list(reading.run())
    assert reading.is_whole


def test_another_large_model_reads_the_answers_again_and_the_same_one_does_not(store, batch):
    first = opinions(store, batch, pair())
    list(first.run())
    for name, reads_again in (("large", False), ("other", True)):
        named = pair(name=name)
        list(Reviews(Opinions(), named, first.answers).run())
        assert isinstance(named.large, ScriptedEngine)
        assert bool(named.large.sessions) is reads_again


def test_the_trace_of_a_batch_answer_shows_its_opinion_and_its_summary_stays(store, batch):
    row = next(row for row in store.batches.results(batch, "small") if row.answer == "5")
    before = concluded(store, row.run)
    list(opinions(store, batch, pair()).run())
    assert concluded(store, row.run) == before
    trace = store.runs.trace(row.run)
    assert trace.opinion
    assert trace.ended
    assert Divergence.of(trace)


@pytest.mark.parametrize(
    ("reasoning", "expected", "stated"),
    [
        ("So the answer is 42.", "42", True),
        ("It is \\boxed{42}, or is it?", "42", True),
        ("6 * 7 = 420", "42", False),
        ("300 + 401 = 701.", "701", True),
        ("300 + 401 = 701.5", "701", False),
        ("1 + 1 = 2", "2", False),
        ("Answer: 2", "2", True),
        ("The answer is near.", "", False),
        ("So the answer is a prime number.", "A", False),
        ("So the ANSWER IS A.", "A", True),
        ("Is it \\boxed{a}, the first one?", "A", False),
        ("The answer is paris.", "Paris", True),
        ("the answer is $\\frac{1}{2}$", "\\frac{1}{2}", True),
    ],
)
def test_a_right_answer_in_the_reasoning_is_found_where_it_is_stated(reasoning, expected, stated):
    assert had_stated(reasoning, expected) is stated


def test_the_page_of_a_report_counts_the_failures_of_each_group(store, batch, tmp_path):
    export(store, batch, tmp_path / "r.html")
    assert "Had the right answer, gave another: 2" in (tmp_path / "r.html").read_text(encoding="utf-8")
