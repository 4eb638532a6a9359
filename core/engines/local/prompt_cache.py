"""Assigns the slots of the KV cache, and lets new sessions reuse what is in them.

The slot of a closed session keeps its text until another session needs it. A new session starts from the longest
prefix of its prompt in any slot, in whole prefill chunks: it then decodes the same batches as without, and the same
seed gives the same text.
"""

from __future__ import annotations

from collections.abc import Collection

from core.engines.local.ledger import Ledger
from core.engines.local.llama import BatchEntry, Decoded, Llama
from core.engines.local.tasks import CachedSequence


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
        self._unsettled: tuple[int, list[int]] | None = None
        """Slot and text of the session that was closed last, until it lies in the cache in whole chunks."""

    @property
    def is_settled(self) -> bool:
        return self._unsettled is None

    def empty_ledger(self) -> Ledger:
        return Ledger(self._supports_truncation)

    def give_slot(self, sequence: CachedSequence, target: list[int], busy: Collection[CachedSequence]) -> bool:
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
        slot = max(self._free, key=lambda slot: self._kept[slot].reusable(target, self._llama.chunk))
        self._free.remove(slot)
        sequence.ledger = self._start_from_prefix(slot, self._kept.pop(slot), target)
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

    def close(self, sequence: CachedSequence) -> None:
        """Free the slot of a session for good; the next turn of its conversation may reuse its text."""
        if sequence.slot is not None and self._supports_truncation:
            self._unsettled = sequence.slot, list(sequence.ledger.ids)
        self.take_slot(sequence)

    def settle(self) -> bool:
        """Read the text of the session closed last again, one whole chunk a call; return False if nothing is left.

        What a model wrote was decoded token by token; now the next turn of the conversation can start from it.
        """
        chunk = self._llama.chunk
        slot, text = self._unsettled or (-1, [])
        ledger = self._kept.get(slot)
        start = ledger.whole // chunk * chunk if ledger else 0
        part = text[start : start + chunk]
        if ledger is None or len(part) < chunk:
            self._unsettled = None
            return False
        ledger.cut(start)
        self._llama.abort(False)
        entries = [BatchEntry(id, start + i, slot, False) for i, id in enumerate(part)]
        if not self._llama.cut(slot, start or -1) or self._llama.decode(entries) != Decoded.DONE:
            self._llama.cut(slot, -1)
            ledger.cut(0)
            self._unsettled = None
            return False
        ledger.ids += part
        ledger.whole = start + chunk
        return True

    def _start_from_prefix(self, slot: int, ledger: Ledger, target: list[int]) -> Ledger:
        """Keep or copy the longest prefix of the target into a slot; return what it then holds."""
        chunk = self._llama.chunk
        length = ledger.reusable(target, chunk)
        holders = {other.slot: other.ledger for other in self._sequences if other.slot is not None} | self._kept
        donor = max(holders, key=lambda other: holders[other].reusable(target, chunk), default=None)
        if donor is not None and (longer := holders[donor].reusable(target, chunk)) > length:
            self._llama.cut(slot, -1)
            self._llama.copy(donor, slot, longer)
            ledger, length = self.empty_ledger(), longer
            ledger.ids, ledger.whole = target[:longer], longer
        if not length or not self._llama.cut(slot, length):
            self._llama.cut(slot, -1)
            return self.empty_ledger()
        ledger.cut(length)
        return ledger
