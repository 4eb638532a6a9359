"""Guesses from their names which columns hold the problem, the answer, …; reads the options of multiple choice."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import NamedTuple

from baton_reasoning.core.batch.reading.source import Record, Value
from baton_reasoning.core.grading.compare import LETTERS
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.resources import resource_table


def _names_of(what: str) -> list[str]:
    """Read the names that data sets give to a column, in order of trust (resources/tables/column_names.txt)."""
    return [name for kind, *names in resource_table("tables/column_names.txt") if kind == what for name in names]


_PROBLEM, _ANSWER, _SOLUTION, _ID, _CONTEXT = map(_names_of, ("problem", "answer", "solution", "id", "context"))
CHOICES = ("choices", "options", "endings", "answer_choices")
_CONTEXT_OF = dict.fromkeys(("problem", "question", "query", "hypothesis"), _CONTEXT) | {"instruction": ("input",)}
"""Columns whose text comes before a problem from the named column, as in BoolQ, DROP, RACE and Alpaca."""
_WRONG_CHOICE = re.compile(r"(incorrect|wrong)_(answer|choice|option)_?\d*|distractor_?\d*")
_OPTION_COLUMN = re.compile(r"(?:option|choice|answer_choice|opt|op|ending|sol)_?([a-j]|\d)")
_OPTION_WORD = re.compile(r"^(?:option|choice)\s+(?=\w$)", re.IGNORECASE)
_LABEL = re.compile(r"\s*\(?([A-Za-z])\s?[).:]\s*")
"""A label before an option: “A) red”, “(b) green”, “C. blue”, “d : 4”."""

_SHORTEST_PROBLEM = 15
"""A column without a known name can be the problem if its texts have so many characters on average."""


@dataclass(frozen=True)
class Columns:
    """The columns to read; all others become metadata."""

    problem: str
    answer: str | None = None
    solution: str | None = None
    """Its last result is the expected answer of a problem whose `answer` is empty."""
    id: str | None = None
    choices: str | None = None
    """Has all options of a problem."""
    wrong: tuple[str, ...] = ()
    """Have a wrong option each; the right one is the answer."""
    options: tuple[str, ...] = ()
    """Have an option each."""
    option_labels: tuple[str, ...] = ()
    """The labels by which answers name the `options`: letters, or numbers from 0 or 1."""
    context: tuple[str, ...] = ()
    """Their texts come before the problem."""
    first_option: int | None = 0
    """The number by which answers name the first option; None if they are numbers, but show neither 0 nor 1."""
    numbers_are_options: bool = False
    """Whether answers that are numbers count no options, but are one of them."""

    @cached_property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The columns by what they hold, as the summary calls it."""
        parts = {
            "problem": (self.problem,),
            "context": self.context,
            "answer": (self.answer,),
            "solution": (self.solution,),
            "id": (self.id,),
            "options": (self.choices, *self.options, *self.wrong),
        }
        return {part: given for part, names in parts.items() if (given := tuple(filter(None, names)))}

    @cached_property
    def named(self) -> frozenset[str]:
        """The names of all these columns."""
        return frozenset(name for names in self.parts.values() for name in names)

    def options_in(self, row: Record) -> Options | None:
        """Read the options of a record; None if it has none."""
        if self.choices:
            return Options.from_value(row.fields.get(self.choices))
        return Options.from_columns([as_text(row.fields.get(name)) for name in self.options], self.option_labels)


class Corrections(NamedTuple):
    """What a person chose in place of a guess: columns (None to guess one, "" for none), and an encoding."""

    problem: str | None = None
    answer: str | None = None
    id: str | None = None
    encoding: str = ""
    """Of text that is not Unicode; "" to guess it."""


GUESS = Corrections()


def is_known_name(name: str) -> bool:
    """Tell whether a header cell is a name that data sets use for a problem or its answer."""
    return _normalised(name) in {*_PROBLEM, *_ANSWER, *_SOLUTION, *CHOICES, *_CONTEXT}


def available_columns(rows: Iterable[Record]) -> tuple[str, ...]:
    """List the names of all fields, in order of first appearance."""
    return tuple(dict.fromkeys(name for row in rows for name in row.fields))


def guess_columns(rows: Sequence[Record], named: Corrections = GUESS) -> Columns | None:
    """Guess the columns by their names; the problem otherwise by the longest texts.

    A column that is empty in every row is not chosen. None if there is no text.
    """
    filled = {
        name for row in rows for name, value in row.fields.items() if is_filled(value) and not _is_count(name, value)
    }
    names = [name for name in available_columns(rows) if name in filled]
    whole = {_normalised(name): name for name in reversed(names)}
    last_parts = {_normalised(name.rpartition(".")[2]): name for name in reversed(names) if "." in name}

    def first(candidates: Sequence[str]) -> str | None:
        """Find a column by its whole name, else by the last part of a nested name."""
        return next((known[name] for known in (whole, last_parts) for name in candidates if name in known), None)

    answer = first(_ANSWER) if named.answer is None else named.answer or None
    solution = None if named.answer == "" else first(_SOLUTION)
    identity = first(_ID) if named.id is None else named.id or None
    choices = first(CHOICES)
    others = filled - {answer, solution, identity, choices}
    problem = named.problem or first(_PROBLEM) or _longest_text(rows, others)
    if problem is None:
        return None
    known_contexts = _CONTEXT_OF.get(_normalised(problem.rpartition(".")[2]), ())
    contexts = (name for name in names if {_normalised(name), _normalised(name.rpartition(".")[2])} & {*known_contexts})
    solution = None if solution in (problem, answer) else solution
    wrong = tuple(name for name in names if _WRONG_CHOICE.fullmatch(_normalised(name)))
    values = [name for name in names if name not in (problem, answer)]
    options, labels = ((), ()) if choices or wrong else _option_columns(rows, values, answer)
    columns = Columns(
        problem,
        answer,
        solution,
        identity,
        choices,
        wrong if answer else (),
        options,
        labels,
        tuple(name for name in contexts if name not in (problem, answer, choices)),
    )
    if any(_is_option_itself(row, columns) for row in rows):
        return replace(columns, numbers_are_options=True)
    return replace(columns, first_option=_first_option(rows, columns))


def _is_option_itself(row: Record, columns: Columns) -> bool:
    """Tell whether an answer is a number that can count none of its options, and one of them."""
    options = columns.options_in(row)
    answers = [each for each in as_list(row.fields.get(columns.answer or "")) if isinstance(each, int)]
    return options is not None and any(
        not 0 <= each <= len(options.texts) and str(each) in options.texts for each in answers
    )


def _first_option(rows: Sequence[Record], columns: Columns) -> int | None:
    """Tell whether answers count options from 0, which one of them is, or from 1: one is the number of its options."""
    proven: set[int | None] = set()
    for row in rows:
        if options := columns.options_in(row):
            meant = map(options.meant_by, as_list(row.fields.get(columns.answer or "")))
            proven |= {{0: 0, len(options.texts): 1}.get(each) for each in meant if isinstance(each, int)}
    return 0 if 0 in proven or not proven else 1 if 1 in proven else None


def _option_columns(rows: Sequence[Record], names: Sequence[str], answer: str | None) -> tuple[tuple[str, ...], ...]:
    """Find columns with one option each (option_a …; choice1 …; A, B …), and their labels in answers.

    Columns of single letters, A, B … or a, b …, hold options only if every answer is one of these letters.
    """
    by_label: dict[str, str] = {}
    for name in names:
        if found := _OPTION_COLUMN.fullmatch(_normalised(name)):
            by_label.setdefault(found[1].upper(), name)
    given = {str(row.fields[answer]).strip() for row in rows if is_filled(row.fields.get(answer))} if answer else set()
    for known in (LETTERS, "123456789", "0123456789"):
        labels = tuple(takewhile(by_label.__contains__, known))
        if len(labels) >= 2:
            columns = tuple(by_label[label] for label in labels)
            # COPA calls choice1 and choice2, and PIQA sol1 and sol2, by the labels 0 and 1.
            is_from_0 = labels[0] == "1" and ("0" in given or _normalised(columns[0]).startswith("sol"))
            return columns, tuple("0123456789"[: len(labels)]) if is_from_0 else labels
    for case in (LETTERS, LETTERS.lower()):
        letters = tuple(takewhile(names.__contains__, case))
        swapped = tuple(map(str.swapcase, letters))
        if len(letters) >= 2 and given and given <= {*letters, *swapped}:
            return letters, letters if given & set(letters) else swapped
    return (), ()


def _normalised(name: str) -> str:
    """Normalise a name: `Correct Answer`, `correct-answer` and `correct_answer` are one."""
    return re.sub(r"[\s\-.]+", "_", name.strip().lower())


def _is_count(name: str, value: Value) -> bool:
    """Tell whether a field `steps` counts steps instead of writing them."""
    return _normalised(name.rpartition(".")[2]) == "steps" and str(value).strip().removesuffix(".0").isdigit()


def is_missing(value: Value) -> bool:
    """Tell whether a field is null or NaN, which pandas writes for a missing value."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_filled(value: Value) -> bool:
    """Tell whether a field has a value other than blank text or an empty list."""
    return not is_missing(value) and value != [] and (not isinstance(value, str) or bool(value.strip()))


def as_text(value: Value) -> str:
    """Convert a field to text, a list or object to JSON; a lone surrogate becomes “?”."""
    if is_missing(value):
        return ""
    return replace_lone_surrogates(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def as_list(value: Value) -> list[Value]:
    """Return the list that a field is, or one of the field itself."""
    return value if isinstance(value, list) else [value]


def joined(value: Value, joint: str) -> str:
    """Convert a field to text, a list of texts and numbers by joining them."""
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        return joint.join(dict.fromkeys(filter(None, map(str.strip, map(as_text, value)))))
    return as_text(value)


def _longest_text(rows: Sequence[Record], names: set[str]) -> str | None:
    """Return the column with the longest texts; None if they are too short for problems."""
    lengths: Counter[str] = Counter()
    for row in rows:
        lengths.update({name: len(text) for name, text in row.fields.items() if isinstance(text, str)})
    longest = max(filter(names.__contains__, lengths), key=lengths.__getitem__, default=None)
    return longest if longest and lengths[longest] >= _SHORTEST_PROBLEM * len(rows) else None


@dataclass(frozen=True)
class Options:
    """The options of a multiple-choice problem in the order in which they are shown, which decides their letters."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """The data set's own labels (ARC has some with 1–4), to which its answers refer."""

    @classmethod
    def from_value(cls, value: Value) -> Options | None:
        """Read options from one column; None if it holds none.

        It may be a list of texts, a list of objects (`{"text": …, "label": …}`), an object of label to text, or ARC's
        `{"text": [...], "label": [...]}`.
        """
        texts: Value = value
        labels: Value = []
        if isinstance(value, dict):
            texts, labels = value.get("text"), value.get("label")
            if not (isinstance(texts, list) and isinstance(labels, list)):
                texts, labels = [*value.values()], [*value]
        elif isinstance(value, list) and (objects := [each for each in value if isinstance(each, dict)]):
            texts, labels = [each.get("text") for each in objects], [each.get("label") for each in objects]
        if not (isinstance(texts, list) and isinstance(labels, list)):
            return None
        cells = ["" if is_missing(text) else str(text) for text in texts]
        names = ["" if is_missing(label) else str(label) for label in labels]
        if all(names) and len(names) == len(cells):  # Parquet gives each row all the labels of the table
            filled = [(cell, name) for cell, name in zip(cells, names, strict=True) if cell.strip()]
            cells, names = [cell for cell, _ in filled], [name for _, name in filled]
        return cls.from_columns(cells, names)

    @classmethod
    def from_columns(cls, cells: Sequence[str], labels: Sequence[str]) -> Options | None:
        """Read one option from each cell; empty ones at the end do not count. None if there are too few."""
        texts = list(cells)
        while texts and not texts[-1].strip():
            texts.pop()
        if len(texts) < 2:
            return None
        # AQuA writes "A)21" into each option; the letter is written again below the problem.
        own = [_LABEL.match(text) for text in texts]
        if all(mark and mark[1].upper() == letter for mark, letter in zip(own, LETTERS, strict=False)):
            texts = [text[mark.end() :] for text, mark in zip(texts, own, strict=True) if mark]
        return cls(tuple(texts), tuple(labels[: len(texts)]))

    @classmethod
    def shuffled(cls, right: str, wrong: Sequence[str], seed: str) -> Options:
        """Shuffle the right option among the wrong ones; the order depends on `seed` and the texts alone."""

        def position(option: str) -> bytes:
            return hashlib.sha256(f"{seed}\n{option}".encode()).digest()

        return cls(tuple(sorted((right, *wrong), key=position)))

    def written_below(self, problem: str) -> str:
        """Return the problem, a blank line, then `A) …` and so on."""
        lines = [f"{letter}) {text.strip()}" for letter, text in zip(LETTERS, self.texts, strict=False)]
        return "\n".join([problem, "", *lines])

    def letter_of(self, answer: Value, first: int = 0) -> str | None:
        """Find the letter that an answer means; a number means the first option if it is `first`."""
        meant = self.meant_by(answer)
        if not isinstance(meant, int):
            return meant
        return LETTERS[meant - first] if 0 <= meant - first < len(self.texts) else None

    def meant_by(self, answer: Value) -> str | int | None:
        """Read an answer: as a letter if it is a label, an option's text or a letter, else as a number."""
        texts = [text.strip() for text in self.texts]
        is_number, answer = isinstance(answer, int) and not isinstance(answer, bool), str(answer).strip()
        answer = _OPTION_WORD.sub("", answer)
        for known in (self.labels, () if is_number else texts):  # a number is no option: MMLU's 1 is the second one
            if answer in known:
                return LETTERS[known.index(answer)]
        mark = _LABEL.match(answer)  # "B) green"
        letter = (mark[1] if mark else answer.strip("().: ")).upper()
        if len(letter) == 1 and letter in LETTERS[: len(texts)]:
            return letter
        return int(answer) if answer.isascii() and answer.isdigit() and len(answer) < 3 else None
