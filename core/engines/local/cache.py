"""Tracks what a model's KV cache holds, and lets new sessions reuse it.

The slot of a closed session keeps its text until another session needs it. A new session starts from the longest
prefix of its text in any slot. An exact session reuses only whole prefill chunks: it then decodes the same batches as
without reuse, and the same seed gives the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from time import monotonic

from baton_reasoning.core.engines.local.llama import Llama, Snapshot
from baton_reasoning.core.engines.local.sampling import Logits

_COMPARED_AT_ONCE = 1024
"""Tokens of two texts that are compared by one call: far faster than token by token."""
SNAPSHOTS = 4
"""Of a sequence whose memory cannot be truncated."""


class Ledger:
    """The token ids of one sequence in cache order, and the lengths to which its memory can be rolled back.

    A memory that can be truncated is rolled back to any token. One that cannot (recurrent, hybrid) is restored from the
    last snapshot within the common prefix of the two texts.
    """

    def __init__(self, supports_truncation: bool = True) -> None:
        self.supports_truncation = supports_truncation
        self.ids: list[int] = []
        self.snapshots: dict[int, Snapshot] = {}
        """Memory state by token count, newest last; only for memories that cannot be truncated."""
        self.whole = 0
        """Length of the prefix that was prefilled exactly as a fresh session would: alone, and in whole chunks."""

    def kept(self, target: Sequence[int], has_logits: bool, logits_from: int | None = None) -> int:
        """Count the tokens to keep; decoding the rest of `target` after them computes the wanted logits.

        Logits are wanted after the first `logits_from` tokens and after each later one; by default only after the
        last token. `has_logits`: those after the last token in the cache are at hand, so that it need not be decoded
        again.
        """
        first = len(target) if logits_from is None else logits_from
        keep = common_prefix(self.ids, target)
        if keep >= first and not (has_logits and keep == len(self.ids) == first):
            keep = max(first - 1, 0)  # the cache holds no logits: the token before is decoded again
        return keep if keep == len(self.ids) else self.restorable(keep)

    def restorable(self, keep: int) -> int:
        """Return the longest length, at most `keep`, to which the memory can be rolled back."""
        return keep if self.supports_truncation else max((at for at in self.snapshots if at <= keep), default=0)

    def reusable(self, target: Sequence[int], chunk: int | None = None) -> int:
        """Count the tokens that a new session for `target` may reuse; at least one token is left to decode.

        With a `chunk`, only whole prefill chunks: the session then decodes the same batches after them as without, and
        the same seed gives the same text.
        """
        if chunk is None:
            return self.kept(target, has_logits=False)
        if not self.supports_truncation:
            return 0
        return min(common_prefix(self.ids, target[:-1]), self.whole) // chunk * chunk

    def truncate(self, length: int) -> None:
        self.whole = min(self.whole, length)
        del self.ids[length:]
        self.snapshots = {at: state for at, state in self.snapshots.items() if at <= length}

    def remember(self, state: Snapshot) -> None:
        """Keep a snapshot of the memory as it is now, and forget the one of the shortest text beyond SNAPSHOTS."""
        self.snapshots[len(self.ids)] = state
        if len(self.snapshots) > SNAPSHOTS:
            del self.snapshots[min(self.snapshots)]


@dataclass(eq=False)
class CachedSequence:
    """One session: its text, and its slot in the KV cache while it has one."""

    prompt: tuple[int, ...]
    ledger: Ledger
    text: list[int] = field(default_factory=list)
    """Prompt and body of the last request."""
    ends: dict[int, int] = field(default_factory=dict)
    """Where that body and earlier ones end in `text`, in tokens, by their numbers of parts, in ascending order."""
    slot: int | None = None
    logits: Logits | None = None
    """The logits after the last token in the cache, if nothing was decoded since."""
    used: float = field(default_factory=monotonic)
    """When its last request ended."""

    def take(self, base: int | None, ids: Sequence[int], length: int) -> None:
        """Take the next text: `ids` follow the prompt or, with a `base`, the end of the body of so many parts."""
        if base is None:
            self.ends, self.text = {}, [*self.prompt, *ids]
        else:
            while next(reversed(self.ends)) != base:
                self.ends.popitem()
            self.text[self.ends[base] :] = ids
        self.ends[length] = len(self.text)

    def roll_back(self, llama: Llama, keep: int) -> int:
        """Truncate the memory to `keep` tokens, or restore the last snapshot before them where it cannot be truncated.

        Returns how many tokens it holds then; 0 if the whole text has to be decoded again.
        """
        assert self.slot is not None
        ledger = self.ledger
        keep = ledger.restorable(keep)
        if not ledger.supports_truncation and not (keep and llama.restore(self.slot, ledger.snapshots[keep])):
            keep = 0
        if not llama.truncate(self.slot, keep):
            keep = 0
            llama.truncate(self.slot, 0)
        ledger.truncate(keep)
        self.logits = None
        return keep


class PromptCache:
    """Assigns the slots of the KV cache to sessions."""

    def __init__(self, llama: Llama, slots: int, supports_truncation: bool) -> None:
        self._llama = llama
        self._ledgers = [Ledger(supports_truncation) for _ in range(slots)]
        """What each slot holds, also after its session was closed."""
        self._free = list(range(slots))
        """The slot that was given back last is at the end."""
        self._sequences: list[CachedSequence] = []
        """The sequences that have a slot."""

    def as_written(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """Return the prompt with as much of its beginning as possible in the tokens in which the cache holds it.

        An answer that two models wrote in turn has the end of a token wherever one of them stopped. The tokenizer,
        which reads the text as a whole, joins some of these tokens, and all after them would have to be read again.
        """
        ends = [(*common_text(ledger.ids, prompt, self._llama.text_or_control), ledger) for ledger in self._ledgers]
        held, end, ledger = max(ends, key=lambda found: found[1])
        return (*ledger.ids[:held], *prompt[end:])

    def give_slot(
        self, sequence: CachedSequence, target: list[int], busy: Collection[CachedSequence], *, exact: bool
    ) -> bool:
        """Give a sequence a slot that starts with the longest prefix of its target in any slot.

        If none is free, it takes the slot of the least recently used session. Returns False if all are busy.
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
        slot = max(self._free, key=lambda slot: self._ledgers[slot].reusable(target) // chunk)
        self._free.remove(slot)
        self._sequences.append(sequence)
        sequence.slot, sequence.ledger = slot, self._ledgers[slot]
        self._copy_prefix(sequence, slot, target, chunk if exact else None)
        return True

    def take_slot(self, sequence: CachedSequence) -> None:
        """Free the slot of a session; the cache keeps its text until another session needs the slot."""
        if sequence.slot is not None:
            self._sequences.remove(sequence)
            self._free.append(sequence.slot)
            sequence.slot, sequence.logits = None, None
            sequence.ledger = Ledger(sequence.ledger.supports_truncation)

    def _copy_prefix(self, sequence: CachedSequence, slot: int, target: list[int], chunk: int | None) -> None:
        """Copy the longest prefix of the target into a slot, if another one holds a longer prefix than this one.

        With a `chunk` the slot then holds only whole chunks of the target; else the session removes what is not its
        text. A memory that cannot be truncated is copied only as a whole.
        """
        lengths = [ledger.reusable(target, chunk) for ledger in self._ledgers]
        donor, length = lengths.index(max(lengths)), lengths[slot]
        ledger = sequence.ledger
        is_whole = lengths[donor] == len(self._ledgers[donor].ids)
        if lengths[donor] > length and (ledger.supports_truncation or is_whole):
            length = lengths[donor]
            self._llama.truncate(slot, 0)
            self._llama.copy(donor, slot, length)
            ledger.truncate(0)
            ledger.ids, ledger.whole = target[:length], min(length, self._ledgers[donor].whole)
        if chunk is not None:
            sequence.roll_back(self._llama, length)


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Count the tokens that two texts have in common from the start."""
    if type(a) is not type(b):
        a, b = list(a), list(b)
    length = min(len(a), len(b))
    for start in range(0, length, _COMPARED_AT_ONCE):
        end = min(start + _COMPARED_AT_ONCE, length)
        if a[start:end] != b[start:end]:
            return next(i for i in range(start, end) if a[i] != b[i])
    return length


def common_text(a: Sequence[int], b: Sequence[int], text_of: Callable[[int], bytes]) -> tuple[int, int]:
    """Find the longest common prefix of two texts that ends at a token boundary in both, however they are tokenized.

    Returns its length in the tokens of each. `text_of` a control token must be unlike any text.
    """
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
