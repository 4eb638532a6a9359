"""Problems from a file or a folder, whatever its format; bad records are named and the rest is read."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from core.batch.columns import Columns, Options, available_columns, guess_columns
from core.batch.readers import READERS
from core.batch.row import Record, Rejected, Value
from core.batch.source import ProblemSource
from core.errors import ProblemFileError
from core.grading.extraction import expected_answer
from core.problem import Problem

_NOT_PROBLEMS = ("readme", "license", "licence", "changelog", "contributing")
_MOST_FILES = 10_000


@dataclass(frozen=True)
class ProblemSet:
    """What a file or folder holds. `columns` are those used (of the first file, if each was guessed)."""

    name: str
    problems: tuple[Problem, ...]
    rejected: tuple[Rejected, ...]
    columns: Columns
    available_columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Sentences about what was guessed or changed: encodings, repeated ids, files passed over."""


def read_problems(path: Path, columns: Columns | None = None, limit: int | None = None) -> ProblemSet:
    """Read a file, or every readable file of a folder; at most `limit` problems.

    Raises ProblemFileError when nothing at all can be read from it.
    """
    problems = _read_folder(path, columns, limit) if path.is_dir() else _read_file(path, columns, limit)
    return _with_unique_ids(problems)


def _read_file(path: Path, columns: Columns | None, limit: int | None, label: str | None = None) -> ProblemSet:
    source = ProblemSource.open(path)
    reader = READERS.get(source.suffix)
    if reader is None:
        raise ProblemFileError(
            f"{path.name} is in no format that can be read.", f"Readable are {', '.join(READERS)}, also with .gz."
        )
    # Some records beyond the limit, in case there are bad ones among the first.
    records = list(reader(source) if limit is None else islice(reader(source), 2 * limit + 100))
    rows = [record for record in records if isinstance(record, Record)]
    rejected = [record for record in records if isinstance(record, Rejected)]
    if not rows:
        reason = f" Line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
        raise ProblemFileError(f"{path.name} holds no problem that can be read.{reason}", "Correct the file.")
    names = available_columns(rows)
    columns = columns or guess_columns(rows)
    if columns is None or columns.problem not in names:
        wanted = f"has no column “{columns.problem}”" if columns else "does not tell which column is the problem"
        raise ProblemFileError(f"{path.name} {wanted}.", f"Choose one of: {', '.join(names[:20])}.")
    problems: list[Problem] = []
    for row in rows:
        if limit is not None and len(problems) == limit:
            break
        outcome = _problem(row, columns, label or source.name, number=len(problems) + 1)
        if isinstance(outcome, Problem):
            problems.append(outcome)
        else:
            rejected.append(outcome)
    if not problems:
        raise ProblemFileError(
            f"{path.name} has an empty “{columns.problem}” in every row.",
            f"Choose another column: {', '.join(names[:20])}.",
        )
    bad = sorted((replace(record, source=label or source.name) for record in rejected), key=lambda bad: bad.line)
    notes = (source.note,) if source.note else ()
    return ProblemSet(Path(source.name).stem, tuple(problems), tuple(bad), columns, names, notes)


def _read_folder(folder: Path, columns: Columns | None, limit: int | None) -> ProblemSet:
    sets: list[ProblemSet] = []
    rejected: list[Rejected] = []
    passed_over = 0
    for path in sorted(islice(folder.rglob("*"), _MOST_FILES)):
        inside = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        if _suffix(path) not in READERS or path.name.lower().startswith(_NOT_PROBLEMS):
            passed_over += 1
            continue
        left = None if limit is None else limit - sum(len(each.problems) for each in sets)
        if left == 0:
            break
        try:
            sets.append(_read_file(path, columns, left, label=inside.as_posix()))
        except ProblemFileError as error:
            rejected.append(Rejected(0, str(error), inside.as_posix()))
    if not sets:
        reason = f" {rejected[0].reason}" if rejected else ""
        raise ProblemFileError(
            f"The folder {folder.name} holds no file of problems that can be read.{reason}",
            f"Readable are {', '.join(READERS)}, also with .gz.",
        )
    notes = [note for each in sets for note in each.notes]
    if passed_over:
        notes.append(f"Files passed over, because they hold no problems: {passed_over}.")
    return ProblemSet(
        folder.name,
        tuple(problem for each in sets for problem in each.problems),
        (*rejected, *(record for each in sets for record in each.rejected)),
        sets[0].columns,
        tuple(dict.fromkeys(name for each in sets for name in each.available_columns)),
        tuple(notes),
    )


def _suffix(path: Path) -> str:
    path = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return path.suffix.lower()


def _problem(row: Record, columns: Columns, source: str, number: int) -> Problem | Rejected:
    text = _as_text(row.fields.get(columns.problem)).strip()
    if not text:
        return Rejected(row.line, f"Its “{columns.problem}” is empty.")
    answer = row.fields.get(columns.answer) if columns.answer else None
    expected = expected_answer(_as_text(answer))
    if expected is None and columns.solution:
        expected = expected_answer(_as_text(row.fields.get(columns.solution)), worked=True)
    options = _options(row, columns, text, expected)
    if options:
        text = options.written_below(text)
        expected = options.letter_of(answer if isinstance(answer, int) else expected)
    identity = _as_text(row.fields.get(columns.id)).strip() if columns.id else ""
    used = {columns.problem, columns.answer, columns.id, columns.choices, *columns.wrong}
    metadata = {
        name: _as_text(value) for name, value in row.fields.items() if name not in used and value not in (None, "")
    }
    return Problem(identity or str(number), text, expected, metadata, row.line, source)


def _options(row: Record, columns: Columns, text: str, expected: str | None) -> Options | None:
    if columns.choices:
        return Options.from_value(row.fields.get(columns.choices))
    wrong = [_as_text(row.fields.get(name)) for name in columns.wrong]
    wrong = [option for option in wrong if option.strip()]
    return Options.shuffled(expected, wrong, seed=text) if wrong and expected else None


def _as_text(value: Value) -> str:
    """A field as text. Of chat messages, what the user says; of any other structure, its JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, dict) and "content" in item for item in value):
        said = [item["content"] for item in value if isinstance(item, dict) and item.get("role") == "user"]
        return "\n\n".join(_as_text(content) for content in said)
    # Parquet has dates and bytes, which JSON cannot say.
    return json.dumps(value, ensure_ascii=False, default=str)


def _with_unique_ids(found: ProblemSet) -> ProblemSet:
    """Repeated ids get `#2`, `#3` … so that each problem can be named, and a note says so."""
    counts = Counter(problem.id for problem in found.problems)
    repeated = [identity for identity, count in counts.items() if count > 1]
    if not repeated:
        return found
    return replace(
        found,
        problems=tuple(_numbered(found.problems, taken=set(counts))),
        notes=(
            *found.notes,
            f"Ids that occur more than once: {len(repeated)}. They were made unique with #2, #3 …",
        ),
    )


def _numbered(problems: Iterable[Problem], taken: set[str]) -> Iterable[Problem]:
    seen: Counter[str] = Counter()
    for problem in problems:
        seen[problem.id] += 1
        if seen[problem.id] == 1:
            yield problem
            continue
        number = seen[problem.id]
        while f"{problem.id}#{number}" in taken:
            number += 1
        unique = f"{problem.id}#{number}"
        taken.add(unique)
        seen[problem.id] = number
        yield replace(problem, id=unique)
