"""Tracks what a model's KV cache holds, and lets new sessions reuse it.

The slot of a closed session keeps its text until another session needs it. A new session starts from the longest
prefix of its text in any slot. An exact session reuses only whole prefill chunks: it then decodes the same batches as
without, and the same seed gives the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from baton_reasoning.core.engines.local.llama import Llama, Logits

ages = count()
"""Grows with each use of a session: the smallest is the one that has been idle longest."""


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


@dataclass(eq=False)
class CachedSequence:
    """One session: its text, and its slot in the KV cache while it has one."""

    prompt: tuple[int, ...]
    ledger: Ledger
    text: list[int] = field(default_factory=list)
    """Prompt and body of the last request."""
    slot: int | None = None
    logits: Logits | None = None
    """The logits after the last token in the cache, if nothing was decoded since."""
    used: int = field(default_factory=lambda: next(ages))


class PromptCache:
    def __init__(self, llama: Llama, slots: int, supports_truncation: bool) -> None:
        self._llama = llama
        self._supports_truncation = supports_truncation
        self._sequences: list[CachedSequence] = []
        """The sequences that have a slot."""
        self._free = list(range(slots))
        """The slot that was given back last is at the end."""
        self._kept = {slot: self.empty_ledger() for slot in self._free}
        """What free slots still hold of closed sessions."""

    def empty_ledger(self) -> Ledger:
        return Ledger(self._supports_truncation)

    def as_written(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """Return the prompt with as much of its beginning as possible in the tokens in which the cache holds it.

        An answer that two models wrote in turn has the end of a token wherever one of them stopped. The tokenizer,
        which reads the text as a whole, joins some of these tokens, and all after them would have to be read again.
        """
        ledgers = [*(other.ledger for other in self._sequences), *self._kept.values()]
        ends = [(*common_text(ledger.ids, prompt, self._llama.text_or_control), ledger) for ledger in ledgers]
        held, end, ledger = max(ends, key=lambda found: found[1])
        return (*ledger.ids[:held], *prompt[end:])

    def give_slot(
        self, sequence: CachedSequence, target: list[int], busy: Collection[CachedSequence], *, exact: bool
    ) -> bool:
        """Give a sequence a slot that starts with what any slot holds of its target.

        If none is free it takes the slot of the session that has been idle longest. Returns False if all are busy.
        """
        if sequence.slot is not None:
            return True
        if not self._free:
            idle = [other for other in self._sequences if other not in busy]
            if not idle:
                return False
            self.take_slot(min(idle, key=lambda other: other.used))
        chunk = self._llama.chunk
        # Less than a chunk is no reason to overwrite another conversation: many begin with the same words.
        slot = max(self._free, key=lambda slot: self._kept[slot].reusable(target) // chunk)
        self._free.remove(slot)
        sequence.ledger = self._start_from_prefix(slot, target, chunk if exact else None)
        sequence.slot = slot
        self._sequences.append(sequence)
        return True

    def take_slot(self, sequence: CachedSequence) -> None:
        """Free the slot of a session; the cache keeps its text until another session needs the slot."""
        if sequence.slot is not None:
            self._sequences.remove(sequence)
            self._free.append(sequence.slot)
            self._kept[sequence.slot] = sequence.ledger
            sequence.slot, sequence.logits = None, None
            sequence.ledger = self.empty_ledger()

    def _start_from_prefix(self, slot: int, target: list[int], chunk: int | None) -> Ledger:
        """Return what a free slot holds, once it starts with the longest prefix of the target in any slot.

        With a `chunk` it holds only whole chunks of the target; else its session removes what is not its text.
        """
        holders = {other.slot: other.ledger for other in self._sequences if other.slot is not None} | self._kept
        lengths = {holder: ledger.reusable(target, chunk) for holder, ledger in holders.items()}
        donor = max(lengths, key=lambda holder: lengths[holder])
        ledger, length = self._kept.pop(slot), lengths[slot]
        if lengths[donor] > length and self._supports_truncation:
            length = lengths[donor]
            self._llama.cut(slot, -1)
            self._llama.copy(donor, slot, length)
            ledger = self.empty_ledger()
            ledger.ids, ledger.whole = target[:length], min(length, holders[donor].whole)
        if chunk is None:
            return ledger
        if not length or not self._llama.cut(slot, length):
            self._llama.cut(slot, -1)
            length = 0
        ledger.cut(length)
        return ledger


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
