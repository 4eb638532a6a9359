"""The problems of a file, folder or data set, and a summary to show before any of them runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.batch.reading.columns import Columns
from baton_reasoning.core.batch.reading.record import Rejected
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.text import counted

MOST_DROPPED = 5
"""Dropped records that the summary names one by one."""


class ProblemFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(description="In a folder, its path inside the folder.")
    sha256: str = Field(description="Of the file as it is stored, in hexadecimal digits.")


class ProblemOrigin(BaseModel):
    """Where problems come from, so that others can find them."""

    model_config = ConfigDict(frozen=True)

    data_set: str = Field(
        "", description="Of the Hub, with its commit: hf:OWNER/NAME@COMMIT:SPLIT; empty: no data set."
    )
    files: tuple[ProblemFile, ...] = ()


@dataclass(frozen=True)
class ProblemSet:
    name: str
    problems: tuple[Problem, ...]
    rejected: tuple[Rejected, ...]
    columns: Columns
    """Those that were used; of the first file, if the columns of each file were guessed."""
    available_columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Sentences about what was guessed or changed: encodings, repeated ids, files that were skipped."""
    multiple_choice: int = 0
    """Number of problems with options."""
    origin: ProblemOrigin = field(default_factory=ProblemOrigin)

    @property
    def with_answer(self) -> int:
        return sum(problem.expected is not None for problem in self.problems)

    def summary(self) -> list[str]:
        """Say in sentences what was read, which columns were used, and what was dropped or guessed."""
        read, total = counted(len(self.problems), "problem"), len(self.problems)
        if self.with_answer == total:
            answers = "with an answer each" if total > 1 else "with an answer"
        else:
            answers = f"{self.with_answer:,} with an answer, {total - self.with_answer:,} cannot be graded"
        choice = f", {self.multiple_choice:,} multiple choice" if self.multiple_choice else ""
        lines = [f"Read {read}, {answers}{choice}."]
        for part, columns, reason in self.columns.choices_made():
            verb = "are the columns" if len(columns) > 1 else "is the column"
            lines.append(f"The {part} {verb} “{', '.join(columns)}” ({reason}).")
        if not (self.columns.answer or self.columns.solution):
            lines.append("No column holds an answer.")
        used = set(self.columns.named())
        if others := [name for name in self.available_columns if name not in used]:
            lines.append(f"Other columns are kept as metadata: {', '.join(others)}.")
        if self.rejected:
            count = "1 record was" if len(self.rejected) == 1 else f"{len(self.rejected):,} records were"
            lines.append(f"{count} dropped:")
            lines += [f"  {bad.source} line {bad.line}: {bad.reason}" for bad in self.rejected[:MOST_DROPPED]]
            if len(self.rejected) > MOST_DROPPED:
                lines.append(f"  and {len(self.rejected) - MOST_DROPPED:,} more")
        return [*lines, *self.notes]
