"""What was read from a file of problems, to be shown before any of them runs."""

from __future__ import annotations

from typing import NamedTuple

from core.text import counted

MOST_DROPPED = 5
"""Dropped records that `lines` names one by one."""


class ColumnChoice(NamedTuple):
    """A column, the part that it plays, and why it was chosen."""

    part: str
    """ "problem", "answer", "solution", "id", "options" or "context"."""
    column: str
    reason: str


class ImportReport(NamedTuple):
    columns: tuple[ColumnChoice, ...]
    other_columns: tuple[str, ...]
    """Kept as metadata of each problem."""
    problems: int
    with_answer: int
    multiple_choice: int
    dropped: tuple[str, ...]
    """A sentence for each record that was left out: file, line, reason."""
    notes: tuple[str, ...]
    """Sentences about what was guessed or changed: encodings, repeated ids, files that were skipped."""

    @property
    def can_be_graded(self) -> bool:
        return self.with_answer > 0

    def lines(self) -> list[str]:
        """The report in sentences, for the terminal and the window."""
        read = counted(self.problems, "problem")
        if self.with_answer == self.problems:
            answers = "with an answer each" if self.problems > 1 else "with an answer"
        else:
            answers = f"{self.with_answer:,} with an answer, {self.problems - self.with_answer:,} cannot be graded"
        choice = f", {self.multiple_choice:,} multiple choice" if self.multiple_choice else ""
        found = [f"Read {read}, {answers}{choice}."]
        for part, column, reason in self.columns:
            one, several = f"The {part} is the column", f"The {part} are the columns"
            found.append(f"{several if ', ' in column else one} “{column}” ({reason}).")
        if self.columns and not any(each.part in ("answer", "solution") for each in self.columns):
            found.append("No column holds an answer.")
        if self.other_columns:
            found.append(f"Other columns are kept as metadata: {', '.join(self.other_columns)}.")
        if self.dropped:
            count = "1 record was" if len(self.dropped) == 1 else f"{len(self.dropped):,} records were"
            found.append(f"{count} dropped:")
            found += [f"  {sentence}" for sentence in self.dropped[:MOST_DROPPED]]
            if len(self.dropped) > MOST_DROPPED:
                found.append(f"  and {len(self.dropped) - MOST_DROPPED:,} more")
        return [*found, *self.notes]
