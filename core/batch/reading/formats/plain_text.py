"""Reads problems as people type them: one a line, or longer ones with a blank line or a rule (`---`) between them.

A line “Answer: …” ends a problem and holds its expected answer.
"""

import re
from collections.abc import Callable, Iterator

from baton_reasoning.core.batch.reading.record import Record, Rejected, Value, within_limits
from baton_reasoning.core.batch.reading.source import ProblemSource

_RULE = re.compile(r"\s*([-=*_])\1{2,}\s*$")
_ANSWER = re.compile(r"\s*\**(?:answer|expected)\**\s*[:=]\**\s*(?P<answer>.+)$", re.IGNORECASE)

NumberedLine = tuple[int, str]


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Split the text at rules; without any after each answer; without answers at blank lines; else into lines."""
    lines = list(enumerate(source.text.split("\n"), start=1))
    if any(_RULE.match(line) for _, line in lines):
        blocks = _split(lines, _RULE.match)
    elif any(_ANSWER.match(line) for _, line in lines):
        blocks = _split_after_answers(lines)
    elif "\n\n" in "\n".join(line.strip() for _, line in lines).strip():
        blocks = _split(lines, lambda line: not line.strip())
    else:
        blocks = [[line] for line in lines]
    for block in blocks:
        yield from _record(block)


def _split(lines: list[NumberedLine], is_break: Callable[[str], object]) -> list[list[NumberedLine]]:
    blocks: list[list[NumberedLine]] = [[]]
    for number, line in lines:
        if is_break(line):
            blocks.append([])
        else:
            blocks[-1].append((number, line))
    return blocks


def _split_after_answers(lines: list[NumberedLine]) -> list[list[NumberedLine]]:
    blocks: list[list[NumberedLine]] = [[]]
    for number, line in lines:
        blocks[-1].append((number, line))
        if _ANSWER.match(line):
            blocks.append([])
    return blocks


def _record(block: list[NumberedLine]) -> Iterator[Record | Rejected]:
    written = [(number, line) for number, line in block if line.strip()]
    if not written:
        return
    answer = _ANSWER.match(written[-1][1]) if len(written) > 1 else None
    last = written[-1][0] - 1 if answer else written[-1][0]
    fields: dict[str, Value] = {"problem": "\n".join(line for number, line in block if number <= last).strip()}
    if answer:
        fields["answer"] = answer["answer"].strip()
    yield within_limits(Record(written[0][0], fields))
