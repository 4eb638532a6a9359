"""Reads problems from a file, a folder or a data set; bad records are named and the rest is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from baton_reasoning.core.batch.reading.columns import GUESS, ColumnNames, Columns, available_columns, guess_columns
from baton_reasoning.core.batch.reading.formats import READERS
from baton_reasoning.core.batch.reading.hub_data import HubDataSet, fetch
from baton_reasoning.core.batch.reading.multiple_choice import Options
from baton_reasoning.core.batch.reading.problem_set import ProblemFile, ProblemOrigin, ProblemSet
from baton_reasoning.core.batch.reading.record import Record, Rejected, Value, is_missing, within_limits
from baton_reasoning.core.batch.reading.shapes import HasImage, flattened
from baton_reasoning.core.batch.reading.source import ProblemSource
from baton_reasoning.core.errors import ProblemFileError
from baton_reasoning.core.grading.extract import expected_answer
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.text import counted, replace_lone_surrogates

if TYPE_CHECKING:
    from baton_reasoning.core.models.hub import Hub  # with it comes the network

_NOT_PROBLEMS = ("readme", "license", "licence", "changelog", "contributing")
_MOST_FILES = 10_000


def read_problems(path: Path, limit: int | None = None, named: ColumnNames = GUESS) -> ProblemSet:
    """Read a file, or every readable file of a folder; at most `limit` problems.

    Columns that are not `named` are guessed. Raises ProblemFileError when nothing can be read, or a column is missing.
    """
    if path.is_dir():
        return _with_unique_ids(_read_folder(path, limit, named))
    return _with_unique_ids(_read_file(ProblemSource.open(path), limit, named))


def read_data_set(text: str, hub: Hub, limit: int | None = None, named: ColumnNames = GUESS) -> ProblemSet:
    """Read a data set of the Hub, named as in hub_data.py; otherwise like `read_problems`.

    Raises ProblemFileError, DownloadError.
    """
    fetched = fetch(HubDataSet.parse(text), hub)
    found = _read_files([(file, file.name) for file in fetched.files], fetched.name, limit, named)
    origin = found.origin.model_copy(update={"data_set": fetched.pinned})
    return _with_unique_ids(replace(found, notes=(fetched.note, *found.notes), origin=origin))


def _read_file(source: ProblemSource, limit: int | None, named: ColumnNames) -> ProblemSet:
    try:
        return _read_source(source, limit, named)
    except RecursionError as error:
        raise ProblemFileError(f"{source.name} holds JSON that is nested too deeply.", "Correct the file.") from error


def _read_source(source: ProblemSource, limit: int | None, named: ColumnNames) -> ProblemSet:
    reader = READERS.get(source.suffix)
    if reader is None:
        source.refuse_foreign()
        raise ProblemFileError(
            f"{source.name} is not a supported format.", f"Supported are {', '.join(READERS)}, also with .gz."
        )
    # Some records beyond the limit, in case there are bad ones among the first.
    records = list(reader(source) if limit is None else islice(reader(source), 2 * limit + 100))
    rejected = [record for record in records if isinstance(record, Rejected)]
    rows: list[Record] = []
    for record in records:
        if isinstance(record, Record):
            flat = _flat(record)
            if isinstance(flat, Record):
                rows.append(flat)
            else:
                rejected.append(flat)
    if not rows:
        reason = f" Line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
        raise ProblemFileError(f"{source.name} holds no problem that can be read.{reason}", "Correct the file.")
    names = available_columns(rows)
    columns = guess_columns(rows, named)
    if columns is None or (missing := columns.missing_from(names)):
        wanted = f"has no column “{missing}”" if columns else "does not show which column is the problem"
        raise ProblemFileError(f"{source.name} {wanted}.", f"Choose one of: {', '.join(names[:20])}.")
    problems: list[Problem] = []
    multiple_choice = 0
    for row in rows:
        if limit is not None and len(problems) == limit:
            break
        outcome = _problem(row, columns, source.label, number=len(problems) + 1)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
            continue
        problem, has_options = outcome
        problems.append(problem)
        multiple_choice += has_options
    if not problems:
        raise ProblemFileError(
            f"{source.name} has an empty “{columns.problem}” in every row.",
            f"Choose another column: {', '.join(names[:20])}.",
        )
    cleaned = [_without_surrogates(problem) for problem in problems]
    bad = sorted((replace(record, source=source.label) for record in rejected), key=lambda bad: bad.line)
    notes = source.notes
    if changed := sum(each is not problem for each, problem in zip(cleaned, problems, strict=True)):
        count = counted(changed, "problem")
        notes += (f"{source.label}: half characters (lone surrogates) were replaced by “?” in {count}.",)
    name = Path(source.name).stem
    origin = ProblemOrigin(files=(ProblemFile(name=source.label, sha256=source.sha256),))
    return ProblemSet(name, tuple(cleaned), tuple(bad), columns, names, notes, multiple_choice, origin)


def _flat(record: Record) -> Record | Rejected:
    """Return the record with its nested fields flattened, which have the same limit, or why it is rejected."""
    try:
        return within_limits(Record(record.line, flattened(record.fields)))
    except HasImage:
        return Rejected(record.line, "It has a picture, which the models cannot see.")


def _read_folder(folder: Path, limit: int | None, named: ColumnNames) -> ProblemSet:
    skipped = 0
    files: list[tuple[Path, str]] = []
    found_paths = list(islice(folder.rglob("*"), _MOST_FILES + 1))
    if len(found_paths) > _MOST_FILES:
        raise ProblemFileError(
            f"{folder} has more than {_MOST_FILES:,} files.", "Put its problems into fewer, or name a folder inside it."
        )
    for path in sorted(found_paths):
        inside = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        if _suffix(path) not in READERS or path.name.lower().startswith(_NOT_PROBLEMS):
            skipped += 1
            continue
        files.append((path, inside.as_posix()))
    found = _read_files(files, folder.name, limit, named)
    if skipped:
        found = replace(found, notes=(*found.notes, f"Files skipped, because they hold no problems: {skipped}."))
    return found


def _read_files(files: Sequence[tuple[Path, str]], name: str, limit: int | None, named: ColumnNames) -> ProblemSet:
    """Read several files, each with the label that its problems get, as one set."""
    sets: list[ProblemSet] = []
    rejected: list[Rejected] = []
    for path, label in files:
        left = None if limit is None else limit - sum(len(each.problems) for each in sets)
        if left == 0:
            break
        try:
            source = replace(ProblemSource.open(path), label=label)
            sets.append(_read_file(source, left, named))
        except ProblemFileError as error:
            rejected.append(Rejected(0, str(error), label))
    if not sets:
        reason = f" {rejected[0].reason}" if rejected else ""
        raise ProblemFileError(
            f"{name} holds no file of problems that can be read.{reason}",
            f"Supported are {', '.join(READERS)}, also with .gz.",
        )
    return ProblemSet(
        name,
        tuple(problem for each in sets for problem in each.problems),
        (*rejected, *(record for each in sets for record in each.rejected)),
        sets[0].columns,
        tuple(dict.fromkeys(name for each in sets for name in each.available_columns)),
        tuple(note for each in sets for note in each.notes),
        sum(each.multiple_choice for each in sets),
        ProblemOrigin(files=tuple(file for each in sets for file in each.origin.files)),
    )


def can_hold_problems(path: Path) -> bool:
    """Tell whether the path is a folder, or a file with the ending of a supported format."""
    return path.is_dir() or _suffix(path) in READERS


def _suffix(path: Path) -> str:
    path = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return path.suffix.lower()


def _problem(row: Record, columns: Columns, source: str, number: int) -> tuple[Problem, bool] | Rejected:
    """Make the problem of a record, and tell whether it has options."""
    text = _as_text(row.fields.get(columns.problem)).strip()
    if not text:
        return Rejected(row.line, f"Its “{columns.problem}” is empty.")
    if columns.context and (before := _as_text(row.fields.get(columns.context)).strip()):
        text = f"{before}\n{text}"
    answer = row.fields.get(columns.answer) if columns.answer else None
    expected = expected_answer(_as_text(answer))
    if expected is None and columns.solution:
        expected = expected_answer(_as_text(row.fields.get(columns.solution)), worked=True)
    options = _options(row, columns, text, expected)
    if options:
        text = options.written_below(text)
        expected = options.letter_of(answer if isinstance(answer, int) else expected)
    identity = _as_text(row.fields.get(columns.id)).strip() if columns.id else ""
    used = {*columns.named()} - {columns.solution}
    metadata = {
        name: _as_text(value)
        for name, value in row.fields.items()
        if name not in used and value != "" and not is_missing(value)
    }
    return Problem(identity or str(number), text, expected, metadata, row.line, source), options is not None


def _options(row: Record, columns: Columns, text: str, expected: str | None) -> Options | None:
    if columns.choices:
        return Options.from_value(row.fields.get(columns.choices))
    if columns.options:
        cells = [_as_text(row.fields.get(name)) for name in columns.options]
        return Options.from_columns(cells, columns.option_labels)
    wrong = [_as_text(row.fields.get(name)) for name in columns.wrong]
    wrong = [option for option in wrong if option.strip()]
    return Options.shuffled(expected, wrong, seed=text) if wrong and expected else None


def _as_text(value: Value) -> str:
    """Turn a field into text; a structure into its JSON."""
    if is_missing(value):
        return ""
    if isinstance(value, str):
        return value
    # Parquet has dates and bytes, which JSON cannot express.
    return json.dumps(value, ensure_ascii=False, default=str)


def _without_surrogates(problem: Problem) -> Problem:
    """Replace lone surrogates: JSON may hold half of a UTF-16 pair, which no file and no model accepts."""
    texts = [problem.id, problem.text, problem.expected or "", *problem.metadata, *problem.metadata.values()]
    if not any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        return problem
    clean = replace_lone_surrogates
    return replace(
        problem,
        id=clean(problem.id),
        text=clean(problem.text),
        expected=None if problem.expected is None else clean(problem.expected),
        metadata={clean(name): clean(value) for name, value in problem.metadata.items()},
    )


def _with_unique_ids(found: ProblemSet) -> ProblemSet:
    """Make the ids unique, so that each problem can be named; a note says so."""
    counts = Counter(problem.id for problem in found.problems)
    repeated = [identity for identity, count in counts.items() if count > 1]
    if not repeated:
        return found
    return replace(
        found,
        problems=tuple(_unique_ids(found.problems)),
        notes=(
            *found.notes,
            f"Ids that occur more than once: {len(repeated)}. They were made unique with #2, #3 …",
        ),
    )


def _unique_ids(problems: Sequence[Problem]) -> Iterator[Problem]:
    """Yield the problems, with `#2`, `#3` … after repeated ids."""
    taken = {problem.id for problem in problems}
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
