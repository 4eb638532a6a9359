"""Problems as people type them: a text file, a Markdown page, a list or a table.

A line "Answer: …" at the end of a problem is its expected answer.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from core.batch.reading.columns import is_known_name
from core.batch.reading.row import Record, Rejected, Value, within_limits
from core.batch.reading.source import ProblemSource

_RULE = re.compile(r"\s*([-=*_])\1{2,}\s*$")
_HEADING = re.compile(r"#{1,6}\s+(?P<title>\S.*)")
_FENCE = re.compile(r"\s*(```|~~~)")
_ANSWER = re.compile(r"\s*\**(?:answer|expected)\**\s*[:=]\**\s*(?P<answer>.+)$", re.IGNORECASE)
_ITEM = re.compile(r"(?:[-*+]|\d{1,4}[.)])\s+(?P<text>\S.*)")
# Blanks are matched in one place only at each end, or a line of blanks would take quadratic time.
_TABLE_RULE = re.compile(r"\s*(?:\|\s*)?:?-+:?\s*(?:\|\s*:?-+:?\s*)+(?:\|\s*)?$")
_BAR_OR_DOLLAR = re.compile(r"([|$])")

NumberedLine = tuple[int, str]


def read_text(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Blocks between rules (`---`), else texts that end with an "Answer:" line, else blocks between blank lines, else
    one problem a line. Paragraphs in one of many files of a folder are one problem."""
    lines = list(enumerate(source.text.split("\n"), start=1))
    answers = sum(bool(_ANSWER.match(line)) for _, line in lines)
    if any(_RULE.match(line) for _, line in lines):
        blocks = _split(lines, _RULE.match)
    elif answers and (source.one_problem or not _every_block_has_its_answer(lines)):
        blocks = _split_after_answers(lines)
    elif _has_inner_blank(line for _, line in lines):
        blocks = [lines] if source.one_problem else _split(lines, lambda line: not line.strip())
    else:
        blocks = [[line] for line in lines]
    for block in blocks:
        yield from _row(block)


def read_markdown(source: ProblemSource) -> Iterator[Record | Rejected]:
    """A problem for each heading with text below it; under a single heading, or without one, the rows of a table, the
    items of a list, or else as in a text file."""
    sections: list[tuple[str, list[NumberedLine]]] = [("", [])]
    fenced = False
    for number, line in enumerate(source.text.split("\n"), start=1):
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        if heading:
            sections.append((heading["title"].rstrip("# "), []))
        elif fenced or not _RULE.match(line):
            sections[-1][1].append((number, line))
    written = [section for section in sections if any(line.strip() for _, line in section[1])]
    if len(written) <= 1:
        lines = written[0][1] if written else []
        if any(_TABLE_RULE.match(line) for _, line in lines):
            yield from _table(lines)
            return
        if sum(bool(_ITEM.match(line)) for _, line in lines) > 1:
            for item in _items(lines):
                yield from _row(item)
            return
    if len(sections) == 1:
        yield from read_text(source)
        return
    for title, lines in sections[1:]:
        yield from _row(lines, title)


def _table(lines: list[NumberedLine]) -> Iterator[Record | Rejected]:
    """A record for each row below the rule; the line above it names the columns if one of them is known."""
    rule = next(index for index, (_, line) in enumerate(lines) if _TABLE_RULE.match(line))
    header = _cells(lines[rule - 1][1]) if rule else []
    if not any(is_known_name(name) for name in header):
        header = ["problem", "answer", *(f"column {number}" for number in range(3, len(header) + 1))][: len(header)]
    for number, line in lines[rule + 1 :]:
        if "|" not in line:
            continue
        cells = _cells(line)
        if len(cells) > len(header):
            yield Rejected(number, f"The row has {len(cells)} cells, the header {len(header)}.")
        else:
            yield within_limits(Record(number, dict(zip(header, cells, strict=False))))


def _cells(line: str) -> list[str]:
    """Of a table row; a bar after a backslash, or inside dollar signs, parts nothing."""
    inside = line.strip().removeprefix("|").removesuffix("|")
    cells: list[list[str]] = [[]]
    dollars_left = inside.count("$")
    for piece in _BAR_OR_DOLLAR.split(inside.replace("\\|", "\0")):
        dollars_left -= piece == "$"
        if piece == "|" and not dollars_left % 2:
            cells.append([])
        else:
            cells[-1].append(piece)
    return ["".join(cell).replace("\0", "|").strip() for cell in cells]


def _items(lines: list[NumberedLine]) -> list[list[NumberedLine]]:
    """The items of the outermost list, each with its indented lines."""
    items: list[list[NumberedLine]] = []
    for number, line in lines:
        if item := _ITEM.match(line):
            items.append([(number, item["text"])])
        elif items:
            items[-1].append((number, line.strip()))
    return items


def _every_block_has_its_answer(lines: list[NumberedLine]) -> bool:
    """Whether blank lines part the problems: each block has one answer, at its end."""
    blocks = [block for block in _split(lines, lambda line: not line.strip()) if block]
    return all(
        bool(_ANSWER.match(block[-1][1])) and sum(bool(_ANSWER.match(line)) for _, line in block) == 1
        for block in blocks
    )


def _split_after_answers(lines: list[NumberedLine]) -> list[list[NumberedLine]]:
    blocks: list[list[NumberedLine]] = [[]]
    for number, line in lines:
        blocks[-1].append((number, line))
        if _ANSWER.match(line):
            blocks.append([])
    return blocks


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
