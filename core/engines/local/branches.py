"""Writes many continuations of one conversation side by side, in a context of their own over the same weights.

Sequence 0 reads the text; each branch starts as a copy of it, decodes the last token of its text and goes on from
there, so that nothing is read again for it. As many are decoded at once as memory holds; when one ends, the next one
starts. Texts are taken in the order given: those that share a prefix should follow each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from baton_reasoning.core.engines.base import End, Stop
from baton_reasoning.core.engines.local.cache import CachedSequence, Ledger, common_prefix
from baton_reasoning.core.engines.local.llama import BatchEntry, Decoded, Llama, LoadError, Sampler
from baton_reasoning.core.engines.local.messages import (
    BranchEnded,
    Failed,
    Reply,
    ReplyItem,
    WorkerOptions,
    WriteBranches,
)
from baton_reasoning.core.engines.random_numbers import number_at

READER = 0
"""The sequence that reads the texts."""
MOST_ON_CPU, MOST_ON_GPU = 16, 32
"""Branches decoded at once: on a CPU more of them take as much longer."""
SPARE_BYTES = 2**29
"""Memory that the KV cache of the branches may take, if that of the model itself is smaller."""
SNAPSHOTS = 16
"""States of a memory that cannot be cut which are kept, so that a text is not read again from its start."""
_SHORTEST = 256


@dataclass(slots=True)
class _Branch:
    """A branch that is being written."""

    index: int
    seed: int
    limit: int
    last: int
    """The token to decode next."""
    length: int
    """Tokens of it in the cache."""
    written: list[int] = field(default_factory=list)


class BranchWriter:
    """Carries out the requests of one session for branches, one after the other."""

    def __init__(self, llama: Llama, options: WorkerOptions, reply: Callable[[Reply], None]) -> None:
        self._llama = llama
        self._options = options
        self._reply = reply
        self._context: Llama | None = None
        self._size = (0, 0)
        """Branches at once, and tokens of each."""
        self._reader = self._empty_reader()
        self._reset()

    def _reset(self) -> None:
        self._request: WriteBranches | None = None
        self._targets: list[list[int]] = []
        self._waiting: deque[int] = deque()
        self._active: dict[int, _Branch] = {}
        """By sequence."""
        self._unread: list[int] = []
        """Tokens that the reader has to decode before the next branch can start."""
        self._sampler: Sampler | None = None
        self._halted = False

    @property
    def is_busy(self) -> bool:
        return self._request is not None

    def begin(self, request: WriteBranches, targets: list[list[int]]) -> None:
        """Take a request; `targets` are its texts in token ids, prompts included."""
        if self._request:  # of which nobody waits for replies any more
            self._finish(End(Stop.CANCELLED))
        self._request, self._targets = request, targets
        self._waiting.extend(range(len(request.branches)))
        longest = max(map(len, targets), default=0)
        if longest >= self._options.load.context or not request.branches:
            reason = f"{longest} tokens are more than the context of {self._options.load.context} holds"
            self._finish(Failed(context_full=True, reason=reason) if request.branches else End(Stop.LIMIT))
            return
        needed = max(len(targets[branch.text]) + branch.limit for branch in request.branches)
        if not self._make_room(len(request.branches), min(needed, self._options.load.context)):
            self._finish(Failed(context_full=False, reason="there is no memory for another context"))
            return
        self._sampler = self._llama.make_sampler(request.sampling)

    def halt(self, request: int) -> None:
        """Stop a request. Called by the listening thread, so that a long decode can be left in the middle."""
        if self._request and self._request.request == request:
            self._halted = True
            if context := self._context:
                context.abort()

    def close(self) -> None:
        """Free the context."""
        if self._request:
            self._finish(End(Stop.CANCELLED))
        self._free()

    def step(self) -> None:
        """Decode once: a token of each branch, and as much of the text that is read as fits."""
        if self._halted:
            self._finish(End(Stop.CANCELLED))
            return
        self._start_branches()
        context = self._context
        assert context
        branches = sorted(self._active.items())
        entries = [BatchEntry(branch.last, branch.length, sequence, True) for sequence, branch in branches]
        room = min(context.chunk, context.batch_size - len(entries))
        read, held = self._unread[:room], len(self._reader.ledger.ids)
        entries += [BatchEntry(id, held + i, READER, False) for i, id in enumerate(read)]
        context.abort(False)
        if self._halted:  # between the look above and here
            return
        result = context.decode(entries)
        if result == Decoded.ABORTED:
            self._reader.roll_back(context, 0)
            self._finish(End(Stop.CANCELLED))
        elif result != Decoded.DONE:
            raise RuntimeError(f"llama_decode failed with {result}")
        else:
            self._reader.ledger.ids += read
            del self._unread[: len(read)]
            for entry, (sequence, branch) in enumerate(branches):
                branch.length += 1
                self._sample(context, entry, sequence, branch)
            if not self._active and not self._waiting:
                self._finish(End(Stop.LIMIT))

    def _make_room(self, branches: int, tokens: int) -> bool:
        """Make a context for so many branches of so many tokens, or for fewer at once if memory does not hold them."""
        load, llama = self._options.load, self._llama
        tokens = min(load.context, max(_SHORTEST, 1 << (tokens - 1).bit_length()))
        bytes_a_token = sum(share.cache for share in llama.shares) / (load.context * load.parallel)
        spare = max(load.context * load.parallel, int(SPARE_BYTES / max(bytes_a_token, 1)))
        most = MOST_ON_GPU if llama.has_common_cache else MOST_ON_CPU
        at_once = max(1, min(branches, most, spare // tokens - 1))
        if self._context and self._size[0] >= at_once and self._size[1] >= tokens:
            return True
        self._free()
        while at_once:
            try:
                self._context = llama.sibling(tokens, at_once + 1)
            except LoadError:
                at_once //= 2
            else:
                self._size = at_once, tokens
                return True
        return False

    def _free(self) -> None:
        if self._context:
            self._context.close_context()
        self._context = None
        self._reader = self._empty_reader()

    def _empty_reader(self) -> CachedSequence:
        return CachedSequence((), Ledger(self._options.supports_truncation), slot=READER)

    def _start_branches(self) -> None:
        """Give free sequences to the next branches, as far as the reader has read their text."""
        context, request = self._context, self._request
        assert context
        assert request
        for sequence in self._free_sequences():
            if not self._waiting:
                return
            branch = request.branches[self._waiting[0]]
            target = self._targets[branch.text]
            if self._unread or not self._is_read(target[:-1]):
                return
            context.copy(READER, sequence, len(target) - 1)
            index = self._waiting.popleft()
            self._active[sequence] = _Branch(index, branch.seed, branch.limit, target[-1], len(target) - 1)

    def _free_sequences(self) -> Iterator[int]:
        return (sequence for sequence in range(1, self._size[0] + 1) if sequence not in self._active)

    def _is_read(self, text: list[int]) -> bool:
        """Tell whether the reader holds exactly this text; if not, say what it has to read."""
        ledger, context = self._reader.ledger, self._context
        assert context
        if ledger.ids != text:
            if (keep := common_prefix(ledger.ids, text)) < len(ledger.ids):
                self._reader.roll_back(context, keep)
            self._unread = text[len(ledger.ids) :]
        elif text and not self._options.supports_truncation and len(text) not in ledger.snapshots:
            ledger.remember(context.snapshot(READER), SNAPSHOTS)
        return not self._unread

    def _sample(self, context: Llama, entry: int, sequence: int, branch: _Branch) -> None:
        assert self._sampler
        token = context.sample(self._sampler, entry, number_at(branch.seed, len(branch.written)))
        stop = context.stop_after(token, branch.limit - len(branch.written) - 1, branch.length)
        if stop is not Stop.END_OF_TEXT:
            branch.written.append(token)
            branch.last = token
        if stop:
            self._end(sequence, branch, stop)

    def _end(self, sequence: int, branch: _Branch, stop: Stop) -> None:
        assert self._context
        assert self._request
        del self._active[sequence]
        self._context.truncate(sequence, 0)
        text = b"".join(map(self._llama.piece, branch.written))
        self._reply((self._request.request, BranchEnded(branch.index, text, len(branch.written), stop)))

    def _finish(self, item: ReplyItem) -> None:
        assert self._request
        for sequence in self._active:
            if self._context:
                self._context.truncate(sequence, 0)
        if self._sampler:
            self._llama.free_sampler(self._sampler)
        request = self._request.request
        self._reset()
        self._reply((request, item))
