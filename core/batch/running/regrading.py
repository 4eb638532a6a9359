"""Grades the texts of a batch again without running a model."""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import NamedTuple

from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.extract import given_in
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Regex, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.trace import Trace


class Regraded(NamedTuple):
    """A row as it is graded now, and as it was before."""

    row: ResultRow
    before: ResultRow


def regraded_in_words(found: Collection[Regraded]) -> str:
    """Say how many answers were graded again, and how many have another verdict."""
    changed = sum(row.outcome is not before.outcome for row, before in found)
    again = f"{counted(len(found), 'answer')} {'was' if len(found) == 1 else 'were'} graded again"
    return f"{again}: {changed:,} {'has' if changed == 1 else 'have'} another verdict."


def grade_answer(grader: Grader, problem: Problem, trace: Trace, how: How | Regex) -> tuple[str, Verdict]:
    """Return the answer of a run, empty if there is none, and its verdict."""
    given = given_in(trace, problem.expected, how)
    answer = given_in(trace, problem.expected) if isinstance(how, Regex) else given  # a pattern is given all text
    return answer or "", grader.grade(problem.expected, given, how)


def regrade(
    store: Store, batch: str, grader: Grader, how: How | Regex | None = None
) -> Generator[Regraded, None, None]:
    """Extract and grade every answer of the batch again, except for those whose text is damaged.

    `how` is kept for later answers; None: as before. All verdicts are saved together at the end, so that a batch that
    is stopped meanwhile has no mixture of two ways of grading. Raises StoreError, and SettingsError if the batch is
    running.
    """
    opened = store.batches.open(batch)
    if store.batches.is_running(batch):
        raise SettingsError(f"“{opened.name}” is running.", "Wait until it is done, or stop it first.")
    settings = BatchSettings.of(opened)
    settings = settings.graded_by(how) if how is not None else settings
    problems = list(store.batches.problems(batch))
    regraded: list[tuple[int, str, Verdict]] = []
    for row in [row for row in store.batches.results(batch) if row.has_answer]:
        problem, (trace, damage) = problems[row.position], store.runs.read(row.run)
        if damage:
            continue
        answer, verdict = grade_answer(grader, problem, trace, settings.how)
        regraded.append((row.job, answer, verdict))
        yield Regraded(row._replace(answer=answer, verdict=verdict), row)
    latest = BatchSettings.of(store.batches.open(batch)).graded_by(settings.how)
    store.batches.regrade(batch, latest.stored(), regraded)
