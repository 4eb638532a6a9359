"""Multiple choice: options written into the problem under letters, and the letter of the right one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from core.batch.row import Value
from core.grading.extraction import LETTERS


@dataclass(frozen=True)
class Options:
    """The options in the order in which they are shown; letters follow from the order."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """The data set's own labels (ARC has some with 1–4), to which its answers refer."""

    @classmethod
    def from_value(cls, value: Value) -> "Options | None":
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
    def shuffled(cls, right: str, wrong: Sequence[str], seed: str) -> "Options":
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
