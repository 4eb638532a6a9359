"""Reads problems from a file, a folder, a data set or standard input; reports bad records and reads the rest."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.batch.reading.columns import (
    GUESS,
    Columns,
    Corrections,
    Options,
    as_list,
    as_text,
    available_columns,
    guess_columns,
    is_filled,
    joined,
)
from baton_reasoning.core.batch.reading.hub_data import HubDataSet, fetch
from baton_reasoning.core.batch.reading.records import ENDINGS, is_readable, read_records
from baton_reasoning.core.batch.reading.source import ENCODINGS, ProblemSource, Record, Rejected
from baton_reasoning.core.demo_pair import WHAT_IT_SOLVES, BeyondDemo, DemoProblem
from baton_reasoning.core.errors import ProblemFileError, UnknownEncoding
from baton_reasoning.core.export.json_format import is_exported
from baton_reasoning.core.grading.compare import LETTERS
from baton_reasoning.core.grading.extract import expected_answer
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.text import counted, some_of

if TYPE_CHECKING:
    from baton_reasoning.core.models.hub import Hub  # with it comes the network

MOST_DROPPED = 5
"""Rejected records that the summary lists, at most."""
SUPPORTED = f"Supported are {', '.join(ENDINGS)}. Unpack an archive first."
_NOT_PROBLEMS = ("readme", "license", "licence", "changelog", "contributing")
_MOST_FILES = 10_000
_NO_ANSWER = ("nan", "n/a", "N/A", "#N/A")
"""What tables have in a cell without a value."""


class ProblemFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(description="In a folder, its path inside the folder.")
    sha256: str = Field(description="Of its bytes, in hexadecimal digits.")


class ProblemOrigin(BaseModel):
    """Where the problems of a batch come from, for its report."""

    model_config = ConfigDict(frozen=True)

    data_set: str = Field(
        "", description="Of the Hub, with its commit: hf:OWNER/NAME@COMMIT:SPLIT; empty: no data set."
    )
    files: tuple[ProblemFile, ...] = ()


@dataclass(frozen=True)
class ProblemSet:
    """The problems of a file, folder or data set, and what is shown of them before a batch."""

    name: str
    problems: tuple[Problem, ...]
    rejected: tuple[Rejected, ...]
    columns: tuple[Columns, ...]
    """Of each file."""
    available_columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Sentences about what was guessed or changed: encodings, repeated ids, files that were skipped."""
    origin: ProblemOrigin = field(default_factory=ProblemOrigin)
    encoding: str = ""
    """The encoding that was named or guessed for text that is not Unicode; "" if there is none."""

    @property
    def with_answer(self) -> int:
        return sum(problem.expected is not None for problem in self.problems)

    def for_demo(self) -> ProblemSet:
        """Leave out what the demo pair does not solve; a note says how many. Raises BeyondDemo if nothing is left."""
        solved = tuple(problem for problem in self.problems if DemoProblem.of(problem.text))
        if not solved:
            raise BeyondDemo("No problem here is one: name or choose other models.")
        if left_out := len(self.problems) - len(solved):
            note = f"{WHAT_IT_SOLVES} Other problems are left out: {left_out:,}."
            return replace(self, problems=solved, notes=(*self.notes, note))
        return self

    def summary(self, seen: Collection[str] = ()) -> list[str]:
        """Say in sentences what was read, which columns were used, and what was dropped or guessed.

        `seen`: parts of a problem whose column is shown elsewhere, and left out unless files differ in it.
        """
        total = len(self.problems)
        answers = "with an answer each" if total > 1 else "with an answer"
        if self.with_answer != total:
            answers = f"{self.with_answer:,} with an answer, {total - self.with_answer:,} cannot be graded"
        lines = [f"Read {counted(total, 'problem')}, {answers}."]
        parts: defaultdict[str, dict[tuple[str, ...], str]] = defaultdict(dict)
        for part, columns in chain.from_iterable(each.parts.items() for each in self.columns):
            parts[part][columns] = f"“{', '.join(columns)}”"
        for part, used in parts.items():
            if part in seen and len(used) == 1:
                continue
            verb = "are the columns" if len(next(iter(used))) > 1 else "is the column"
            lines.append(f"The {part} {verb} {' or '.join(used.values())}.")
        if "answer" not in parts and "solution" not in parts:
            lines.append("No column is read as the answer.")
        named = {name for used in parts.values() for columns in used for name in columns}
        if others := [name for name in self.available_columns if name not in named]:
            lines.append(f"Other columns are kept as metadata: {', '.join(others)}.")
        if self.rejected:
            count = "1 record was" if len(self.rejected) == 1 else f"{len(self.rejected):,} records were"
            lines.append(f"{count} dropped:")
            lines += [f"  {bad.source} line {bad.line}: {bad.reason}" for bad in self.rejected[:MOST_DROPPED]]
            if len(self.rejected) > MOST_DROPPED:
                lines.append(f"  and {len(self.rejected) - MOST_DROPPED:,} more")
        return [*lines, *self.notes]


def read_problems(place: Path | ProblemSource, limit: int | None = None, named: Corrections = GUESS) -> ProblemSet:
    """Read a file, standard input, or every readable file of a folder; at most `limit` problems.

    Columns and an encoding that are not `named` are guessed. Raises ProblemFileError when nothing can be read, or a
    column is missing; UnknownEncoding.
    """
    if isinstance(place, Path) and place.is_dir():
        return _with_unique_ids(_read_folder(place, limit, named))
    source = place if isinstance(place, ProblemSource) else ProblemSource.open(place, place.name, named.encoding)
    return _with_unique_ids(_read_source(source, limit, named))


def read_data_set(text: str, hub: Hub, limit: int | None = None, named: Corrections = GUESS) -> ProblemSet:
    """Read a data set of the Hub, named as in hub_data.py; otherwise like `read_problems`.

    Raises ProblemFileError, DownloadError.
    """
    data = HubDataSet.parse(text)
    files, pinned = fetch(data, hub)
    found = _read_files([(file, file.name) for file in files], data.name.rpartition("/")[2], limit, named)
    note = f"Read {', '.join(file.name for file in files)} of {pinned}."
    origin = found.origin.model_copy(update={"data_set": pinned})
    return _with_unique_ids(replace(found, notes=(note, *found.notes), origin=origin))


def can_hold_problems(path: Path) -> bool:
    """Tell whether the path is a folder, or a file with the ending of a supported format."""
    return path.is_dir() or is_readable(path.name)


def _read_folder(folder: Path, limit: int | None, named: Corrections) -> ProblemSet:
    found_paths = list(islice(folder.rglob("*"), _MOST_FILES + 1))
    if len(found_paths) > _MOST_FILES:
        raise ProblemFileError(
            f"{folder} has more than {_MOST_FILES:,} files.", "Put its problems into fewer, or name a folder inside it."
        )
    inside = (path.relative_to(folder) for path in found_paths if path.is_file())
    names = sorted(inside, key=lambda name: name.parts)  # paths themselves compare without case on Windows
    visible = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    files = [name for name in visible if is_readable(name.name) and not name.name.lower().startswith(_NOT_PROBLEMS)]
    found = _read_files([(folder / name, name.as_posix()) for name in files], folder.name, limit, named)
    others = {*visible} - {*files}
    if skipped := [name.as_posix() for name in visible if name in others]:
        note = f"Files skipped, because they look like no problems: {some_of(skipped, 3)}."
        found = replace(found, notes=(*found.notes, note))
    return found


def _read_files(files: Sequence[tuple[Path, str]], title: str, limit: int | None, named: Corrections) -> ProblemSet:
    """Read several files as one set. `files`: each with the name that is the source of its problems."""
    sets: list[ProblemSet] = []
    rejected: list[Rejected] = []
    unknown: list[str] = []
    for path, name in files:
        left = None if limit is None else limit - sum(len(each.problems) for each in sets)
        if left == 0:
            break
        try:
            sets.append(_read_source(ProblemSource.open(path, name, named.encoding), left, named))
        except ProblemFileError as error:
            rejected.append(Rejected(0, str(error), name))
            unknown += [named.encoding or ENCODINGS[0]] if isinstance(error, UnknownEncoding) else []
    if not sets:
        reason = f" {rejected[0].reason}" if rejected else ""
        raise (UnknownEncoding if unknown else ProblemFileError)(
            f"{title} holds no file of problems that can be read.{reason}", SUPPORTED
        )
    return ProblemSet(
        title,
        tuple(problem for each in sets for problem in each.problems),
        (*rejected, *(record for each in sets for record in each.rejected)),
        tuple(columns for each in sets for columns in each.columns),
        tuple(dict.fromkeys(column for each in sets for column in each.available_columns)),
        tuple(note for each in sets for note in each.notes),
        ProblemOrigin(files=tuple(file for each in sets for file in each.origin.files)),
        next(filter(None, (*unknown, *(each.encoding for each in sets))), ""),
    )


def _read_source(source: ProblemSource, limit: int | None, named: Corrections) -> ProblemSet:
    if is_exported(source.data):
        raise ProblemFileError(
            f"{source.name} is a conversation that Baton exported.", "Export it as JSON, and drop that on the window."
        )
    if source.suffix not in ("", *ENDINGS):
        raise ProblemFileError(f"{source.name} is not a supported format.", SUPPORTED)
    try:
        # Some records beyond the limit, in case there are bad ones among the first.
        records = list(islice(read_records(source), None if limit is None else 2 * limit + 100))
        return _problem_set(source, records, limit, named)
    except RecursionError as error:
        raise ProblemFileError(f"{source.name} holds JSON that is nested too deeply.", "Correct the file.") from error


def _problem_set(
    source: ProblemSource, records: Sequence[Record | Rejected], limit: int | None, named: Corrections
) -> ProblemSet:
    rejected = [record for record in records if isinstance(record, Rejected)]
    rows = [record for record in records if isinstance(record, Record)]
    if not rows:
        raise _no_problem(source, rejected, "Correct the file.")
    names = available_columns(rows)
    listed = ", ".join(names[:20])
    columns = guess_columns(rows, named)
    if columns is None:
        raise ProblemFileError(
            f"{source.name} does not show which column is the problem.",
            f"Rename it to “problem”, or name it in the terminal with --column problem=NAME. There are: {listed}.",
        )
    if missing := next((name for name in (named.problem, named.answer, named.id) if name and name not in names), None):
        raise ProblemFileError(f"{source.name} has no column “{missing}”.", f"Choose one of: {listed}.")
    if columns.first_option is None:
        source.remarks.append(
            f"{source.name}: no answer shows whether options are counted from 0 or 1; they were counted from 0."
        )
    problems: list[Problem] = []
    for row in rows:
        if limit is not None and len(problems) == limit:
            break
        outcome = _problem(row, columns, source.name, number=len(problems) + 1)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            problems.append(outcome)
    if not problems:
        raise _no_problem(source, rejected, f"Correct the file, or choose another column: {listed}.")
    return ProblemSet(
        Path(source.name).stem,
        tuple(problems),
        tuple(sorted((replace(bad, source=source.name) for bad in rejected), key=lambda bad: bad.line)),
        (columns,),
        names,
        tuple(source.remarks),
        ProblemOrigin(files=(ProblemFile(name=source.name, sha256=hashlib.sha256(source.data).hexdigest()),)),
        "".join(source.decoded_as),
    )


def _no_problem(source: ProblemSource, rejected: Sequence[Rejected], advice: str) -> ProblemFileError:
    reason = f" Line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
    return ProblemFileError(f"{source.name} holds no problem that can be read.{reason}", advice)


def _problem(row: Record, columns: Columns, source: str, number: int) -> Problem | Rejected:
    text = as_text(row.fields.get(columns.problem)).strip()
    if not text:
        return Rejected(row.line, f"Its “{columns.problem}” is empty.")
    if isinstance(row.fields[columns.problem], list | dict):
        return Rejected(row.line, f"Its “{columns.problem}” is a structure, and no text of a problem.")
    before = (joined(row.fields.get(name), "\n").strip() for name in columns.context)
    text = "\n".join([*filter(None, before), text])
    answer = row.fields.get(columns.answer or "")
    solution = as_text(row.fields.get(columns.solution or ""))
    said = joined(answer, ", ")
    said = "" if said.strip() in _NO_ANSWER else said
    expected = expected_answer(said) or expected_answer(solution, worked=True)
    if isinstance(listed := row.fields.get(columns.choices or ""), str) and listed.strip():
        return Rejected(
            row.line, f"Its “{columns.choices}” is one text; write a list, or a column for each: option_a, option_b …"
        )
    options = columns.options_in(row)
    if expected and (wrong := [option for name in columns.wrong if (option := as_text(row.fields.get(name)).strip())]):
        options = Options.shuffled(expected, wrong, seed=text)
    if options and len(options.texts) > len(LETTERS):
        return Rejected(row.line, f"It has {len(options.texts)} options; there are letters for {len(LETTERS)}.")
    if options:
        text = options.written_below(text)
        answers = as_list(answer if isinstance(answer, int | list) else expected)
        answers = [*map(str, answers)] if columns.numbers_are_options else answers
        letters = [options.letter_of(each, columns.first_option or 0) or "" for each in answers]
        expected = ", ".join(letters) if expected and all(letters) else None
    metadata = {
        as_text(name): as_text(value)
        for name, value in row.fields.items()
        if (name not in columns.named or name == columns.solution) and is_filled(value)
    }
    identity = as_text(row.fields.get(columns.id or "")).strip() or str(number)
    return Problem(identity, text, expected, metadata, row.line, source)


def _with_unique_ids(found: ProblemSet) -> ProblemSet:
    """Write #2, #3 … after ids that occur again, so that each problem can be named; a note says so."""
    counts = Counter(problem.id for problem in found.problems)
    repeated = sum(count > 1 for count in counts.values())
    if not repeated:
        return found
    numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(2))
    seen: set[str] = set()
    problems: list[Problem] = []
    for problem in found.problems:
        if problem.id in seen:
            names = (f"{problem.id}#{number}" for number in numbers[problem.id])
            problems.append(replace(problem, id=next(name for name in names if name not in counts)))
        else:
            problems.append(problem)
            seen.add(problem.id)
    note = f"Ids that occur more than once: {repeated}. They were made unique with #2, #3 …"
    return replace(found, problems=tuple(problems), notes=(*found.notes, note))
