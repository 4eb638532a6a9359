"""Continuous batching: all sessions of a model share each `llama_decode`, and new ones join at the next.

A batch takes the next token of every session that generates, then as much as fits of the texts to prefill. After the
decode the next tokens are sampled. A session that was cancelled meanwhile samples none: its last token is cached.
"""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from functools import partial

import numpy as np

from baton_reasoning.core.engines.base import (
    End,
    Handoff,
    Judgement,
    PrefillProgress,
    ScoredToken,
    Scores,
    Stop,
    Token,
    first_tokens,
    number_at,
)
from baton_reasoning.core.engines.body import OwnTag
from baton_reasoning.core.engines.control_tokens import text_ids
from baton_reasoning.core.engines.local import messages
from baton_reasoning.core.engines.local.cache import CachedSequence, Ledger, PromptCache
from baton_reasoning.core.engines.local.llama import BatchEntry, Decoded, Llama
from baton_reasoning.core.engines.local.sampling import Ids, Logits

SCORED_AT_ONCE = 128
"""Tokens scored by one decode: each takes a row of logits over the whole vocabulary (128 × 152,000 floats: 78 MB)."""
DueReply = tuple[int, messages.ReplyItem | Callable[[], Token]]
"""A reply, of which alternatives and entropy are computed when it is sent, before the logits are overwritten."""
_UTF8 = codecs.getincrementaldecoder("utf-8")
_BLANKS = b" \t\r"
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")
_LOOK_BACK = 4
"""Tokens before the last one that are searched for the first newline of a blank line."""


class Phase(Enum):
    """What a request does next."""

    READING = auto()
    WRITING = auto()
    AWAITING_DRAFTS = auto()


class Halt(IntEnum):
    """How soon a request is to stop."""

    NO = 0
    AFTER_DECODE = 1
    AT_ONCE = 2
    """Its decode is aborted, if no other request shares it."""


@dataclass(eq=False)
class Task:
    """A request under way: it prefills its target, then perhaps generates, one token a turn."""

    sequence: CachedSequence
    request: messages.Read
    target: list[int]
    """Prompt, body and the question of a judgement, if there is one."""
    text_length: int
    """Tokens of the target without the question, which is removed after the judgement."""
    score_from: int
    """The next token of the target to be scored; its length if none is."""
    decoder: codecs.IncrementalDecoder = field(default_factory=lambda: _UTF8(errors="replace"))
    """Turns the scored tokens into text."""
    began: float = field(default_factory=time.perf_counter)
    pending: list[int] = field(default_factory=list)
    """Tokens to decode next: the text to prefill, or the token just sampled and the drafts after it."""
    prefilled: int = 0
    phase: Phase = Phase.READING
    halt: Halt = Halt.NO
    """Set by the listening thread."""
    written: int = 0
    plain_tokens: int | None = None
    """Tokens to generate before drafts are asked for; None: it uses none."""
    drafts: list[int] = field(default_factory=list)
    """The last tokens of `pending`, if the small model drafted them."""
    accepted: int = 0
    """Drafts of the last decode that were accepted, of those `tried`."""
    tried: int = 0
    seconds: float = 0.0
    plain_seconds: float = 0.0


class Scheduler:
    """Turns requests into batches and replies. Only `halt` may be called from another thread."""

    def __init__(self, llama: Llama, options: messages.WorkerOptions, reply: Callable[[DueReply], None]) -> None:
        self.llama = llama
        self.options = options
        self.reply = reply
        self.rolls_back = True
        """False: no session is rolled back into what it wrote, so that this needs no snapshots."""
        self.sequences: dict[int, CachedSequence] = {}
        self.waiting: list[Task] = []
        self.running: list[Task] = []
        self.in_decode: list[Task] = []
        self.cache = PromptCache(llama, options.load.parallel, options.supports_truncation)

    @property
    def idle(self) -> bool:
        return not self.waiting and all(task.phase is Phase.AWAITING_DRAFTS and not task.halt for task in self.running)

    # Requests ----------------------------------------------------------------------------------------------------

    def open(self, session: int, prompt: tuple[int, ...]) -> None:
        self.sequences[session] = CachedSequence(prompt, Ledger(self.options.supports_truncation))

    def close(self, session: int) -> None:
        if session in self.sequences:
            for task in self.tasks_of(session):
                self._finish(task, End(Stop.CANCELLED))
            self.cache.take_slot(self.sequences.pop(session))

    def tasks_of(self, session: int) -> list[Task]:
        """Return the requests of a session that have not ended."""
        return [task for task in (*self.running, *self.waiting) if task.request.session == session]

    def begin(self, request: messages.Read) -> None:
        sequence = self.sequences[request.session]
        if not (sequence.text or request.exact):
            sequence.prompt = self.cache.as_written(sequence.prompt)
        sequence.take(request.base, self._ids(request.runs), request.length)
        question = text_ids(request.question, self.llama.tokenize) if request.question else ()
        target = [*sequence.text, *request.written, *question]
        if len(target) + bool(request.limit) > self.options.load.context:
            reason = f"{len(target)} tokens are more than the context of {self.options.load.context} holds"
            self.reply((request.request, messages.Failed(context_full=True, reason=reason)))
            return
        score_from = self._first_scored(sequence, request, target)
        task = Task(
            sequence, request, target, len(target) - len(question), score_from, plain_tokens=request.plain_tokens
        )
        self.waiting.append(task)

    def texts_before(self, request: messages.WriteBranches) -> list[list[int]]:
        """Return the token ids before each branch, the prompt included; branches of one place share them."""
        prompt = self.sequences[request.session].prompt
        runs = {id(branch.runs): branch.runs for branch in request.branches}
        texts = {key: [*prompt, *self._ids(each)] for key, each in runs.items()}
        return [texts[id(branch.runs)] for branch in request.branches]

    def take_drafts(self, drafts: messages.Drafts) -> None:
        """Go on with a write that waits for drafts."""
        for task in self.running:
            if task.request.request == drafts.request and task.phase is Phase.AWAITING_DRAFTS:
                held = len(task.sequence.ledger.ids)
                load, remaining = self.options.load, task.request.limit - task.written
                # Behind the last draft the context holds one more token.
                most = min(load.context - held - 2, remaining - 1, load.batch - 1)
                task.drafts = list(drafts.ids[: max(most, 0)])
                task.pending += task.drafts
                task.plain_tokens = drafts.plain_tokens
                task.phase = Phase.WRITING

    def _first_scored(self, sequence: CachedSequence, request: messages.Read, target: list[int]) -> int:
        """Find the first token that ends after `score_from` bytes of the body; never 0, which nothing precedes."""
        if request.score_from is None:
            return len(target)
        end = 0
        for index in range(len(sequence.prompt), len(target)):
            end += len(self.llama.piece(target[index]))
            if end > request.score_from:
                return max(index, 1)
        return len(target)

    def halt(self, request: int, at_once: bool) -> None:
        """Stop a request. Called by the listening thread, so that a long decode can be aborted."""
        for task in (*self.running, *self.waiting):
            if task.request.request == request:
                task.halt = max(task.halt, Halt.AT_ONCE if at_once else Halt.AFTER_DECODE)
        if self.in_decode and all(task.halt is Halt.AT_ONCE for task in self.in_decode):
            self.llama.abort()

    def _ids(self, runs: list[messages.Run]) -> list[int]:
        ids: list[int] = []
        for run in runs:
            if isinstance(run, OwnTag):
                ids += self.llama.tokenize(str(run), True)
            elif isinstance(run, str):
                ids += text_ids(run, self.llama.tokenize)
            else:
                ids += run
        return ids

    # One turn ----------------------------------------------------------------------------------------------------

    def next_turns(self) -> list[tuple[Task, int]]:
        """Decide which tasks decode how many tokens now: those that generate first, then prefills as far as they fit.

        Empty if there is nothing to decode. The turns are in order of slots: where each sequence has a cache of its
        own, neighbours share a decode.
        """
        self._start_waiting()
        remaining = self.options.load.batch
        turns: list[tuple[Task, int]] = []
        for task in sorted(self.running, key=lambda task: task.phase is Phase.READING):
            if task.halt and task.phase is not Phase.WRITING:
                self._finish(task, End(Stop.CANCELLED))
            elif task.phase is Phase.AWAITING_DRAFTS:
                continue
            elif number := min(remaining, self._next_tokens(task)):
                turns.append((task, number))
                remaining -= number
        return sorted(turns, key=lambda turn: turn[0].sequence.slot or 0)

    def _start_waiting(self) -> None:
        """Start the tasks whose sequence is not busy and gets a slot."""
        for task in list(self.waiting):
            busy = [other.sequence for other in self.running]
            if task.sequence in busy:
                continue
            if task.halt:
                self._finish(task, End(Stop.CANCELLED))
            elif self.cache.give_slot(task.sequence, task.target, busy, exact=task.request.exact):
                self.waiting.remove(task)
                self.running.append(task)
                self._plan(task)

    def _plan(self, task: Task) -> None:
        sequence, ledger = task.sequence, task.sequence.ledger
        keep = ledger.kept(task.target, sequence.logits is not None, task.score_from)
        if keep < len(ledger.ids):
            keep = sequence.roll_back(self.llama, keep)
        task.pending = task.target[keep:]
        task.prefilled = len(task.pending)
        self._show_progress(task)
        if sequence.logits is not None and len(ledger.ids) == task.score_from < len(task.target):
            self._score(task, [(task.score_from, sequence.logits)])
        if task.request.question:
            self._take_snapshot(task)
        if task.pending:
            sequence.logits = None
        else:
            self._read_finished(task, None)

    def _show_progress(self, task: Task) -> None:
        """Report the progress of a prefill that takes more than one chunk."""
        if task.prefilled > self.llama.chunk:
            progress = PrefillProgress(task.prefilled - len(task.pending), task.prefilled)
            self.reply((task.request.request, progress))

    def _next_tokens(self, task: Task) -> int:
        """Count the tokens to decode next.

        A long text is prefilled in chunks, which end at multiples of their size, wherever the prefill begins. A decode
        also ends where a question begins, for a snapshot, and after as many tokens as are scored at once.
        """
        held = len(task.sequence.ledger.ids)
        number = len(task.pending)
        if number > self.llama.chunk:
            number = self.llama.chunk - held % self.llama.chunk
        if task.score_from < len(task.target):
            number = min(number, max(task.score_from - 1 - held, 0) + SCORED_AT_ONCE)
        to_question = task.text_length - held
        if self.options.supports_truncation or to_question <= 0:
            return number
        return min(to_question, number)

    def decode(self, turns: list[tuple[Task, int]], receive: Callable[[], None]) -> None:
        """Decode once, and act on the result. `receive` takes in new requests between decode and sampling."""
        entries: list[BatchEntry] = []
        last_entry: dict[Task, int] = {}
        for task, number in turns:
            slot, held = task.sequence.slot, len(task.sequence.ledger.ids)
            assert slot is not None
            last = len(task.pending) - 1
            first_wanted = (
                min(last, task.score_from - 1 - held) if task.phase is Phase.READING else last - len(task.drafts)
            )
            for i, token in enumerate(task.pending[:number]):
                entries.append(BatchEntry(token, held + i, slot, i >= first_wanted))
            last_entry[task] = len(entries) - 1
        began = time.perf_counter()
        self.llama.abort(False)
        self.in_decode = [task for task, _ in turns]
        result = self.llama.decode(entries)
        self.in_decode = []
        if result != Decoded.DONE:
            self._after_failed_decode(result, turns)
            return
        for task, number in turns:  # before `receive`: a session that is closed there leaves its slot to others
            ledger = task.sequence.ledger
            if len(turns) == 1 and number == self.llama.chunk and len(ledger.ids) == ledger.whole:
                ledger.whole += number
            ledger.ids += task.pending[:number]
            del task.pending[:number]
        receive()
        for task, number in turns:
            if task in self.running:
                self._act_on(task, number, last_entry[task], began)

    def _act_on(self, task: Task, number: int, last_entry: int, began: float) -> None:
        """Go on after a decode of `number` tokens of this task, the last of which is `last_entry` of the batch."""
        if task.phase is Phase.READING and task.pending:
            self._show_progress(task)
        held = len(task.sequence.ledger.ids)
        if task.phase is Phase.READING and held >= task.score_from:
            first = max(held - number + 1, task.score_from)
            # The logits before a token are those of the entry of the token before it.
            self._score(task, [(at, self.llama.logits(last_entry - held + at)) for at in range(first, held + 1)])
        self._take_snapshot(task)
        if not task.pending:
            self._turn_finished(task, last_entry, began)

    def _after_failed_decode(self, result: int, turns: list[tuple[Task, int]]) -> None:
        """Remove what it left in the cache.

        NO_ROOM ends every request of the batch; an abort ends the cancelled ones, and the others decode again.
        """
        if result < 0:
            raise RuntimeError(f"llama_decode failed with {result}")
        for task, _ in turns:
            sequence = task.sequence
            held = list(sequence.ledger.ids)
            if sequence.slot is not None and not self.llama.truncate(sequence.slot, len(held)):
                task.pending = held[sequence.roll_back(self.llama, len(held)) :] + task.pending
            if result == Decoded.NO_ROOM:
                self._finish(task, messages.Failed(context_full=True, reason="the KV cache has no room left"))
            elif task.halt is Halt.AT_ONCE:
                self._finish(task, End(Stop.CANCELLED))

    # After a decode ----------------------------------------------------------------------------------------------

    def _turn_finished(self, task: Task, entry: int, began: float) -> None:
        if task.phase is Phase.READING:
            self._read_finished(task, entry)
        elif task.drafts:
            self._accept_drafts(task, entry)
            task.seconds = time.perf_counter() - began
        elif task.halt:
            task.sequence.logits = self.llama.logits(entry).copy()
            self._finish(task, End(Stop.CANCELLED))
        else:
            self._write_token(task, entry)
            seconds = time.perf_counter() - began
            task.plain_seconds = 0.8 * task.plain_seconds + 0.2 * seconds if task.plain_seconds else seconds
        self._ask_for_drafts(task)

    def _accept_drafts(self, task: Task, last_entry: int) -> None:
        """Sample at each position after the last token, and accept drafts as long as the sampled token is the draft.

        The cache then holds the last token and the accepted drafts; the token that differs, or the one after the last
        draft, is decoded next.
        """
        drafts, task.drafts = task.drafts, []
        held = len(task.sequence.ledger.ids) - len(drafts)
        task.tried, task.accepted = len(drafts), 0
        for entry, draft in enumerate((*drafts, None), last_entry - len(drafts)):
            if task.halt:
                self._finish(task, End(Stop.CANCELLED))
                break
            if self._write_token(task, entry, draft, len(drafts) - task.accepted) != draft or draft is None:
                break
            task.accepted += 1
            if task not in self.running:
                break
        if task.accepted < task.tried:
            task.sequence.roll_back(self.llama, held + task.accepted)

    def _ask_for_drafts(self, task: Task) -> None:
        if task.plain_tokens is None or task.phase is Phase.READING or task not in self.running:
            return
        task.plain_tokens -= 1
        if task.plain_tokens <= 0:
            task.phase = Phase.AWAITING_DRAFTS
            request = task.request.request
            wanted = messages.DraftsWanted(request, task.tried, task.accepted, task.seconds, task.plain_seconds)
            self.reply((request, wanted))
            task.tried = task.accepted = 0

    def _score(self, task: Task, rows: Sequence[tuple[int, Logits]]) -> None:
        """Score tokens of the target. `rows`: indices, with the logits before each; one behind the end is ignored."""
        tokens = []
        for index, logits in rows:
            if index < len(task.target):
                id = task.target[index]
                logprob, others, _ = self.llama.likelihood(logits, id, task.request.alternatives)
                tokens.append(ScoredToken(id, task.decoder.decode(self.llama.piece(id)), logprob, others))
                task.score_from = index + 1
        if tokens:
            self.reply((task.request.request, Scores(tuple(tokens))))

    def _take_snapshot(self, task: Task) -> None:
        """Save a memory that cannot be truncated: where a text was prefilled, and where a step may end."""
        ledger, slot = task.sequence.ledger, task.sequence.slot
        if self.options.supports_truncation or slot is None or not ledger.ids or len(ledger.ids) in ledger.snapshots:
            return
        if task.phase is Phase.READING:
            is_wanted = len(ledger.ids) == task.text_length
        else:
            is_wanted = self.rolls_back and self._completes_blank_line(ledger.ids)
        if is_wanted:
            ledger.remember(self.llama.snapshot(slot))

    def _completes_blank_line(self, ids: Sequence[int]) -> bool:
        """Return whether the last token completes a blank line, where most policies end a step."""
        last = self.llama.piece(ids[-1])
        if b"\n" not in last:
            return False
        before = b"".join(map(self.llama.piece, ids[-1 - _LOOK_BACK : -1]))
        return bool(_BLANK_LINE.search(before.rstrip(_BLANKS)[-1:] + last))

    def _read_finished(self, task: Task, entry: int | None) -> None:
        """Go on once the text is cached; the logits after it are in the batch (`entry`) or were kept (None)."""
        request, sequence = task.request, task.sequence
        task.phase = Phase.WRITING
        seconds = time.perf_counter() - task.began
        self.reply((request.request, Handoff(len(task.target) - task.prefilled, task.prefilled, seconds)))
        if request.limit:
            self._write_token(task, entry)
            return
        if entry is not None:
            sequence.logits = self.llama.logits(entry).copy()
        if request.choices:
            self.reply((request.request, self._judged(request.choices, sequence.logits)))
            sequence.roll_back(self.llama, task.text_length)
        self._finish(task, End(Stop.LIMIT))

    def _write_token(self, task: Task, entry: int | None, draft: int | None = None, drafts: int = 0) -> int | None:
        """Sample the next token; return None if it ends the text.

        `draft`, the first of `drafts` drafts, is accepted if it is that token; else all of them are rejected.
        """
        request, sequence, llama = task.request, task.sequence, self.llama
        number = number_at(request.seed, request.position + task.written)
        logits = sequence.logits if entry is None else llama.logits(entry)
        assert logits is not None
        token, likeliest = llama.sampler.sample(logits, request.sampling, number)
        cached = len(sequence.ledger.ids) - drafts  # drafts that are not accepted yet do not count
        stop = llama.stop_after(token, request.limit - task.written - 1, cached)
        if stop is Stop.END_OF_TEXT:
            self._finish(task, End(stop))
            return None
        drafted = token == draft
        item = Token(token, llama.piece(token), drafted=drafted, rejected_drafts=0 if drafted else drafts)
        if request.alternatives or request.wants_entropy:
            row = logits.copy() if llama.returns_early else logits  # it is overwritten before the reply is sent
            self.reply((request.request, partial(self._weighed, item, row, request.alternatives, likeliest)))
        else:
            self.reply((request.request, item))
        sequence.logits = None
        task.written += 1
        task.pending = [token]
        if stop:
            self._finish(task, End(stop))
        return token

    def _weighed(self, token: Token, logits: Logits, alternatives: int, likeliest: Ids) -> Token:
        assert token.id is not None
        logprob, others, entropy = self.llama.likelihood(logits, token.id, alternatives, likeliest)
        return token._replace(logprob=logprob, alternatives=others, entropy=entropy)

    def _judged(self, choices: tuple[str, ...], logits: Logits | None) -> Judgement:
        """Weigh the choices by their probability to come next, with or without a blank before them."""
        assert logits is not None
        chances = np.exp(logits - logits.max())
        heads = first_tokens(choices, lambda text: self.llama.tokenize(text, False))
        weights = [sum(float(chances[first]) for first in each) for each in heads]
        total = sum(weights) or 1.0
        return Judgement(tuple(weight / total for weight in weights))

    def _finish(self, task: Task, item: messages.ReplyItem) -> None:
        for tasks in (self.running, self.waiting):
            if task in tasks:
                tasks.remove(task)
        task.sequence.used = time.monotonic()
        self.reply((task.request.request, item))
