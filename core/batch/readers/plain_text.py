"""Problems as people type them: one a line, blocks between blank lines or rules, or Markdown sections.

A last line "Answer: …" in a block is its expected answer.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from core.batch.row import Record, Rejected, Value, within_limits
from core.batch.source import ProblemSource

_RULE = re.compile(r"\s*([-=*_])\1{2,}\s*$")
_HEADING = re.compile(r"#{1,6}\s+(?P<title>\S.*)")
_FENCE = re.compile(r"\s*(```|~~~)")
_ANSWER = re.compile(r"\s*\**(?:answer|expected)\**\s*[:=]\**\s*(?P<answer>.+)$", re.IGNORECASE)

NumberedLine = tuple[int, str]


def read_text(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Blocks between rules (`---`) if there are any, else between blank lines, else one problem a line."""
    lines = list(enumerate(source.text.split("\n"), start=1))
    if any(_RULE.match(line) for _, line in lines):
        blocks = _split(lines, _RULE.match)
    elif _has_inner_blank(line for _, line in lines):
        blocks = _split(lines, lambda line: not line.strip())
    else:
        blocks = [[line] for line in lines]
    for block in blocks:
        yield from _row(block)


def read_markdown(source: ProblemSource) -> Iterator[Record | Rejected]:
    """A problem for each heading with text below it; without headings as in a text file."""
    sections: list[tuple[str, list[NumberedLine]]] = [("", [])]
    fenced = False
    for number, line in enumerate(source.text.split("\n"), start=1):
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        if heading:
            sections.append((heading["title"].rstrip("# "), []))
        elif fenced or not _RULE.match(line):
            sections[-1][1].append((number, line))
    if len(sections) == 1:
        yield from read_text(source)
        return
    for title, lines in sections[1:]:
        yield from _row(lines, title)


def _split(lines: list[NumberedLine], is_break: Callable[[str], object]) -> list[list[NumberedLine]]:
    blocks: list[list[NumberedLine]] = [[]]
    for number, line in lines:
        if is_break(line):
            blocks.append([])
        else:
            blocks[-1].append((number, line))
    return blocks


def _has_inner_blank(lines: Iterable[str]) -> bool:
    return "\n\n" in "\n".join(line.strip() for line in lines).strip()


def _row(block: list[NumberedLine], title: str = "") -> Iterator[Record | Rejected]:
    written = [(number, line) for number, line in block if line.strip()]
    if not written:
        return
    answer = _ANSWER.match(written[-1][1]) if len(written) > 1 else None
    last = written[-1][0] - 1 if answer else written[-1][0]
    text = "\n".join(line for number, line in block if number <= last).strip()
    fields: dict[str, Value] = {"problem": text}
    if answer:
        fields["answer"] = answer["answer"].strip()
    if title:
        fields["title"] = title
    yield within_limits(Record(written[0][0], fields))
