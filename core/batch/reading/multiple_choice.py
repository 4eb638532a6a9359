"""Writes the options of multiple-choice problems below the problem, and finds the letter of the right one."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from baton_reasoning.core.batch.reading.record import Value, is_missing
from baton_reasoning.core.grading.compare import LETTERS

# A label before an option: "A) red", "(b) green", "C. blue", "d : 4".
_LABEL = re.compile(r"(?:^|(?<=[\s,;|]))\(?([A-Za-z])\s?[).:]\s*")


@dataclass(frozen=True)
class Options:
    """The options in the order in which they are shown; letters follow from the order."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """The data set's own labels (ARC has some with 1–4), to which its answers refer."""

    @classmethod
    def from_value(cls, value: Value) -> Options | None:
        """Read options from one column; None if it holds none.

        It may be a list of texts, a list of objects (`{"text": …, "label": …}`), an object of label to text, ARC's
        `{"text": [...], "label": [...]}`, or one text: "A) red B) green", "['red', 'green']", an option a line.
        """
        if isinstance(value, str):
            return cls._from_text(value)
        labels: list[Value]
        if isinstance(value, dict):
            texts, own = value.get("text"), value.get("label")
            if isinstance(texts, list) and isinstance(own, list):
                labels = own
            else:
                texts, labels = list(value.values()), list(value)
        elif isinstance(value, list) and value and all(isinstance(each, dict) and "text" in each for each in value):
            objects = [each for each in value if isinstance(each, dict)]
            texts, labels = [each["text"] for each in objects], [each.get("label", "") for each in objects]
        else:
            texts, labels = value, []
        if not isinstance(texts, list):
            return None
        cells = ["" if is_missing(text) else str(text) for text in texts]
        names = ["" if is_missing(label) else str(label) for label in labels]
        if all(names) and len(names) == len(cells):  # Parquet gives each row all the labels of the table
            filled = [(cell, name) for cell, name in zip(cells, names, strict=True) if cell.strip()]
            cells, names = [cell for cell, _ in filled], [name for _, name in filled]
        return cls.from_columns(cells, names)

    @classmethod
    def from_columns(cls, cells: Sequence[str], labels: Sequence[str]) -> Options | None:
        """Read one option from each cell; empty ones at the end do not count."""
        filled = list(cells)
        while filled and not filled[-1].strip():
            filled.pop()
        return cls._of(filled, list(labels[: len(filled)]))

    @classmethod
    def _from_text(cls, text: str) -> Options | None:
        text = text.strip()
        if text.startswith(("[", "{")):  # as pandas writes a list into a CSV file
            try:
                return cls.from_value(ast.literal_eval(text))
            except (ValueError, SyntaxError, TypeError, MemoryError):
                return None
        marks = _labels_in_order(text)
        if len(marks) >= 2:
            ends = [mark.start() for mark in marks[1:]] + [len(text)]
            return cls._of(
                [text[mark.end() : end].strip(" \n\t,;|") for mark, end in zip(marks, ends, strict=True)], []
            )
        lines = [line for line in text.splitlines() if line.strip()]
        return cls._of(lines, [])

    @classmethod
    def _of(cls, texts: list[str], labels: list[str]) -> Options | None:
        if not 2 <= len(texts) <= len(LETTERS):
            return None
        # AQuA writes "A)21" into each option; the letter is written again below the problem.
        own = [_LABEL.match(text.strip()) for text in texts]
        if all(mark and mark[1].upper() == letter for mark, letter in zip(own, LETTERS, strict=False)):
            texts = [text.strip()[mark.end() :] for text, mark in zip(texts, own, strict=True) if mark]
        return cls(tuple(texts), tuple(labels))

    @classmethod
    def shuffled(cls, right: str, wrong: Sequence[str], seed: str) -> Options:
        """Shuffle the right option among the wrong ones, in an order that only `seed` and the texts decide."""

        def position(option: str) -> bytes:
            return hashlib.sha256(f"{seed}\n{option}".encode()).digest()

        return cls(tuple(sorted((right, *wrong), key=position)))

    def written_below(self, problem: str) -> str:
        """Return the problem, a blank line, then `A) …` and so on."""
        lines = [f"{letter}) {text.strip()}" for letter, text in zip(LETTERS, self.texts, strict=False)]
        return "\n".join([problem, "", *lines])

    def letter_of(self, answer: Value) -> str | None:
        """Find the letter that an answer means: a label, an index from 0, a letter or the option's text."""
        if isinstance(answer, int) and not isinstance(answer, bool):
            if str(answer) in self.labels:
                return LETTERS[self.labels.index(str(answer))]
            return LETTERS[answer] if 0 <= answer < len(self.texts) else None
        if not isinstance(answer, str):
            return None
        answer = answer.strip()
        if answer in self.labels:
            return LETTERS[self.labels.index(answer)]
        texts = [text.strip() for text in self.texts]
        if answer in texts:
            return LETTERS[texts.index(answer)]
        letter = answer.strip("().: ").upper()
        if len(letter) == 1 and letter in LETTERS[: len(texts)]:
            return letter
        if mark := _LABEL.match(answer):  # "B) green"
            return self.letter_of(mark[1])
        return self.letter_of(int(answer)) if answer.isascii() and answer.isdigit() else None


def _labels_in_order(text: str) -> list[re.Match[str]]:
    """Find the labels A, B, C … in this order; a letter that is not the next one is part of an option."""
    marks: list[re.Match[str]] = []
    for mark in _LABEL.finditer(text):
        if mark[1].upper() == LETTERS[len(marks)]:
            marks.append(mark)
            if len(marks) == len(LETTERS):
                break
    return marks
