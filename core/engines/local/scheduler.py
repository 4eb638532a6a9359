"""Continuous batching: all sessions of a model share each `llama_decode`, new ones join at the next.

A batch takes first the tokens of every session that writes, then as much as fits of the texts being read. After the
decode, each writer draws its next token, unless it was stopped meanwhile: then the token that it stopped at is in the
cache, and none was drawn for nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

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
)
from baton_reasoning.core.engines.local.branches import BranchWriter
from baton_reasoning.core.engines.local.llama import BatchEntry, Decoded, Llama, Logits
from baton_reasoning.core.engines.local.messages import (
    Drafts,
    DraftsWanted,
    Failed,
    Read,
    Reply,
    ReplyItem,
    Run,
    WorkerOptions,
    WriteBranches,
)
from baton_reasoning.core.engines.local.prompt_cache import PromptCache
from baton_reasoning.core.engines.local.tasks import CachedSequence, Task, ages
from baton_reasoning.core.engines.random_numbers import number_at

SCORED_AT_ONCE = 128
"""Positions a decode that score: each takes a row of logits over the whole vocabulary (128 × 152,000 floats: 78 MB)."""


class Scheduler:
    """Turns requests into batches and replies. One thread calls it, but for `halt`."""

    def __init__(self, llama: Llama, options: WorkerOptions, reply: Callable[[Reply], None]) -> None:
        self.llama = llama
        self.options = options
        self.reply = reply
        self.sequences: dict[int, CachedSequence] = {}
        self.waiting: list[Task] = []
        self.running: list[Task] = []
        self.in_decode: list[Task] = []
        self.chunk = llama.chunk
        """Chunks end at multiples of it, so that a text is cut up in the same way wherever reading begins."""
        self.branches: dict[int, BranchWriter] = {}
        """By session."""
        self.cache = PromptCache(llama, options.load.parallel, options.supports_truncation)

    @property
    def idle(self) -> bool:
        is_writing = any(writer.is_busy for writer in self.branches.values())
        waits = all(task.awaits_drafts and not task.halted for task in self.running)
        return not self.waiting and waits and not is_writing

    # Requests ----------------------------------------------------------------------------------------------------

    def open(self, session: int, prompt: tuple[int, ...]) -> None:
        self.sequences[session] = CachedSequence(prompt, self.cache.empty_ledger())

    def close(self, session: int) -> None:
        if branches := self.branches.pop(session, None):
            branches.close()
        sequence = self.sequences.pop(session, None)
        if sequence is None:
            return
        for task in [t for t in (*self.running, *self.waiting) if t.sequence is sequence]:
            self._finish(task, End(Stop.CANCELLED))
        self.cache.take_slot(sequence)

    def begin(self, request: Read) -> None:
        sequence = self.sequences[request.session]
        if not (sequence.text or request.exact):
            sequence.prompt = self.cache.as_written(sequence.prompt)
        before = sequence.prompt if request.base is None else sequence.text[: request.base]
        text = sequence.text = [*before, *self._ids(request.runs)]
        target = [*text, *self.llama.tokenize(request.question, False)]
        if len(target) + bool(request.limit) > self.options.load.context:
            reason = f"{len(target)} tokens are more than the context of {self.options.load.context} holds"
            self.reply((request.request, Failed(context_full=True, reason=reason)))
            return
        task = Task(sequence, request, target, len(text), self._first_scored(sequence, request, target))
        task.plain_tokens = request.plain_tokens
        self.waiting.append(task)

    def begin_branches(self, request: WriteBranches) -> None:
        prompt = self.sequences[request.session].prompt
        writer = self.branches.get(request.session)
        if writer is None:
            writer = self.branches[request.session] = BranchWriter(self.llama, self.options, self.reply)
        writer.begin(request, [[*prompt, *self._ids(text)] for text in request.texts])

    def take_drafts(self, drafts: Drafts) -> None:
        """Go on with a write that waits for drafts."""
        for task in self.running:
            if task.request.request == drafts.request and task.awaits_drafts:
                held = len(task.sequence.ledger.ids)
                # Behind the last draft the context holds one more token.
                most = min(self.options.load.context - held - 2, task.request.limit - task.written - 1)
                most = min(most, self.options.load.batch - 1)
                task.drafts = list(drafts.ids[: max(most, 0)])
                task.pending += task.drafts
                task.plain_tokens = drafts.plain_tokens
                task.awaits_drafts = False

    def _first_scored(self, sequence: CachedSequence, request: Read, target: list[int]) -> int:
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
        """Stop a request. Called by the listening thread, so that a long decode can be left in the middle."""
        for task in (*self.running, *self.waiting):
            if task.request.request == request:
                task.halted = True
                task.halted_at_once |= at_once
        for writer in list(self.branches.values()):
            writer.halt(request)
        if self.in_decode and all(task.halted_at_once for task in self.in_decode):
            self.llama.abort()

    def _ids(self, runs: list[Run]) -> list[int]:
        ids: list[int] = []
        thinking = self.options.thinking
        for run in runs:
            if isinstance(run, str):
                # Only the closing tag may be a control token; a text that spells another is just a text.
                parts = re.split(f"({re.escape(thinking.closing)})", run) if thinking else [run]
                for part in parts:
                    ids += self.llama.tokenize(part, bool(thinking and part == thinking.closing))
            else:
                ids += run
        return ids

    # One turn ----------------------------------------------------------------------------------------------------

    def next_turns(self) -> list[tuple[Task, int]]:
        """Decide which tasks decode how many tokens now; empty if there is nothing to decode."""
        self._start_waiting()
        return self._fill_batch()

    def _start_waiting(self) -> None:
        for task in list(self.waiting):
            if any(other.sequence is task.sequence for other in self.running):
                continue
            if task.halted:
                self._finish(task, End(Stop.CANCELLED))
            elif self._give_slot(task):
                self.waiting.remove(task)
                self.running.append(task)
                self._plan(task)

    def _give_slot(self, task: Task) -> bool:
        busy = [other.sequence for other in self.running]
        return self.cache.give_slot(task.sequence, task.target, busy, exact=task.request.exact)

    def _plan(self, task: Task) -> None:
        sequence, ledger = task.sequence, task.sequence.ledger
        keep, new = ledger.plan(task.target, sequence.logits is not None, task.score_from)
        if keep < len(ledger.ids):
            keep = self._roll_back(sequence, keep)
            new = task.target[keep:]
        task.pending, task.prefilled = new, len(new)
        self._show_progress(task)
        if sequence.logits is not None and len(ledger.ids) == task.score_from < len(task.target):
            self._reply_scores(task, [(task.score_from, sequence.logits)])
        if task.request.question:
            self._take_snapshot(task)
        if new:
            sequence.logits = None
        else:
            self._read_finished(task, None)

    def _show_progress(self, task: Task) -> None:
        """Tell how far a text is read that takes more than one chunk."""
        if task.prefilled > self.chunk:
            progress = PrefillProgress(task.prefilled - len(task.pending), task.prefilled)
            self.reply((task.request.request, progress))

    def _roll_back(self, sequence: CachedSequence, keep: int) -> int:
        """Roll a sequence's memory back to `keep` tokens or, where it cannot be cut, to the last snapshot before.

        Returns how many it holds then; 0 if all of it has to be read again.
        """
        ledger, slot = sequence.ledger, sequence.slot
        assert slot is not None
        keep = ledger.restorable(keep)
        if not self.options.supports_truncation and not (keep and self.llama.restore(slot, ledger.snapshots[keep])):
            keep = 0
        if not self.llama.cut(slot, keep or -1):
            keep = 0
            self.llama.cut(slot, -1)
        ledger.cut(keep)
        sequence.logits = None
        return keep

    def _fill_batch(self) -> list[tuple[Task, int]]:
        """Fill a batch with the tokens of writers first, then of readers as far as it goes.

        The turns are in order of slots: where sequences have caches of their own, neighbours share a decode.
        """
        remaining = self.options.load.batch
        turns: list[tuple[Task, int]] = []
        for task in sorted(self.running, key=lambda task: task.reading):
            if task.halted and (task.reading or task.awaits_drafts):
                self._finish(task, End(Stop.CANCELLED))
            elif task.awaits_drafts:
                continue
            elif number := min(remaining, self._next_tokens(task)):
                turns.append((task, number))
                remaining -= number
        return sorted(turns, key=lambda turn: turn[0].sequence.slot or 0)

    def _next_tokens(self, task: Task) -> int:
        """Count the tokens to decode next: a long text is read in chunks, with a pause for a snapshot where a question
        begins, and after as many tokens as are scored at once."""
        held = len(task.sequence.ledger.ids)
        number = len(task.pending)
        if number > self.chunk:
            number = self.chunk - held % self.chunk
        if task.score_from < len(task.target):
            number = min(number, max(task.score_from - 1 - held, 0) + SCORED_AT_ONCE)
        to_question = task.text_length - held
        if self.options.supports_truncation or to_question <= 0:
            return number
        return min(to_question, number)

    def write_branches(self) -> None:
        """Decode once for each session that writes branches."""
        for writer in list(self.branches.values()):
            if writer.is_busy:
                writer.step()

    def decode(self, turns: list[tuple[Task, int]], receive: Callable[[], None]) -> None:
        """Decode once, and act on the result. `receive` takes in new requests between decode and sampling."""
        entries: list[BatchEntry] = []
        last_entry: dict[Task, int] = {}
        for task, number in turns:
            slot, held = task.sequence.slot, len(task.sequence.ledger.ids)
            assert slot is not None
            last = len(task.pending) - 1
            first_wanted = min(last, task.score_from - 1 - held) if task.reading else last - len(task.drafts)
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
        for task, number in turns:  # before anything else: a session that is closed now leaves its slot to others
            ledger = task.sequence.ledger
            if len(turns) == 1 and number == self.chunk and len(ledger.ids) == ledger.whole:
                ledger.whole += number
            ledger.ids += task.pending[:number]
            del task.pending[:number]
        receive()
        for task, number in turns:
            if task in self.running:
                self._act_on(task, number, last_entry[task], began)

    def _act_on(self, task: Task, number: int, last_entry: int, began: float) -> None:
        """Go on after a decode of `number` tokens of this task, the last of which is `last_entry` of the batch."""
        if task.reading and task.pending:
            self._show_progress(task)
        if task.reading and len(task.sequence.ledger.ids) >= task.score_from:
            self._score_read(task, number, last_entry)
        self._take_snapshot(task)
        if not task.pending:
            self._turn_finished(task, last_entry, began)

    def _after_failed_decode(self, result: int, turns: list[tuple[Task, int]]) -> None:
        """Remove what it left in memory. A request that is cancelled or has no room ends; the others decode again."""
        if result < 0:
            raise RuntimeError(f"llama_decode failed with {result}")
        for task, _ in turns:
            sequence = task.sequence
            held = list(sequence.ledger.ids)
            if sequence.slot is not None and not self.llama.cut(sequence.slot, len(held)):
                task.pending = held[self._roll_back(sequence, len(held)) :] + task.pending
            if result == Decoded.NO_ROOM:
                self._finish(task, Failed(context_full=True, reason="the KV cache has no room left"))
            elif task.halted_at_once:
                self._finish(task, End(Stop.CANCELLED))

    # After a decode ----------------------------------------------------------------------------------------------

    def _turn_finished(self, task: Task, entry: int, began: float) -> None:
        if task.reading:
            self._read_finished(task, entry)
        elif task.drafts:
            self._keep_drafts(task, entry)
            task.seconds = time.perf_counter() - began
        elif task.halted:
            task.sequence.logits = self.llama.logits(entry).copy()
            self._finish(task, End(Stop.CANCELLED))
        else:
            self._write_token(task, entry)
            seconds = time.perf_counter() - began
            task.plain_seconds = 0.8 * task.plain_seconds + 0.2 * seconds if task.plain_seconds else seconds
        self._ask_for_drafts(task)

    def _keep_drafts(self, task: Task, last_entry: int) -> None:
        """Draw at each position after the last token, and keep drafts as long as what is drawn is the draft.

        The cache then holds the last token and the drafts that were kept; the token that differs, or the one after
        the last draft, is decoded next.
        """
        drafts, task.drafts = task.drafts, []
        held = len(task.sequence.ledger.ids) - len(drafts)
        task.tried, task.accepted = len(drafts), 0
        for entry, draft in enumerate((*drafts, None), last_entry - len(drafts)):
            if task.halted:
                self._finish(task, End(Stop.CANCELLED))
                break
            if self._write_token(task, entry, draft, len(drafts) - task.accepted) != draft or draft is None:
                break
            task.accepted += 1
            if task not in self.running:
                break
        if task.accepted < task.tried:
            self._roll_back(task.sequence, held + task.accepted)

    def _ask_for_drafts(self, task: Task) -> None:
        if task.plain_tokens is None or task.reading or task not in self.running:
            return
        task.plain_tokens -= 1
        if task.plain_tokens <= 0:
            task.awaits_drafts = True
            request = task.request.request
            wanted = DraftsWanted(request, task.tried, task.accepted, task.seconds, task.plain_seconds)
            self.reply((request, wanted))
            task.tried = task.accepted = 0

    def _score_read(self, task: Task, number: int, last_entry: int) -> None:
        """Score each token that follows one of the `number` tokens just decoded, the last of which is `last_entry`."""
        held = len(task.sequence.ledger.ids)
        first = max(held - number + 1, task.score_from)
        entry = last_entry - held + 1  # logits of token i are those of the entry of token i − 1
        self._reply_scores(task, [(i, self.llama.logits(entry + i - 1)) for i in range(first, held + 1)])

    def _reply_scores(self, task: Task, rows: Sequence[tuple[int, Logits]]) -> None:
        """Reply with the scores of `rows`: an index in the target, and the logits before it.

        The index after the last token has nothing to score.
        """
        llama, alternatives = self.llama, task.request.alternatives
        tokens = []
        for index, logits in rows:
            if index < len(task.target):
                id = task.target[index]
                logprob, others = llama.likeliest(logits, alternatives, id)
                tokens.append(ScoredToken(id, task.decoder.decode(llama.piece(id)), logprob, others))
                task.score_from = index + 1
        if tokens:
            self.reply((task.request.request, Scores(tuple(tokens))))

    def _take_snapshot(self, task: Task) -> None:
        """Save a memory that cannot be cut, where a text has been read, and where what is written may end a step."""
        ledger, slot = task.sequence.ledger, task.sequence.slot
        if self.options.supports_truncation or slot is None or not ledger.ids or len(ledger.ids) in ledger.snapshots:
            return
        if len(ledger.ids) == task.text_length if task.reading else b"\n" in self.llama.piece(ledger.ids[-1]):
            ledger.remember(self.llama.snapshot(slot))

    def _read_finished(self, task: Task, entry: int | None) -> None:
        """Go on once the text is in the cache; its last logits are in the batch (`entry`) or were kept (None)."""
        request, sequence = task.request, task.sequence
        task.reading = False
        seconds = time.perf_counter() - task.began
        self.reply((request.request, Handoff(len(task.target) - task.prefilled, task.prefilled, seconds)))
        if request.limit:
            task.sampler = self.llama.make_sampler(request.sampling)
            self._write_token(task, entry)
            return
        if entry is not None:
            sequence.logits = self.llama.logits(entry).copy()
        if request.choices:
            self.reply((request.request, self._judged(request.choices, sequence.logits)))
            self._roll_back(sequence, task.text_length)
        self._finish(task, End(Stop.LIMIT))

    def _write_token(self, task: Task, entry: int | None, draft: int | None = None, drafts: int = 0) -> int | None:
        """Draw the next token; return None if it ends the text.

        It counts as drafted if it is the draft, the first of `drafts`; else all of these are rejected.
        """
        request, sequence, llama = task.request, task.sequence, self.llama
        number = number_at(request.seed, request.position + task.written)
        if entry is None:
            assert sequence.logits is not None
            logits, token = sequence.logits, llama.sample_from(task.sampler, sequence.logits, number)
        else:
            logits, token = llama.logits(entry), llama.sample(task.sampler, entry, number)
        if llama.ends_text(token):
            self._finish(task, End(Stop.END_OF_TEXT))
            return None
        logprob, others = llama.likeliest(logits, request.alternatives, token) if request.alternatives else (None, ())
        entropy = llama.entropy(logits) if request.alternatives else None
        drafted = token == draft
        rejected = 0 if drafted else drafts
        self.reply((request.request, Token(token, llama.piece(token), logprob, others, drafted, rejected, entropy)))
        sequence.logits = None
        task.written += 1
        task.pending = [token]
        if task.written >= request.limit:
            self._finish(task, End(Stop.LIMIT))
        elif len(sequence.ledger.ids) - drafts + 1 >= self.options.load.context:  # drafts not kept yet do not count
            self._finish(task, End(Stop.CONTEXT_FULL))
        return token

    def _judged(self, choices: tuple[str, ...], logits: Logits | None) -> Judgement:
        """Weigh the choices by their chance to come next, with or without a blank before them."""
        assert logits is not None
        chances = np.exp(logits - logits.max())
        heads = first_tokens(choices, lambda text: self.llama.tokenize(text, False))
        weights = [sum(float(chances[first]) for first in each) for each in heads]
        named = [float(chances[first]) for first in set().union(*heads)]
        total = sum(weights) or 1.0
        return Judgement(
            tuple(weight / total for weight in weights),
            mass=sum(named) / float(chances.sum()),
        )

    def _finish(self, task: Task, item: ReplyItem) -> None:
        if task.sampler is not None:
            self.llama.free_sampler(task.sampler)
            task.sampler = None
        for tasks in (self.running, self.waiting):
            if task in tasks:
                tasks.remove(task)
        task.sequence.used = next(ages)
        self.reply((task.request.request, item))
