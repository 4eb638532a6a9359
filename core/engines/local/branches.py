"""Generates many continuations of one conversation side by side, in a context of their own over the same weights.

Sequence 0 prefills the text. Each branch starts as a copy of it, decodes the last token of its text and goes on from
there, so that no text is prefilled twice. As many branches are decoded at once as memory holds; when one ends, the next
one starts. Texts are taken in the order given: those that share a prefix should follow each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from baton_reasoning.core.engines.base import End, Stop
from baton_reasoning.core.engines.local import messages
from baton_reasoning.core.engines.local.cache import CachedSequence, Ledger, common_prefix
from baton_reasoning.core.engines.local.llama import BatchEntry, Decoded, Llama, LoadError, Sampler
from baton_reasoning.core.engines.random_numbers import number_at

READER = 0
"""The sequence that prefills the texts."""
MOST_ON_CPU, MOST_ON_GPU = 16, 32
"""Branches decoded at once: a larger batch gains nothing on a CPU."""
SPARE_BYTES = 2**29
"""Memory that the KV cache of the branches may take, if that of the model itself is smaller."""
SNAPSHOTS = 16
"""Snapshots of a memory that cannot be truncated, so that a text is not prefilled again from its start."""
_SHORTEST = 256


@dataclass(slots=True)
class _Branch:
    """A branch that is being written."""

    index: int
    wanted: messages.BranchWanted
    last: int
    """The token to decode next."""
    cached: int
    """Tokens of it in the cache."""
    written: list[int] = field(default_factory=list)


class BranchWriter:
    """Carries out one session's requests for branches, one after the other."""

    def __init__(self, llama: Llama, options: messages.WorkerOptions, reply: Callable[[messages.Reply], None]) -> None:
        self._llama = llama
        self._options = options
        self._reply = reply
        self._context: Llama | None = None
        self._size = (0, 0)
        """Branches at once, and tokens of each."""
        self._reader = self._empty_reader()
        self._reset()

    def _reset(self) -> None:
        self._request: messages.WriteBranches | None = None
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

    def begin(self, request: messages.WriteBranches, targets: list[list[int]]) -> None:
        """Take a request; `targets` are its texts in token ids, prompts included."""
        if self._request:  # its caller has gone
            self._finish(End(Stop.CANCELLED))
        self._request, self._targets = request, targets
        self._waiting.extend(range(len(request.branches)))
        longest, context = max(map(len, targets), default=0), self._options.load.context
        if not request.branches:
            self._finish(End(Stop.LIMIT))
            return
        if longest >= context:
            reason = f"{longest} tokens are more than the context of {context} holds"
            self._finish(messages.Failed(context_full=True, reason=reason))
            return
        needed = max(len(targets[branch.text]) + branch.limit for branch in request.branches)
        if not self._make_context(len(request.branches), min(needed, context)):
            self._finish(messages.Failed(context_full=False, reason="there is no memory for another context"))
            return
        self._sampler = self._llama.make_sampler(request.sampling)

    def halt(self, request: int) -> None:
        """Stop a request. Called by the listening thread, so that a long decode can be aborted."""
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
        """Decode once: a token of each branch, and as much of the text to prefill as fits."""
        context, request = self._context, self._request
        assert context
        assert request
        if self._halted:
            self._finish(End(Stop.CANCELLED))
            return
        self._start_branches(context, request)
        branches, ledger = sorted(self._active.items()), self._reader.ledger
        entries = [BatchEntry(branch.last, branch.cached, sequence, True) for sequence, branch in branches]
        read = self._unread[: min(context.chunk, context.batch_size - len(entries))]
        entries += [BatchEntry(id, position, READER, False) for position, id in enumerate(read, len(ledger.ids))]
        context.abort(False)
        if self._halted:  # since it was checked above
            return
        result = context.decode(entries)
        if result == Decoded.ABORTED:
            self._reader.roll_back(context, 0)
            self._finish(End(Stop.CANCELLED))
            return
        if result != Decoded.DONE:
            raise RuntimeError(f"llama_decode failed with {result}")
        ledger.ids += read
        del self._unread[: len(read)]
        for entry, (sequence, branch) in enumerate(branches):
            branch.cached += 1
            self._sample(context, request, entry, sequence, branch)
        if not self._active and not self._waiting:
            self._finish(End(Stop.LIMIT))

    def _make_context(self, branches: int, tokens: int) -> bool:
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

    def _start_branches(self, context: Llama, request: messages.WriteBranches) -> None:
        """Give free sequences to the next branches, as far as the reader has prefilled their text."""
        for sequence in range(1, self._size[0] + 1):
            if sequence in self._active:
                continue
            if not self._waiting or self._unread:
                return
            wanted = request.branches[self._waiting[0]]
            *text, last = self._targets[wanted.text]
            self._read(context, text)
            if self._unread:
                return
            context.copy(READER, sequence, len(text))
            self._active[sequence] = _Branch(self._waiting.popleft(), wanted, last, len(text))

    def _read(self, context: Llama, text: list[int]) -> None:
        """Keep what the reader holds of this text, and note what it has to prefill."""
        ledger = self._reader.ledger
        if ledger.ids != text:
            if (keep := common_prefix(ledger.ids, text)) < len(ledger.ids):
                self._reader.roll_back(context, keep)
            self._unread = text[len(ledger.ids) :]
        elif text and not ledger.supports_truncation and len(text) not in ledger.snapshots:
            ledger.remember(context.snapshot(READER), SNAPSHOTS)

    def _sample(
        self, context: Llama, request: messages.WriteBranches, entry: int, sequence: int, branch: _Branch
    ) -> None:
        """Sample the next token of a branch, and end the branch if the token does."""
        assert self._sampler
        wanted, written = branch.wanted, branch.written
        token = context.sample(self._sampler, entry, number_at(wanted.seed, len(written)))
        stop = context.stop_after(token, wanted.limit - len(written) - 1, branch.cached)
        if stop is not Stop.END_OF_TEXT:
            written.append(token)
            branch.last = token
        if stop:
            del self._active[sequence]
            context.truncate(sequence, 0)
            text = b"".join(map(self._llama.piece, written))
            self._reply((request.request, messages.BranchEnded(branch.index, text, len(written), stop)))

    def _finish(self, item: messages.ReplyItem) -> None:
        assert self._request
        if self._context:
            for sequence in self._active:
                self._context.truncate(sequence, 0)
        if self._sampler:
            self._llama.free_sampler(self._sampler)
        request = self._request.request
        self._reset()
        self._reply((request, item))
