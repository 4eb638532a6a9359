"""The scoreboard: who wrote an answer, what it says, and the text of the rows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from baton_reasoning.core.demo_pair.scoreboard import ScoredArm, ScoreRow, lines
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.scripted import QUESTION, ScriptedEngine

ROWS = [
    ScoreRow(ScoredArm.SMALL, "01767", Outcome.WRONG, seconds=0.92, large_share=0),
    ScoreRow(ScoredArm.BOTH, "12085", Outcome.CORRECT, seconds=3.4, large_share=0.259),
    ScoreRow(ScoredArm.LARGE, "12085", Outcome.CORRECT, seconds=12.06, large_share=1),
]


def test_the_rows_are_aligned_lines_with_answer_mark_and_seconds():
    assert lines(ROWS) == [
        "small alone         01767  ✗   0.9 s",
        "both, 26% by large  12085  ✓   3.4 s",
        "large alone         12085  ✓  12.1 s",
    ]
    assert lines([]) == []


def test_an_answer_that_is_missing_or_could_not_be_graded_has_a_mark_of_its_own():
    rows = [ROWS[0]._replace(answer=None), ROWS[1]._replace(answer="x + 1", outcome=Outcome.UNSCORED)]
    assert lines(rows) == ["small alone         no answer  ✗  0.9 s", "both, 26% by large  x + 1      –  3.4 s"]


SMALL = "One two.</think>\n\nThe answer is \\boxed{01767}."
LARGE = "Let me see.</think>\n\nThe answer is \\boxed{12085}."


def trace_of(policy: str, small: Sequence[str] = (SMALL,), large: str = LARGE) -> Trace:
    """An answer under a policy, with models that write these texts."""
    pair = Pair(ScriptedEngine(*small), ScriptedEngine(large, name="large"))
    return Trace.of(run(pair, QUESTION, RunSettings.model_validate({"policy": policy})))


@pytest.mark.parametrize(
    ("trace", "arm", "answer"),
    [
        (lambda: trace_of("never"), ScoredArm.SMALL, "01767"),
        (lambda: trace_of("always"), ScoredArm.LARGE, "12085"),
        (lambda: trace_of("keywords"), ScoredArm.BOTH, "01767"),
        (lambda: trace_of("keywords", ["One.\n\nWait,", LARGE], "Let me see."), ScoredArm.BOTH, "12085"),
    ],
)
def test_an_answer_is_scored_with_who_wrote_it_and_its_own_seconds(trace, arm, answer):
    written = trace()
    outcome = Outcome.CORRECT if answer == "12085" else Outcome.WRONG
    assert ScoreRow.of(written, expected="12085") == (arm, answer, outcome, written.seconds, written.large_share)


def test_what_one_model_alone_continued_is_still_by_both():
    again = trace_of("never").events
    assert ScoredArm.of(Trace.of([*trace_of("always").events, *again])) is ScoredArm.BOTH
    assert ScoredArm.of(Trace.of([*again, *again])) is ScoredArm.SMALL
    assert ScoredArm.of(Trace()) is ScoredArm.BOTH


def test_an_answer_that_was_broken_off_is_no_answer():
    assert ScoreRow.of(Trace.of(trace_of("never").events[:3]), expected="12085").answer is None
