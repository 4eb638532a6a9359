"""Assigns the slots of the KV cache, and lets new sessions reuse what is in them.

The slot of a closed session keeps its text until another session needs it. A new session starts from the longest
prefix of its text in any slot. An exact session reuses only whole prefill chunks: it then decodes the same batches as
without, and the same seed gives the same text.
"""

from __future__ import annotations

from collections.abc import Collection

from baton_reasoning.core.engines.local.ledger import Ledger, common_text
from baton_reasoning.core.engines.local.llama import Llama
from baton_reasoning.core.engines.local.tasks import CachedSequence


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
