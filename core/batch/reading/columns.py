"""Guesses which column of a data set is the problem, the answer, … from the names that public data sets use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

from baton_reasoning.core.batch.reading.record import Record, Value, is_missing

# In order of trust: a file with both `answer` and `label` means the first.
_PROBLEM = (
    *("problem", "question", "prompt", "input", "query", "instruction", "task", "text", "messages", "conversations"),
    *("stem", "statement", "content", "ctx"),
    *("frage", "aufgabe", "aufgabenstellung", "fragestellung", "pregunta", "problema", "domanda", "pergunta"),
)
_ANSWER = (
    *("reward_model_ground_truth", "extra_info_ground_truth"),  # verl
    *("answer", "expected", "expected_answer", "final_answer", "correct_answer", "target", "answerkey", "answer_key"),
    *("gold", "ground_truth", "reference_answer", "reference", "correct_option", "correct_choice", "correct", "cop"),
    *("label", "output", "response", "completion"),
    *("antwort", "richtige_antwort", "ergebnis", "réponse", "respuesta", "risposta", "resposta"),
)
_SOLUTION = (
    *("solution", "explanation", "rationale", "reasoning", "reference_solution", "worked_solution"),
    *("generated_solution", "steps", "cot", "chain_of_thought", "working", "proof", "assistant"),
    *("lösung", "lösungsweg", "rechenweg", "solución", "soluzione", "solução"),
)
_ID = (
    *("id", "unique_id", "uid", "problem_id", "question_id", "task_id", "record_id", "custom_id", "doc_id"),
    *("idx", "index"),
)
_CHOICES = ("choices", "options", "endings", "answer_choices")
_CONTEXT = ("body", "context", "passage", "paragraph", "story", "premise")
_ASKS = ("question", "query", "hypothesis")
"""A problem column of one of these names may need its context before it (SVAMP, ASDiv: `Body` and `Question`)."""
_WRONG_CHOICE = re.compile(r"(incorrect|wrong)_(answer|choice|option)_?\d*|distractor_?\d*")
_OPTION_COLUMN = re.compile(r"(?:option|choice|answer_choice|opt|op|ending)_?([a-j]|\d)")
_LETTERS = "ABCDEFGHIJ"
_FEWEST_LETTERS = 4
"""Columns A, B, C, D … hold options if there are at least so many, and every answer is one of these letters."""

_SAMPLE_ROWS = 100
_SHORTEST_PROBLEM = 15
"""Mean characters below which an unnamed column is no text of a problem."""


class ColumnChoice(NamedTuple):
    """The columns that play a part, and why they were chosen."""

    part: str
    """ "problem", "answer", "solution", "id", "options" or "context"."""
    columns: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Columns:
    """The columns to read; all others become metadata.

    `answer` wins over `solution` if neither is empty. `choices` holds all options in one column; `options` are columns
    with one option each; `wrong` are columns with one wrong option each, the right one being the answer. `context` is
    written before the problem.
    """

    problem: str
    answer: str | None = None
    solution: str | None = None
    id: str | None = None
    choices: str | None = None
    wrong: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    option_labels: tuple[str, ...] = ()
    """The labels by which answers name the `options`: letters, or numbers from 0 or 1."""
    context: str | None = None
    reasons: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Why each column was chosen, by its name."""

    def named(self) -> tuple[str, ...]:
        """List every column that has a part here."""
        return tuple(column for _, columns in self._parts() for column in columns)

    def choices_made(self) -> tuple[ColumnChoice, ...]:
        """List each part with its columns, and why they were chosen."""
        return tuple(
            ColumnChoice(part, columns, self.reasons[columns[0]]) for part, columns in self._parts() if columns
        )

    def missing_from(self, names: Iterable[str]) -> str:
        """Return the first column that has a part here and is not among the names; empty if all are there."""
        known = set(names)
        return next((column for column in self.named() if column not in known), "")

    def _parts(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        def one(name: str | None) -> tuple[str, ...]:
            return () if name is None else (name,)

        return (
            ("problem", one(self.problem)),
            ("context", one(self.context)),
            ("answer", one(self.answer)),
            ("solution", one(self.solution)),
            ("id", one(self.id)),
            ("options", one(self.choices) + self.options + self.wrong),
        )


class ColumnNames(NamedTuple):
    """Columns that a person named; None is guessed, and "" means that there is none."""

    problem: str | None = None
    answer: str | None = None
    id: str | None = None


GUESS = ColumnNames()
"""No column was named."""


def is_known_name(name: str) -> bool:
    """Tell whether a header cell is a name that data sets use for a problem or its answer."""
    return _plain(name) in {*_PROBLEM, *_ANSWER, *_SOLUTION, *_CHOICES, *_CONTEXT}


def available_columns(rows: Iterable[Record]) -> tuple[str, ...]:
    """List every field's name, in order of first appearance."""
    return tuple(dict.fromkeys(name for row in rows for name in row.fields))


def guess_columns(rows: Sequence[Record], named: ColumnNames = GUESS) -> Columns | None:
    """Choose the columns by their names; if none shows the problem, the one with the longest text.

    A column that is empty in every row is not chosen. None if there is no text.
    """
    filled = {name for row in rows for name, value in row.fields.items() if _is_filled(value)}
    names = [name for name in available_columns(rows) if name in filled]
    reasons = dict.fromkeys(filter(None, named), "you named it")

    def first(candidates: tuple[str, ...]) -> str | None:
        """Find a column by its whole name, else by the last part of a nested name."""
        for known, why in (
            ({_plain(name): name for name in reversed(names)}, "known by its name"),
            (
                {_plain(name.rpartition(".")[2]): name for name in reversed(names) if "." in name},
                "known by its last part",
            ),
        ):
            if found := next((known[name] for name in candidates if name in known), None):
                reasons.setdefault(found, why)
                return found
        return None

    answer = first(_ANSWER) if named.answer is None else named.answer or None
    solution = None if named.answer == "" else first(_SOLUTION)
    identity = first(_ID) if named.id is None else named.id or None
    choices = first(_CHOICES)
    problem = named.problem or first(_PROBLEM)
    if problem is None:
        taken = {answer, solution, identity, choices}
        problem = _longest_text(rows[:_SAMPLE_ROWS], [name for name in names if name not in taken])
        if problem is None:  # a known column that is empty in every row is refused with its name
            known = (name for name in available_columns(rows) if _plain(name) in _PROBLEM)
            return next((Columns(name, reasons={name: "known by its name"}) for name in known), None)
        reasons[problem] = "the longest text"
    if named.problem is None and _plain(problem) == "input":
        problem = first(("instruction",)) or problem
    if _plain(problem) == "instruction":
        context = first(("input",))  # Alpaca: what to do, and with what
    else:
        context = first(_CONTEXT) if _plain(problem.rpartition(".")[2]) in _ASKS else None
    # An assistant's turn answers the conversation it belongs to, no other.
    solution = None if solution in (problem, answer) else solution
    wrong = tuple(name for name in names if _WRONG_CHOICE.fullmatch(_plain(name)))
    others = [name for name in names if name not in (problem, answer)]
    options, labels = ((), ()) if choices or wrong else _option_columns(rows, others, answer)
    reasons |= dict.fromkeys((*wrong, *options), "known by their names")
    return Columns(
        problem,
        answer,
        solution,
        identity,
        choices,
        wrong if answer else (),
        options,
        labels,
        None if context in (problem, answer, choices) else context,
        reasons,
    )


def _option_columns(rows: Sequence[Record], names: Sequence[str], answer: str | None) -> tuple[tuple[str, ...], ...]:
    """Find columns with one option each (option_a …; choice1 …; A, B, C, D), and their labels in answers."""
    by_label: dict[str, str] = {}
    for name in names:
        if found := _OPTION_COLUMN.fullmatch(_plain(name)):
            by_label.setdefault(found[1].upper(), name)
    given = {str(row.fields[answer]) for row in rows if _is_filled(row.fields.get(answer))} if answer else set()
    for known in (_LETTERS, "123456789", "0123456789"):
        labels = tuple(takewhile(by_label.__contains__, known))
        if len(labels) >= 2:
            columns = tuple(by_label[label] for label in labels)
            # COPA calls choice1 and choice2 by the labels 0 and 1.
            return columns, tuple("0123456789"[: len(labels)]) if labels[0] == "1" and "0" in given else labels
    letters = tuple(takewhile(names.__contains__, _LETTERS))
    if len(letters) >= _FEWEST_LETTERS and given and given <= set(letters):
        return letters, letters
    return (), ()


def _plain(name: str) -> str:
    """Normalise a name: `Correct Answer`, `correct-answer` and `correct_answer` are one."""
    return re.sub(r"[\s\-.]+", "_", name.strip().lower())


def _is_filled(value: Value) -> bool:
    return not is_missing(value) and value != [] and (not isinstance(value, str) or bool(value.strip()))


def _longest_text(rows: Sequence[Record], names: list[str]) -> str | None:
    def mean_length(name: str) -> float:
        return sum(_length(row.fields.get(name)) for row in rows) / len(rows)

    longest = max(names, key=mean_length, default=None)
    return longest if longest is not None and mean_length(longest) >= _SHORTEST_PROBLEM else None


def _length(value: Value) -> int:
    return len(value) if isinstance(value, str) and not value.startswith(("http://", "https://")) else 0
