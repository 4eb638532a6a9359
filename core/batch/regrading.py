"""Grades the answers of a batch again, in another way, without running a model."""

from __future__ import annotations

from collections.abc import Iterator

from core.batch.batch_settings import BatchSettings
from core.grading.grader import Grader
from core.grading.verdict import How, Regex, Verdict
from core.problem import Problem
from core.store.batch_rows import JobState, ResultRow
from core.store.store import Store

PORTION = 200
"""Verdicts saved in one transaction."""


def verdict_on(grader: Grader, problem: Problem, answer: str, written: str, how: How | Regex) -> Verdict:
    """The verdict on an answer. A pattern is matched against all text after the thinking (`written`); every other way
    compares the answer that was found in it."""
    given = written if isinstance(how, Regex) else answer
    return grader.grade(problem.expected, given or None, how)


def regrade(store: Store, batch: str, grader: Grader, how: How | Regex) -> Iterator[ResultRow]:
    """Grade every answer of the batch again, and later ones in the same way; yields each row with its new verdict.

    Jobs that wait or ended in an error are left alone. Raises StoreError.
    """
    settings = BatchSettings.of(store.batches.open(batch)).graded_by(how)
    store.batches.set_settings(batch, settings.stored())
    problems = list(store.batches.problems(batch))
    answered = [row for row in store.batches.results(batch) if row.state is JobState.DONE and not row.error]
    for begin in range(0, len(answered), PORTION):
        graded = []
        for row in answered[begin : begin + PORTION]:
            written = store.runs.summary(row.run).answer if isinstance(how, Regex) else ""
            verdict = verdict_on(grader, problems[row.position], row.answer, written, how)
            graded.append(row._replace(verdict=verdict))
        store.batches.regrade([(row.job, row.verdict) for row in graded if row.verdict])
        yield from graded
