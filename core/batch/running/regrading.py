"""Grades the texts of a batch again without running a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator
from typing import NamedTuple

from baton_reasoning.core.batch.running.batch import BatchSettings, as_stored
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.compare import choice_letter
from baton_reasoning.core.grading.extract import answer_of_run
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import Grading, GradingMethod, Regex, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import Graded, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.trace import Trace

_OPTION = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]+(\S.*?)[ \t]*$", re.MULTILINE)


class Regraded(NamedTuple):
    """A row as it is graded now, and as it was before."""

    row: ResultRow
    before: ResultRow


def regraded_in_words(found: Collection[Regraded]) -> str:
    """Say how many answers were graded again, and how many have another verdict."""
    changed = sum(row.outcome is not before.outcome for row, before in found)
    again = f"{counted(len(found), 'answer')} {'was' if len(found) == 1 else 'were'} graded again"
    return f"{again}: {changed:,} {'has' if changed == 1 else 'have'} another verdict."


def expected_of(problem: Problem, how: Grading) -> str | None:
    """Return the expected answer as it is graded: of a problem with options the letter and its text, `(B) Paris`.

    So an answer that names an option by its text is recognised. Other ways than `AUTO` compare with the letter alone.
    """
    expected = problem.expected
    if how is not GradingMethod.AUTO or expected is None or choice_letter(expected) != expected:
        return expected
    options = dict(_OPTION.findall(problem.text))
    return f"({expected}) {options[expected]}" if expected in options and "A" in options else expected


def grade_answer(grader: Grader, problem: Problem, trace: Trace, how: Grading) -> tuple[str, Verdict]:
    """Return the answer of a run, empty if there is none, and its verdict."""
    expected = expected_of(problem, how)
    given = answer_of_run(trace, expected, how)
    answer = answer_of_run(trace, expected) if isinstance(how, Regex) else given  # a pattern is given all text
    return answer or "", grader.grade(expected, given, how)


def regrade(store: Store, batch: str, grader: Grader, how: Grading | None = None) -> Generator[Regraded, None, None]:
    """Extract and grade every answer of the batch again, except for those whose text is damaged.

    `how` is kept for later answers; None: as before. All verdicts are saved together at the end, so that a batch that
    is stopped meanwhile has no mixture of two ways of grading. Raises SettingsError if the batch is running, and
    StoreError, also if another program has begun to run it meanwhile.
    """
    opened = store.batches.open(batch)
    if store.batches.is_running(batch):
        raise SettingsError(f"“{opened.name}” is running.", "Wait until it is done, or stop it first.")
    settings = BatchSettings.of(opened)
    settings = settings.graded_by(how) if how is not None else settings
    problems = list(store.batches.problems(batch))
    graded: dict[int, Graded | None] = {}
    for row in [row for row in store.batches.results(batch) if row.has_answer]:
        found = store.runs.read(row.run)
        if found.damage:
            graded[row.job] = None
            continue
        answer, verdict = graded[row.job] = grade_answer(grader, problems[row.position], found.trace, settings.how)
        yield Regraded(row._replace(answer=answer, verdict=verdict), row)
    store.batches.regrade(batch, as_stored(lambda latest: latest.graded_by(settings.how)), graded)
