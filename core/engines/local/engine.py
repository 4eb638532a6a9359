"""The local engine: a GGUF file in a process of its own, through the protocol of `engines.base`."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from weakref import WeakKeyDictionary

from baton_reasoning.core.engines import base
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.body import Part, bytes_before, rendered_runs, tag_place
from baton_reasoning.core.engines.control_tokens import PromptPiece
from baton_reasoning.core.engines.local import messages
from baton_reasoning.core.engines.local.drafting import DraftedTokens, DraftedWrite, Drafter, DraftLength
from baton_reasoning.core.engines.local.placement import ModelLoader, worker_options
from baton_reasoning.core.engines.local.process import ModelProcess, ProcessLost, RestartPolicy, SentRequest
from baton_reasoning.core.engines.template_thinking import thinking_of
from baton_reasoning.core.engines.templates import RENDERER, render_prompt
from baton_reasoning.core.errors import Cancelled, ContextFull, EngineError, EngineLost, EngineRefused
from baton_reasoning.core.models.gguf import GgufHeader, read_header
from baton_reasoning.core.models.load_options import DEFAULT_OPTIONS, LoadOptions, Switch
from baton_reasoning.core.models.overrides import NO_OVERRIDES, ModelOverrides
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.source import ModelSource, file_source

LOAD_AGAIN = "Load the model again, or choose another one."
REPLACED = (
    "The file of {} was replaced or deleted after it was loaded. This text comes from the file as it was, which can no "
    "longer be checked. Load the model again."
)
STOP_SECONDS = 1.5
"""A cancelled request ends after this time, also if the worker is still busy with it."""
WAIT_SECONDS = 0.1
"""How often a session that waits for another one to reload the model checks whether it was cancelled."""


class LocalEngine:
    """A loaded model in a process of its own. Loading blocks: seconds for a large file.

    Raises ModelFileError before any native code sees a broken file, EngineRefused for options that exclude each other,
    OutOfMemory or EngineError if loading fails.
    """

    def __init__(
        self,
        path: Path,
        options: LoadOptions = DEFAULT_OPTIONS,
        overrides: ModelOverrides = NO_OVERRIDES,
        *,
        source: ModelSource | None = None,
        on_progress: Callable[[float], object] = lambda _: None,
    ) -> None:
        """`source`: what the person named, if it is not the file itself. `on_progress` is called with the part of the
        model that has been read, 0 to 1, in the thread that loads; raising a BatonError there cancels the loading."""
        header = read_header(path)
        if options.conflict:
            raise EngineRefused(options.conflict)
        self._options = worker_options(header, options)
        self._loader = ModelLoader(header, self._options)
        self._reloading = threading.Lock()
        self.restarts = RestartPolicy()
        self._is_closed = False
        self.draft_lengths: WeakKeyDictionary[LocalEngine, DraftLength] = WeakKeyDictionary()
        """What is known of the drafts of each small model for this one."""
        RENDERER.start()  # while the model loads, so that the first session does not wait for it
        self.process = self._loader.load(on_progress)
        card = card_of(header, self._options, overrides, source or file_source(path.absolute()))
        self.card = replace(card, placement=self._loader.placement(self.process))

    @property
    def loaded_as(self) -> LoadOptions:
        """How the model was loaded, which may be lighter than asked."""
        return self._loader.attempt.options

    @property
    def is_lost(self) -> bool:
        """Whether its process has died, and was not started again."""
        return not self.process.alive

    def open(
        self,
        conversation: base.Messages,
        sampling: Sampling,
        attach: base.Attach = base.ignore,
        *,
        thinks: bool = True,
    ) -> LocalSession:
        return LocalSession(self, conversation, sampling, attach, thinks)

    def render(self, conversation: base.Messages, thinks: bool) -> tuple[PromptPiece, ...]:
        """By the model's chat template. Raises EngineRefused."""
        loaded, options = self.process.loaded, self._options
        tags, effort = self.card.thinking, self.card.overrides.reasoning_effort
        return tuple(render_prompt(conversation, options.template, loaded.bos, loaded.eos, tags, thinks, effort))

    def tokenize(self, text: str, special: bool = False) -> tuple[int, ...]:
        """Return the ids of a text on its own, without BOS; `special` recognises control tokens. Raises EngineLost."""
        with self.process.sent(messages.Tokenize(0, text, special)) as sent:
            return sent.token_ids()

    def recover(self, lost: EngineLost, process: ModelProcess, on_progress: Callable[[float], object]) -> None:
        """Start a dead process again, unless another session has done it: lighter, if memory ran out.

        `on_progress` may raise Cancelled while the model is loaded, by this session or by another one. Raises
        EngineLost if the restart policy does not allow it, OutOfMemory if the model fits in no way any more.
        """
        while not self._reloading.acquire(timeout=WAIT_SECONDS):
            on_progress(0)
        try:
            if self.process is process:
                self._reload(lost, on_progress)
        finally:
            self._reloading.release()

    def _reload(self, lost: EngineLost, on_progress: Callable[[float], object]) -> None:
        # Each way to load it is lighter than the one before, so that they need no other bound.
        lighter = isinstance(lost, ProcessLost) and lost.is_out_of_memory and self._loader.has_lighter
        if self._is_closed or self.process.has_other_files or not (lighter or self.restarts.allows_restart()):
            raise EngineLost(lost.message, LOAD_AGAIN) from lost
        self.process.close()
        try:
            self.process = self._loader.load(on_progress, lighter=lighter)
        except Cancelled:
            self.restarts.succeeded()  # it did not fail: the next request may try it again
            raise
        if self._is_closed:  # while it was loaded
            self.process.close()
            raise EngineLost(lost.message, LOAD_AGAIN) from lost
        self.card = replace(self.card, placement=self._loader.placement(self.process))

    def close(self) -> None:
        self._is_closed = True
        self.process.close()


def card_of(
    header: GgufHeader, options: messages.WorkerOptions, overrides: ModelOverrides, source: ModelSource
) -> base.ModelCard:
    """Describe a model by its file and by how it is to be loaded, without its placement."""
    found = thinking_of(options.template, overrides.reasoning_effort)
    return base.ModelCard(
        name=header.name or header.path.stem,
        vocabulary=header.vocabulary_hash,
        context=options.load.context,
        source=source,
        path=header.path,
        architecture=header.architecture,
        quantisation=header.quantisation,
        parameters=header.parameters,
        thinking=overrides.thinking_tags(found.tags),
        overrides=overrides,
    ).with_abilities(
        {
            Ability.SCORES: True,
            Ability.BRANCHES: True,
            Ability.TRUNCATION: options.supports_truncation,
            Ability.THINKING_SWITCH: found.is_switched,
        }
    )


class LocalSession:
    """One text on a local model. If the process dies it is restarted, and the text goes on."""

    def __init__(
        self,
        engine: LocalEngine,
        conversation: base.Messages,
        sampling: Sampling,
        attach: base.Attach,
        thinks: bool,
    ) -> None:
        """`attach` is called before the process is asked for anything. Raises EngineError."""
        self._engine = engine
        self._thinks = thinks
        self._conversation = conversation
        self._sampling = sampling
        self._drafter: Drafter | None = None
        self._is_exact = False
        self._warned_of_another_file = False
        self._under_way: SentRequest | None = None
        self._cancelled = False
        self._body: tuple[Part, ...] = ()
        """The last one that was read."""
        self._ends: list[int] = []
        """The lengths of that and of earlier bodies which are its beginning, in parts."""
        self._sent_from = 0
        """The shortest of them that the process knows."""
        attach(self)
        self._open()

    @property
    def card(self) -> base.ModelCard:
        card = self._engine.card
        return card if self._thinks else card.without_thinking()

    def read(self, body: Sequence[Part]) -> base.Handoff:
        items = [item for item in self._results(body, messages.Read(0, 0, [])) if isinstance(item, base.Handoff)]
        return items[-1] if items else base.Handoff(0, 0, 0.0)  # nothing, if it was cancelled

    def prefetch(self, body: Sequence[Part]) -> None:
        """Does nothing: on one machine it would slow the model that writes (see `Ability.PREFETCH`)."""

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0, entropy: int = 0
    ) -> Generator[base.WriteItem, None, None]:
        written: list[int] = []
        request = messages.Read(0, 0, [], limit, self._sampling, seed, position, alternatives, entropy > 0)
        if self._drafter:
            drafted = DraftedWrite(body, written, self._sampling, seed, position)
            request = request._replace(plain_tokens=self._drafter.begin(drafted))
        for item in self._results(body, request):
            assert not isinstance(item, base.Judgement | base.Scores | base.Continuation)
            if isinstance(item, base.Token) and item.id is not None:
                written.append(item.id)
            yield item
            if isinstance(item, base.Handoff) and not self._warned_of_another_file and self._process.has_other_files:
                self._warned_of_another_file = True
                yield base.Notice(REPLACED.format(self.card.name))

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> base.Judgement:
        judgement = base.Judgement.none(len(choices))
        for item in self._results(body, messages.Read(0, 0, [], question=question, choices=choices)):
            if isinstance(item, base.Handoff):
                judgement = judgement._replace(handoff=item)
            elif isinstance(item, base.Judgement):
                judgement = item._replace(handoff=judgement.handoff)
        return judgement

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> base.Scores:
        scores = base.Scores()
        tags = self.card.thinking
        score_from = bytes_before(body, start, tags.closing if tags else "")
        request = messages.Read(0, 0, [], alternatives=alternatives, score_from=score_from)
        for item in self._results(body, request):
            if isinstance(item, base.Handoff):
                scores = scores._replace(handoff=item)
            elif isinstance(item, base.Scores):
                scores = scores._replace(tokens=scores.tokens + item.tokens)
            elif isinstance(item, base.Notice):
                scores = base.Scores()  # the process was restarted: the text is scored from its start again
        return scores

    def write_branches(self, branches: Sequence[base.Branch]) -> Generator[base.Continuation | base.Notice, None, None]:
        """If the process dies, the branches that have not ended are written again."""
        left = dict(enumerate(branches))
        for item in self._with_restarts(lambda _: self._branches_request(left)):
            if isinstance(item, base.Continuation):
                del left[item.branch]
            if isinstance(item, base.Continuation | base.Notice):
                yield item

    def use_drafts_of(self, small: base.Session, *, asked: bool = False) -> bool:
        self._drafter = None
        wanted, shares = self._engine.loaded_as.drafts, self._process.loaded.shares
        is_on_gpu = any(share.device != base.RAM and share.layers for share in shares)
        if not (asked or wanted is Switch.ON or (wanted is Switch.AUTOMATIC and is_on_gpu)):
            return False
        if not isinstance(small, LocalSession) or small._engine is self._engine:
            return False
        if self.card.obstacle_to_drafts_of(small.card):
            return False
        length = self._engine.draft_lengths.setdefault(small._engine, DraftLength())
        self._drafter = Drafter(small, length)
        return True

    def repeat_exactly(self) -> None:
        self._is_exact = True

    def draft(self, write: DraftedWrite, count: int) -> DraftedTokens:
        """Draft the next `count` tokens of another model's write as this one samples them; fewer if the text ends.

        Of the same write only new tokens pass the pipe. Raises EngineError.
        """
        written = write.written
        if self._process is not self._engine.process or not self._process.alive:
            self._open()
            write.is_read = False
        is_first = not write.is_read
        position = write.position + len(written)
        request = messages.Read(0, 0, [], count, write.sampling, write.seed, position, written=tuple(written))
        ids: list[int] = []
        read_seconds = 0.0
        for item in self._replies(self._of_body(write.body, request)):
            if isinstance(item, base.Handoff):
                if is_first and item.prefilled > 1:  # one token is read for the first draft itself
                    read_seconds = item.seconds * (1 - 1 / item.prefilled)
                write.is_read = True
            elif isinstance(item, base.Token) and item.id is not None:
                ids.append(item.id)
        return DraftedTokens(tuple(ids), read_seconds)

    def cancel(self) -> None:
        # Before `_under_way` is read; `_sent` sets that before it reads this, so no cancel is missed.
        self._cancelled = True
        if (sent := self._under_way) is not None:
            sent.cancel()  # the thread that waits for replies passes it on: this one never blocks

    def close(self) -> None:
        self._process.tell(messages.CloseSession(self._number))

    # -----------------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Open in the current process, restarting it once if it died."""
        try:
            self._open_in(self._engine.process)
        except EngineLost as lost:
            self._recover(lost)
            self._open_in(self._engine.process)

    def _open_in(self, process: ModelProcess) -> None:
        prompt = self._engine.render(self._conversation, self._thinks)
        self._process, self._sent_from = process, sys.maxsize
        with self._sent(messages.Open(0, prompt)) as sent:
            self._number = sent.number
            try:
                self.prompt_tokens = len(sent.token_ids())
            except Cancelled:
                self.close()
                raise
        if self.prompt_tokens >= self.card.context:
            self.close()
            raise ContextFull(
                f"The prompt has {self.prompt_tokens} tokens, and {self.card.name} holds {self.card.context}.",
                "Shorten the prompt, or load the model with a longer context.",
            )

    def _recover(self, lost: EngineLost) -> None:
        self._engine.recover(lost, self._process, lambda _: self._refuse_if_cancelled())

    def _refuse_if_cancelled(self) -> None:
        if self._cancelled:
            raise Cancelled

    def _restart(self, lost: EngineLost) -> Generator[base.Notice, None, None]:
        self._recover(lost)
        placement = self._engine.card.placement
        reduced = f" {placement.fallback}" if placement and placement.fallback else ""
        yield base.Notice(f"{lost.message} It was started again{reduced}, and the text goes on.")

    # Requests --------------------------------------------------------------------------------------------------------

    def _of_body(self, body: Sequence[Part], request: messages.Read) -> messages.Read:
        """Put the body into a request: all of it, or what follows an earlier body that the process has.

        What was tokenised stays as it is: no text is joined across the end of an earlier body, not even for a process
        that was started again.
        """
        self._forget_other_ends(body)
        known = next((end for end in self._ends[-1:] if end >= self._sent_from), None)
        seams = [0, *self._ends] if known is None else [known]
        runs = [run for begin, end in pairwise([*seams, len(body)]) for run in self._runs(body[begin:end])]
        self._sent_from = len(body) if known is None else self._sent_from
        self._body = tuple(body)
        if self._ends[-1:] != [len(body)]:
            self._ends.append(len(body))
        return request._replace(runs=runs, exact=self._is_exact, length=len(body), base=known)

    def _forget_other_ends(self, body: Sequence[Part]) -> None:
        """Forget where earlier bodies ended that this one does not begin with, or that end within its closing tag.

        A body only grows and is cut, at its end: one that has the same part at some place has the same before it.
        """
        ends = self._ends
        while ends and (ends[-1] > len(body) or (ends[-1] and body[ends[-1] - 1] is not self._body[ends[-1] - 1])):
            ends.pop()
        new = range(ends[-1] if ends else 0, len(body))
        for closing in (number for number in new if body[number].closing_tag):
            begins, _ = tag_place(body, closing + 1)
            while ends and ends[-1] > begins:
                ends.pop()

    def _branches_request(self, branches: Mapping[int, base.Branch]) -> messages.WriteBranches:
        bodies = {id(branch.body): branch.body for branch in branches.values()}
        runs = {key: self._runs(body) for key, body in bodies.items()}
        reads = [
            messages.Read(0, index, runs[id(branch.body)], branch.limit, self._sampling, branch.seed)
            for index, branch in branches.items()
        ]
        return messages.WriteBranches(0, 0, reads)

    def _runs(self, body: Sequence[Part]) -> list[messages.Run]:
        tags, size = self.card.thinking, self._process.loaded.vocabulary_size
        return rendered_runs(body, self.card.vocabulary, tags.closing if tags else "", size)

    @contextmanager
    def _sent(self, request: messages.Question) -> Iterator[SentRequest]:
        """Send a request; `cancel` reaches whoever waits for its replies, even if it came before."""
        with self._process.sent(request) as sent:
            self._under_way = sent
            if self._cancelled:
                sent.cancel()
            try:
                yield sent
            finally:
                self._under_way = None

    def _results(self, body: Sequence[Part], request: messages.Read) -> Generator[messages.ResultItem, None, None]:
        """Send a request and yield its results. If the process dies, go on from the last token that arrived."""

        def rest(arrived: list[base.Token]) -> messages.Read:
            ids = tuple(token.id for token in arrived if token.id is not None)
            left = request._replace(written=ids, limit=request.limit - len(ids), position=request.position + len(ids))
            return self._of_body(body, left)

        return self._with_restarts(rest)

    def _with_restarts(
        self, request: Callable[[list[base.Token]], messages.Read | messages.WriteBranches]
    ) -> Generator[messages.ResultItem, None, None]:
        """Send a request and yield its results. If the process dies, start it again and ask for the rest.

        `request` gets the tokens that have arrived, and makes the request for what is left.
        """

        def write(arrived: list[base.Token]) -> Generator[messages.ResultItem, None, None]:
            self._refuse_if_cancelled()
            if self._process is not self._engine.process:
                self._open()
            yield from self._replies(request(arrived))
            self._engine.restarts.succeeded()

        try:
            yield from base.continued(write, self._restart)
        except Cancelled:
            yield base.End(base.Stop.CANCELLED)

    def _replies(self, request: messages.Read | messages.WriteBranches) -> Generator[messages.ResultItem, None, None]:
        """Send a request and yield its replies up to the last one. Raises EngineLost if the process dies."""
        is_text = isinstance(request, messages.Read) and any(isinstance(run, str) for run in request.runs)
        process, stop_at = self._process, None
        with self._sent(request._replace(session=self._number)) as sent:
            try:
                while True:
                    match sent.next_reply(stop_at):
                        case base.Token() | base.Continuation() as item:
                            self._engine.restarts.succeeded()
                            yield item
                        case base.Handoff() as handoff:
                            yield handoff._replace(passing=base.Passing.TEXT if is_text else base.Passing.IDS)
                        case messages.DraftsWanted() as wanted if self._drafter:
                            process.tell(self._drafter.answer(wanted))
                        case base.End() as end:
                            yield end
                            return
                        case None:
                            yield base.End(base.Stop.CANCELLED)
                            return
                        case messages.Cancel() as cancel:
                            stop_at = stop_at or time.monotonic() + STOP_SECONDS  # a second Stop brings no second wait
                            process.tell(cancel)
                        case messages.Failed(context_full, reason):
                            raise self._failure(context_full, reason)
                        case other:
                            assert not isinstance(other, messages.DraftsWanted | messages.Tokenized)
                            yield other
            finally:
                process.tell(messages.Cancel(sent.number))

    def _failure(self, context_full: bool, reason: str) -> EngineError:
        if context_full:
            return ContextFull(
                f"The context of {self.card.name} is full: {reason}.",
                "Load it with a longer context, or begin a new conversation.",
            )
        return EngineError(
            f"{self.card.name} could not go on: {reason}.", "Close other programs, or load it with a shorter context."
        )
