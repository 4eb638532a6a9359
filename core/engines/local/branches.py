"""Generates many continuations of one conversation side by side, in a context of their own over the same weights.

The context has a scheduler of its own, in which each branch is a session. One more session, the reader, prefills a text
up to its last token. The branches of the text start as copies of it, so that no text is prefilled twice. As many are
decoded at once as memory holds; when one ends, the next one starts. Texts are taken in the order given: those that
share a prefix should follow each other.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from baton_reasoning.core.engines.base import Continuation, End, Stop, Token
from baton_reasoning.core.engines.local import messages
from baton_reasoning.core.engines.local.llama import LoadError
from baton_reasoning.core.engines.local.scheduler import DueReply, Scheduler

READER = -1
"""The session that prefills the texts."""
MOST_ON_CPU, MOST_ON_GPU = 16, 32
"""Branches decoded at once: a larger batch gains nothing on a CPU."""
SPARE_BYTES = 2**29
"""Memory that the KV cache of the branches may take, if that of the model itself is smaller."""
_SHORTEST = 256


class BranchWriter:
    """Carries out one session's requests for branches, one after the other."""

    def __init__(self, main: Scheduler) -> None:
        """`main`: the scheduler of the model's own context, which has the session."""
        self._main = main
        self._scheduler: Scheduler | None = None
        self._request: messages.WriteBranches | None = None
        self._waiting: deque[tuple[messages.Read, list[int]]] = deque()
        """Branches that have not begun, and the texts before them."""
        self._written: dict[int, list[bytes]] = {}
        """Tokens of the branches that are being written, by the number of each."""
        self._halted = False

    @property
    def is_busy(self) -> bool:
        return self._request is not None

    def begin(self, request: messages.WriteBranches) -> None:
        if self._request:  # its caller has gone
            self._finish(End(Stop.CANCELLED))
        self._request, self._halted = request, False
        texts = self._main.texts_before(request)
        self._waiting.extend(zip(request.branches, texts, strict=True))
        longest, context = max(map(len, texts), default=0), self._main.options.load.context
        needed = max((len(text) + branch.limit for branch, text in self._waiting), default=0)
        if not texts:
            self._finish(End(Stop.LIMIT))
        elif longest >= context:
            reason = f"{longest} tokens are more than the context of {context} holds"
            self._finish(messages.Failed(context_full=True, reason=reason))
        elif not self._make_context(len(texts), min(needed, context)):
            self._finish(messages.Failed(context_full=False, reason="there is no memory for another context"))

    def halt(self, request: int) -> None:
        """Stop a request. Called by the listening thread, so that a long decode can be aborted."""
        if self._request and self._request.request == request:
            self._halted = True
            if scheduler := self._scheduler:
                scheduler.llama.abort()

    def close(self) -> None:
        """Free the context."""
        if self._request:
            self._finish(End(Stop.CANCELLED))
        self._free()

    def step(self) -> None:
        """Decode once, if there is a request: a token of each branch, and as much of the text to prefill as fits."""
        if not (self._request and self._scheduler):
            return
        if not self._halted:
            self._begin_branches(self._scheduler)
            if turns := self._scheduler.next_turns():
                self._scheduler.decode(turns, lambda: None)
        if self._halted:
            self._finish(End(Stop.CANCELLED))
        elif not (self._waiting or self._written):
            self._finish(End(Stop.LIMIT))

    def _make_context(self, branches: int, tokens: int) -> bool:
        """Make a context for so many branches of so many tokens, or for fewer at once if memory does not hold them."""
        load, llama = self._main.options.load, self._main.llama
        tokens = min(load.context, max(_SHORTEST, 1 << (tokens - 1).bit_length()))
        bytes_a_token = sum(share.cache for share in llama.shares) / (load.context * load.parallel)
        spare = max(load.context * load.parallel, int(SPARE_BYTES / max(bytes_a_token, 1)))
        most = MOST_ON_GPU if llama.has_common_cache else MOST_ON_CPU
        at_once = max(1, min(branches, most, spare // tokens - 1))
        if self._scheduler:
            made = self._scheduler.options.load
            if made.parallel > at_once and made.context >= tokens:
                return True
        self._free()
        while at_once:
            load = load.model_copy(update={"context": tokens, "parallel": at_once + 1})
            try:
                context = llama.sibling(load)
            except LoadError:
                at_once //= 2
            else:
                self._scheduler = Scheduler(context, replace(self._main.options, load=load), self._collect)
                self._scheduler.rolls_back = False
                self._scheduler.open(READER, ())
                return True
        return False

    def _free(self) -> None:
        if self._scheduler:
            self._scheduler.llama.close_context()
        self._scheduler = None

    def _begin_branches(self, scheduler: Scheduler) -> None:
        """Begin the next branches, as far as the reader has prefilled their text."""
        while self._waiting and len(self._written) < scheduler.options.load.parallel - 1:
            branch, text = self._waiting[0]
            before = text[:-1]
            if scheduler.sequences[READER].ledger.ids != before:
                if not scheduler.tasks_of(READER):
                    scheduler.begin(messages.Read(READER, READER, [tuple(before)]))
                return
            self._waiting.popleft()
            self._written[branch.request] = []
            scheduler.open(branch.request, ())
            scheduler.begin(branch._replace(session=branch.request, runs=[tuple(text)]))

    def _collect(self, reply: DueReply) -> None:
        """Take in what the scheduler replies: a branch is told when it has ended."""
        branch, item = reply
        assert not isinstance(item, messages.Failed), "each branch has as much context as it needs"
        if branch == READER:
            return
        if isinstance(item, Token):
            self._written[branch].append(item.data)
        elif isinstance(item, End) and item.stop is not Stop.CANCELLED:
            assert self._request
            self._close(branch)
            written = self._written.pop(branch)
            text = b"".join(written).decode(errors="replace")
            self._main.reply((self._request.request, Continuation(branch, text, len(written), item.stop)))

    def _close(self, branch: int) -> None:
        """Close a branch's session, and empty its slot: what stays in a common cache slows down all other branches."""
        assert self._scheduler
        sequence = self._scheduler.sequences[branch]
        if sequence.slot is not None:
            sequence.roll_back(self._scheduler.llama, 0)
        self._scheduler.close(branch)

    def _finish(self, item: messages.ReplyItem) -> None:
        assert self._request
        if self._scheduler:
            for branch in self._written:
                self._close(branch)
            self._scheduler.halt(READER, at_once=True)
        request = self._request.request
        self._request = None
        self._waiting.clear()
        self._written.clear()
        self._main.reply((request, item))
