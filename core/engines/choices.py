"""Finds the first tokens that tell the choices of a judgement apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import chain
from typing import TypeVar

Head = TypeVar("Head", bound=Hashable)


def first_tokens(choices: Sequence[str], tokenize: Callable[[str], Sequence[int]]) -> list[set[int]]:
    """Return the ids that each choice may begin with, written with and without a blank before it."""
    spellings = [[tokenize(blank + choice) for blank in ("", " ")] for choice in choices]
    return distinctive([{ids[0] for ids in each if ids} for each in spellings])


def distinctive(heads: Sequence[set[Head]]) -> list[set[Head]]:
    """Remove from each choice the tokens that several choices may begin with.

    Vocabularies that split digits from a blank (Qwen, Llama 3, SentencePiece) begin " 4" and " 5" with the same token,
    which says nothing about the digit. A choice that shares all of its first tokens keeps them.
    """
    uses = Counter(chain.from_iterable(heads))
    return [{head for head in each if uses[head] == 1} or each for each in heads]
