"""Tracks what a model's KV cache holds of one text, so that a handoff decodes only what is new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class CachePlan(NamedTuple):
    """How to bring the cache to a text: how many tokens to keep, and which to decode after them."""

    keep: int
    new: list[int]


class Ledger:
    """The token ids of one sequence in cache order, and where its memory can be restored to.

    A memory that can be cut is rolled back to any token. One that cannot (recurrent, hybrid) goes back to the
    last snapshot before the texts part.
    """

    def __init__(self, supports_truncation: bool = True) -> None:
        self.ids: list[int] = []
        self.snapshots: dict[int, bytes] = {}
        """Memory state by token count, newest last; only for memories that cannot be cut."""
        self.whole = 0
        """Tokens from the start that were decoded alone and in whole prefill chunks, as a new session would."""
        self._can_be_cut = supports_truncation

    def plan(self, target: Sequence[int], has_logits: bool, logits_from: int | None = None) -> CachePlan:
        """Plan what to keep and what to decode, so that the cache holds `target` and the wanted logits are computed.

        Logits are wanted after the first `logits_from` tokens and after each later one; by default only after the
        last token. `has_logits`: those after the last token in the cache are at hand, so that it need not be decoded
        again.
        """
        first = len(target) if logits_from is None else logits_from
        keep = common_prefix(self.ids, target)
        if keep >= first and not (has_logits and keep == len(self.ids) == first):
            keep = max(first - 1, 0)  # the cache holds no logits: the token before is decoded again
        if keep < len(self.ids):
            keep = self.restorable(keep)
        return CachePlan(keep, list(target[keep:]))

    def restorable(self, keep: int) -> int:
        """Return the longest length, at most `keep`, to which the memory can be rolled back."""
        return keep if self._can_be_cut else max((at for at in self.snapshots if at <= keep), default=0)

    def reusable(self, target: Sequence[int], chunk: int | None = None) -> int:
        """Count the tokens that a new session for `target` may reuse; at least one token is left.

        With a `chunk` only whole prefill chunks: the session then decodes the same batches after them as without, and
        the same seed gives the same text.
        """
        if chunk is None:
            return self.plan(target, has_logits=False).keep
        if not self._can_be_cut:
            return 0
        return min(common_prefix(self.ids, target[:-1]), self.whole) // chunk * chunk

    def cut(self, length: int) -> None:
        self.whole = min(self.whole, length)
        del self.ids[length:]
        self.snapshots = {at: state for at, state in self.snapshots.items() if at <= length}

    def remember(self, state: bytes, most: int = 4) -> None:
        """Keep a snapshot of the memory as it is now, and forget the oldest beyond `most`."""
        self.snapshots[len(self.ids)] = state
        while len(self.snapshots) > most:
            del self.snapshots[min(self.snapshots)]


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Count the tokens that two texts have in common from the start."""
    length = min(len(a), len(b))
    if list(a[:length]) == list(b[:length]):
        return length
    return next(i for i in range(length) if a[i] != b[i])


def common_text(a: Sequence[int], b: Sequence[int], text_of: Callable[[int], bytes]) -> tuple[int, int]:
    """Count the tokens of each of two texts up to the last place where both have the end of a token, and the same text
    before it, in whatever tokens. `text_of` a control token must be unlike any text."""
    end_a = end_b = next_a = next_b = common_prefix(a, b)
    rest_a = rest_b = b""
    while True:
        if not (rest_a or rest_b):
            end_a, end_b = next_a, next_b
        if not rest_a and next_a < len(a):
            rest_a, next_a = text_of(a[next_a]), next_a + 1
        elif not rest_b and next_b < len(b):
            rest_b, next_b = text_of(b[next_b]), next_b + 1
        else:
            return end_a, end_b
        length = min(len(rest_a), len(rest_b))
        if rest_a[:length] != rest_b[:length]:
            return end_a, end_b
        rest_a, rest_b = rest_a[length:], rest_b[length:]
