"""Reads the results of a batch, and defines the lines of results.jsonl.

`ExportedResult` is also what `baton batch run --json` prints (docs/batch.md). A field that changes its meaning, or is
removed, means a new version of the schema; a new field does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Literal, Self

from pydantic import BaseModel, Field

from baton_reasoning.core.analysis.run_cost import Cost
from baton_reasoning.core.analysis.values import StepValues, TextPlace
from baton_reasoning.core.batch.reporting.report import EXPORTED, Report, build_report
from baton_reasoning.core.batch.reporting.worth import values_in
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import Batch, Conditions, ResultRow
from baton_reasoning.core.store.runs import DAMAGED
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.trace import Piece, Trace


class WrittenSpan(BaseModel):
    """What one author wrote of one step in one go."""

    model_config = EXPORTED

    author: Literal["small", "large", "inserted"]
    start: int = Field(description="Position of its first character in `text`.")
    end: int = Field(description="Position after its last character.")
    step: int = Field(description="Index of its step, from 0.")
    tokens: int
    reason: str | None = Field(description="Why this model wrote it, for a takeover; id of a takeover reason.")
    cue: str | None = Field(description="The cue that led to the takeover.")
    in_answer: bool = Field(description="After the end of the thinking.")
    discarded_tokens: int = Field(description="Tokens that were written in its place before, and discarded.")

    @classmethod
    def of(cls, piece: Piece) -> WrittenSpan:
        return cls(
            author=piece.author.value,
            start=piece.position,
            end=piece.end_position,
            step=piece.step,
            tokens=len(piece.tokens),
            reason=piece.reason,
            cue=piece.cue.word if piece.cue else None,
            in_answer=piece.in_answer,
            discarded_tokens=piece.replaced_tokens,
        )


class PlaceValue(BaseModel):
    """The chance that a writer gets the answer right from a place of the text, estimated (`baton value`)."""

    model_config = EXPORTED

    writer: str = Field(description="Who wrote the continuations: small, large, or policy, the run's own.")
    position: int = Field(description="Characters of `text` before the place.")
    replaced: bool = Field(description="After the text that was replaced there, instead of the text that stands.")
    value: float = Field(description="Share of the continuations that end right.")
    low: float = Field(description="Lower end of the 95% interval, Wilson's.")
    high: float
    rollouts: int
    worth: float | None = Field(
        description="Of the takeover that ends there: value less that after what it replaced; null where none ends."
    )

    @classmethod
    def all_of(cls, values: StepValues) -> Iterator[PlaceValue]:
        worths = {worth.after.place: worth.difference.value for worth in values.takeovers}
        for each in values.estimated.places:
            if found := values.at(TextPlace(each.position, each.replaced)):
                yield cls(
                    writer=values.estimated.writer,
                    **found.place._asdict(),
                    **asdict(found.value),
                    rollouts=found.rollouts,
                    worth=worths.get(found.place),
                )


class ExportedAnswer(BaseModel):
    """An answer to a problem, its verdict, and its text."""

    model_config = EXPORTED

    schema_version: Literal["baton-result-1"] = Field("baton-result-1", alias="schema")
    batch: str = Field(description="Id of the batch, as in report.json.")
    run: str = Field(description="Id of the run in the store that holds the batch.")
    id: str = Field(description="Id of the problem, unique in the batch.")
    problem: str = Field(description="The problem, options included, without the instruction after it.")
    arm: str
    seed: int = Field(
        description="Of the batch; the run's own is seed · 1,000,003 + index of the problem in the batch that ran it."
    )
    state: Literal["waiting", "claimed", "done"]
    answer: str = Field(description="The answer that was found in the text; empty if there is none.")
    expected: str | None = Field(description="The expected answer; null if the problem cannot be graded.")
    outcome: str = Field(description="correct, wrong, unscored or error; or the state of a job that is not done.")
    graded_by: str | None = Field(description="How the answer was compared: exact, numeric, choice, math, regex …")
    reason: str = Field(description="Why the grader decided so.")
    error: str = Field(description="Why there is no answer; empty if there is one.")
    notices: tuple[str, ...] = Field(
        description="What the engines reported: retries, restarts, caps; or that `text` is damaged."
    )
    text: str = Field(description="All generated text that was kept, thinking and answer.")
    answer_start: int | None = Field(description="Position in `text` after the end of the thinking; null without one.")
    spans: tuple[WrittenSpan, ...] = Field(description="Who wrote what of `text`; they cover it without gaps.")
    values: tuple[PlaceValue, ...] = Field(description="Of places of `text`, where they have been estimated.")


class ExportedResult(Cost, ExportedAnswer):
    """One problem under one arm with one seed: the answer, what it cost, and how it came about."""

    seconds_to_answer: float | None = Field(description="To the first token after the thinking; null without one.")
    finish: str = Field(description="How the text ended: end of text, max tokens …; empty if it has not.")
    started: datetime | None
    ended: datetime | None
    conditions: Conditions | None
    source: str = Field(description="File of the problem.")
    line: int = Field(description="Line of the file on which the problem begins.")
    metadata: dict[str, str] = Field(description="Other columns of the file.")

    @classmethod
    def of(cls, batch: str, problem: Problem, row: ResultRow, trace: Trace) -> Self:
        """Describe the result of a job. `batch`: its id. `trace`: of its run, or an empty one to leave out the text."""
        verdict = row.verdict
        # Fields of the same name are taken over; those that a result does not have are ignored.
        fields = vars(problem) | row._asdict() | dict(row.cost)
        fields |= {
            "batch": batch,
            "problem": problem.text,
            "line": problem.source_line,
            "state": row.state.value,
            "outcome": "error" if row.error else (verdict.outcome if verdict else row.state).value,
            "graded_by": verdict.how.value if verdict else None,
            "reason": verdict.reason if verdict else "",
            "finish": row.finish.value if row.finish else "",
            "text": trace.text,
            "answer_start": trace.closed.position if trace.closed else None,
            "notices": (*row.notices, *(each.text for each in trace.notices if each.text == DAMAGED)),
            "spans": tuple(map(WrittenSpan.of, trace.pieces)),
            "values": tuple(chain.from_iterable(map(PlaceValue.all_of, values_in(trace).values()))),
        }
        return cls(**fields)


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
            trace = self.store.runs.read(row.run).noticed if with_text and row.started else Trace()
            yield ExportedResult.of(self.batch.id, self.problems[row.position], row, trace)
