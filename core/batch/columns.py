"""Which column of a data set is what, guessed from the names that public data sets use."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.batch.row import Row, Value

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


def available_columns(rows: Iterable[Row]) -> tuple[str, ...]:
    """Every field's name, in order of first appearance."""
    return tuple(dict.fromkeys(name for row in rows for name in row.fields))


def guess_columns(rows: Sequence[Row]) -> Columns | None:
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


def _longest_text(rows: Sequence[Row], names: list[str]) -> str | None:
    def mean_length(name: str) -> float:
        return sum(_length(row.fields.get(name)) for row in rows) / len(rows)

    longest = max(names, key=mean_length, default=None)
    return longest if longest is not None and mean_length(longest) >= _SHORTEST_PROBLEM else None


def _length(value: Value) -> int:
    return len(value) if isinstance(value, str) else 0
