"""Reads all results of a batch once, for the report and every export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from baton_reasoning.core.batch.reporting.exported_result import ExportedResult
from baton_reasoning.core.batch.reporting.report import Report, build_report
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.trace import Trace


@dataclass(frozen=True)
class Results:
    store: Store
    batch: Batch
    problems: list[Problem]
    rows: list[ResultRow]

    @classmethod
    def read(cls, store: Store, batch_id: str) -> Results:
        """Read the batch without the texts. Raises StoreError."""
        batches = store.batches
        return cls(store, batches.open(batch_id), list(batches.problems(batch_id)), list(batches.results(batch_id)))

    @cached_property
    def report(self) -> Report:
        return build_report(self.batch, self.problems, self.rows)

    def exported(self, with_text: bool = True) -> Iterator[ExportedResult]:
        """Yield a result for each job, those that wait included. Raises StoreError.

        `with_text`: read the text of each run, as far as it is not damaged, and its values; otherwise `text`, `spans`
        and `values` are empty.
        """
        for row in self.rows:
            trace = self.store.runs.read(row.run)[0] if with_text and row.started else Trace()
            yield ExportedResult.of(self.batch.id, self.problems[row.position], row, trace)
