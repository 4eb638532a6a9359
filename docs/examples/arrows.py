"""Questions and answers with an arrow between: `What is 2 + 2? => 4`."""

from __future__ import annotations

from collections.abc import Iterator

from baton_reasoning.core.batch.reading.source import ProblemSource, Record, Rejected


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    for number, line in enumerate(source.text.splitlines(), 1):
        question, arrow, answer = line.partition("=>")
        if arrow:
            yield Record(number, {"problem": question.strip(), "answer": answer.strip()})
        elif line.strip():
            yield Rejected(number, "There is no => between question and answer.")
