"""Reads all results of a batch once, for the report and every export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from baton_reasoning.core.batch.reporting.exported_result import ExportedResult
from baton_reasoning.core.batch.reporting.report import Report, answered, build_report
from baton_reasoning.core.batch.reporting.run_cost import RunCost
from baton_reasoning.core.batch.reporting.worth import values_of
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batch_rows import Batch, ResultRow
from baton_reasoning.core.store.outline import Outline
from baton_reasoning.core.store.store import Store

NOT_WRITTEN = Outline((), None)
PROGRESS_EVERY = 500
"""Runs between two reports of progress."""


@dataclass(frozen=True)
class Results:
    store: Store
    batch: Batch
    problems: list[Problem]
    rows: list[ResultRow]
    costs: dict[int, RunCost]
    """Of the rows with an answer, by their job."""

    @classmethod
    def read(cls, store: Store, batch_id: str, on_progress: Callable[[float], object] = lambda _: None) -> Results:
        """Read the outline of every run: a second for some thousand. `on_progress` gets the share that is read, 0 to 1.

        Raises StoreError.
        """
        rows = list(store.batches.results(batch_id))
        costs, with_answer = {}, answered(rows)
        for number, row in enumerate(with_answer):
            costs[row.job] = RunCost.of(store.runs.outline(row.run))
            if number % PROGRESS_EVERY == 0:
                on_progress(number / len(with_answer))
        return cls(store, store.batches.open(batch_id), list(store.batches.problems(batch_id)), rows, costs)

    @cached_property
    def report(self) -> Report:
        return build_report(self.batch, self.problems, self.rows, self.costs)

    def exported(self, with_text: bool = True) -> Iterator[ExportedResult]:
        """Yield a result for each job, those that wait included. Raises StoreError.

        `with_text`: read the text of each run, and its values; otherwise `text`, `spans` and `values` are empty.
        """
        for row in self.rows:
            is_read = with_text and row.started
            outline = self.store.runs.outline(row.run) if is_read else NOT_WRITTEN
            values = values_of(self.store, row.run) if is_read else {}
            problem, cost = self.problems[row.position], self.costs.get(row.job)
            yield ExportedResult.of(self.batch.id, problem, row, outline, cost, values.values())
