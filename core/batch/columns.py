"""Which column of a data set is what, guessed from the names that public data sets use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.batch.row import Record, Value

# In order of trust: a file with both `answer` and `label` means the first.
_PROBLEM = ("problem", "question", "prompt", "input", "query", "instruction", "task", "text", "messages")
_ANSWER = (
    "answer",
    "expected",
    "expected_answer",
    "final_answer",
    "correct_answer",
    "target",
    "answerkey",
    "answer_key",
    "gold",
    "ground_truth",
    "reference_answer",
    "reference",
    "label",
    "output",
    "response",
    "completion",
)
_SOLUTION = ("solution", "explanation", "rationale", "reasoning", "reference_solution")
_ID = ("id", "unique_id", "uid", "problem_id", "question_id", "task_id", "record_id", "idx", "index")
_CHOICES = ("choices", "options")
_WRONG_CHOICE = re.compile(r"(incorrect|wrong)_(answer|choice|option)_?\d*|distractor_?\d*")

_SAMPLE_ROWS = 100
_SHORTEST_PROBLEM = 15
"""Mean characters below which an unnamed column is no text of a problem."""


@dataclass(frozen=True)
class Columns:
    """The columns to read; all others become metadata.

    `answer` wins over `solution` where both say something. `choices` holds a list of options in one column;
    `wrong` are columns with one wrong option each, the right one being the answer.
    """

    problem: str
    answer: str | None = None
    solution: str | None = None
    id: str | None = None
    choices: str | None = None
    wrong: tuple[str, ...] = ()

    def named(self) -> tuple[str, ...]:
        """Every column that has a part here."""
        single = (self.problem, self.answer, self.solution, self.id, self.choices)
        return (*(name for name in single if name is not None), *self.wrong)


def is_known_name(name: str) -> bool:
    """Whether a header cell is a name that data sets use for a problem or its answer."""
    return _plain(name) in {*_PROBLEM, *_ANSWER, *_SOLUTION, *_CHOICES}


def available_columns(rows: Iterable[Record]) -> tuple[str, ...]:
    """Every field's name, in order of first appearance."""
    return tuple(dict.fromkeys(name for row in rows for name in row.fields))


def guess_columns(rows: Sequence[Record]) -> Columns | None:
    """The columns by name; if no name tells the problem, the one with the longest text. None: no idea."""
    names = available_columns(rows)
    known = {_plain(name): name for name in reversed(names)}

    def first(candidates: tuple[str, ...]) -> str | None:
        return next((known[name] for name in candidates if name in known), None)

    answer, solution, identity, choices = first(_ANSWER), first(_SOLUTION), first(_ID), first(_CHOICES)
    taken = {answer, solution, identity, choices}
    problem = first(_PROBLEM) or _longest_text(rows[:_SAMPLE_ROWS], [name for name in names if name not in taken])
    if problem is None:
        return None
    wrong = tuple(name for name in names if _WRONG_CHOICE.fullmatch(_plain(name)))
    return Columns(problem, answer, solution, identity, choices, wrong if answer else ())


def _plain(name: str) -> str:
    """`Correct Answer`, `correct-answer` and `correct_answer` are one name."""
    return re.sub(r"[\s\-.]+", "_", name.strip().lower())


def _longest_text(rows: Sequence[Record], names: list[str]) -> str | None:
    def mean_length(name: str) -> float:
        return sum(_length(row.fields.get(name)) for row in rows) / len(rows)

    longest = max(names, key=mean_length, default=None)
    return longest if longest is not None and mean_length(longest) >= _SHORTEST_PROBLEM else None


def _length(value: Value) -> int:
    return len(value) if isinstance(value, str) else 0


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Options:
    """The options in the order in which they are shown; letters follow from the order."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """The data set's own labels (ARC has some with 1–4), to which its answers refer."""

    @classmethod
    def from_value(cls, value: Value) -> Options | None:
        """From a list of texts, an object of label to text, or ARC's `{"text": [...], "label": [...]}`."""
        if isinstance(value, dict):
            texts, labels = value.get("text"), value.get("label")
            if not (isinstance(texts, list) and isinstance(labels, list)):
                texts, labels = list(value.values()), list(value)
        else:
            texts, labels = value, []
        if not isinstance(texts, list) or not 2 <= len(texts) <= len(LETTERS):
            return None
        return cls(tuple(str(text) for text in texts), tuple(str(label) for label in labels))

    @classmethod
    def shuffled(cls, right: str, wrong: Sequence[str], seed: str) -> Options:
        """The right option among the wrong ones, in an order that only `seed` and the texts decide."""

        def position(option: str) -> bytes:
            return hashlib.sha256(f"{seed}\n{option}".encode()).digest()

        return cls(tuple(sorted((right, *wrong), key=position)))

    def written_below(self, problem: str) -> str:
        """The problem, a blank line, then `A) …` and so on."""
        lines = [f"{letter}) {text.strip()}" for letter, text in zip(LETTERS, self.texts, strict=False)]
        return "\n".join([problem, "", *lines])

    def letter_of(self, answer: Value) -> str | None:
        """The letter that an answer means: an index from 0, a label, a letter or the option's text."""
        if isinstance(answer, int) and not isinstance(answer, bool):
            return LETTERS[answer] if 0 <= answer < len(self.texts) else None
        if not isinstance(answer, str):
            return None
        answer = answer.strip()
        if answer in self.labels:
            return LETTERS[self.labels.index(answer)]
        texts = [text.strip() for text in self.texts]
        if answer in texts:
            return LETTERS[texts.index(answer)]
        if len(answer) == 1 and answer.upper() in LETTERS[: len(texts)]:
            return answer.upper()
        return self.letter_of(int(answer)) if answer.isascii() and answer.isdigit() else None
