"""The local engine: a GGUF file in a process of its own, through the protocol of `engines.base`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from baton_reasoning.core.engines.base import (
    Attach,
    Branch,
    Continuation,
    Conversation,
    End,
    Handoff,
    Judgement,
    ModelCard,
    Notice,
    Passing,
    Placement,
    PrefillProgress,
    Scores,
    Session,
    Stop,
    Token,
    WriteItem,
    ignore,
)
from baton_reasoning.core.engines.body import Part, bytes_before, rendered_runs
from baton_reasoning.core.engines.chat_template import PromptPiece, render_prompt
from baton_reasoning.core.engines.local.drafting import DraftedTokens, DraftedWrite, Drafter, DraftLength
from baton_reasoning.core.engines.local.messages import (
    BranchEnded,
    BranchWanted,
    CacheDump,
    Cancel,
    CloseSession,
    DraftsWanted,
    DumpCache,
    Failed,
    Open,
    Read,
    ReadItem,
    Tokenize,
    Tokenized,
    WriteBranches,
)
from baton_reasoning.core.engines.local.placement import (
    RAM,
    attempts,
    attempts_after_death,
    card_of,
    layers_to_begin_with,
    load_first_that_fits,
    worker_options,
)
from baton_reasoning.core.engines.local.process import (
    CancelRequested,
    ModelProcess,
    ProcessLost,
    Replies,
    RestartPolicy,
    next_reply,
    only_reply,
)
from baton_reasoning.core.engines.template_renderer import RENDERER
from baton_reasoning.core.errors import Cancelled, ContextFull, EngineError, EngineLost, EngineRefused
from baton_reasoning.core.models.gguf import GgufHeader, read_header
from baton_reasoning.core.models.loading import DEFAULT_OPTIONS, LoadOptions, Switch
from baton_reasoning.core.models.overrides import NO_OVERRIDES, ModelOverrides, Sampling
from baton_reasoning.core.models.source import ModelSource, file_source

RESTARTS_A_REQUEST = 1
"""Deaths that one request may survive: a second one may be its own fault."""
LOAD_AGAIN = "Load the model again, or choose another one."
REPLACED = (
    "The file of {} was replaced or deleted after it was loaded. This text comes from the file as it was, which can no "
    "longer be checked. Load the model again."
)
STOP_SECONDS = 1.5
"""A cancelled request ends after this time, also if the worker is still busy with it."""


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
        self._options = worker_options(header, options, overrides)
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._restarts = RestartPolicy()
        self._is_closed = False
        self.draft_lengths: WeakKeyDictionary[LocalEngine, DraftLength] = WeakKeyDictionary()
        """What is known of the drafts of each small model for this one."""
        RENDERER.start()  # while the model loads, so that the first session does not wait for it
        self._process, retreat = self._load(header, on_progress)
        self._card = card_of(
            header, self._options, overrides, self._placement(retreat), source or file_source(path.absolute())
        )

    def _load(self, header: GgufHeader, on_progress: Callable[[float], object]) -> tuple[ModelProcess, str]:
        """Load as asked; if the device is out of memory, lighter and lighter. Also returns what is less than asked."""
        load = self._options.load
        layers = layers_to_begin_with(header, load)
        if load.gpu_layers < 0:  # an overfull GPU may take the system down, so “all” is never tried blindly
            load = load.model_copy(update={"gpu_layers": layers})
        self._asked, self._layers = load, layers
        ways = list(attempts(load, layers))
        process, self._options, change = load_first_that_fits(self._options, ways, header.name, on_progress)
        return process, change

    def _placement(self, retreat: str) -> Placement:
        loaded, load = self._process.loaded, self._options.load
        return Placement(loaded.shares, load.batch, loaded.threads, load.kv_type.name.lower(), retreat, load.parallel)

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def loaded_as(self) -> LoadOptions:
        """How the model was loaded, which may be lighter than asked."""
        return self._options.load

    @property
    def is_on_gpu(self) -> bool:
        return any(share.device != RAM and share.layers for share in self._process.loaded.shares)

    @property
    def process(self) -> ModelProcess:
        return self._process

    def next_number(self) -> int:
        with self._lock:
            return next(self._numbers)

    def open(
        self, conversation: Conversation, sampling: Sampling, attach: Attach = ignore, *, thinks: bool = True
    ) -> LocalSession:
        return LocalSession(self, conversation, sampling, attach, thinks=thinks)

    def render(self, conversation: Conversation, thinks: bool) -> tuple[PromptPiece, ...]:
        """By the model's chat template. Raises EngineRefused."""
        loaded, options = self._process.loaded, self._options
        return tuple(render_prompt(conversation, options.template, loaded.bos, loaded.eos, options.thinking, thinks))

    def tokenize(self, text: str, special: bool = False) -> tuple[int, ...]:
        """Return the ids of a text on its own, without BOS; `special` recognises control tokens. Raises EngineLost."""
        number = self.next_number()
        tokenized = only_reply(self._process.ask(number, Tokenize(number, text, special)))
        assert isinstance(tokenized, Tokenized)
        return tokenized.ids

    def recover(self, lost: EngineLost, process: ModelProcess, on_progress: Callable[[float], object]) -> None:
        """Start a dead process again, unless another session has done it: lighter, if memory ran out.

        `on_progress` may raise Cancelled while the model is loaded. Raises EngineLost if the restart policy does not
        allow it, OutOfMemory if the model fits in no way any more.
        """
        with self._lock:
            if self._process is not process:
                return
            if self._is_closed or process.has_other_files or not self._restarts.allows_restart():
                raise EngineLost(lost.message, LOAD_AGAIN) from lost
            self._process.close()
            memory = isinstance(lost, ProcessLost) and lost.is_out_of_memory
            ways = attempts_after_death(self._asked, self._layers, self._options.load, memory=memory)
            try:
                loaded = load_first_that_fits(self._options, ways, self._card.name, on_progress)
            except Cancelled:
                self._restarts.succeeded()  # it did not fail: the next request may try it again
                raise
            self._process, self._options, change = loaded
            if self._is_closed:  # while it was loaded
                self._process.close()
                raise EngineLost(lost.message, LOAD_AGAIN) from lost
            self._card = replace(self._card, placement=self._placement(change))

    @property
    def lighter_words(self) -> str:
        """“ with a batch of 128 tokens” if the model is loaded lighter than asked; else empty."""
        placement = self._card.placement
        return f" {placement.retreat}" if placement and placement.retreat else ""

    def succeeded(self) -> None:
        """A request came to its end: the next death may be repaired by a restart."""
        self._restarts.succeeded()

    def close(self) -> None:
        self._is_closed = True
        self._process.close()


class LocalSession:
    """One text on a local model. If the process dies it is restarted, and the text goes on."""

    def __init__(
        self, engine: LocalEngine, conversation: Conversation, sampling: Sampling, attach: Attach, *, thinks: bool
    ) -> None:
        """`attach` is called before the process is asked for anything. Raises EngineError."""
        self._engine = engine
        self._thinks = thinks
        self._conversation = conversation
        self._sampling = sampling
        self._drafter: Drafter | None = None
        self._is_exact = False
        self._has_told = False
        """Whether a notice has said that the model's file was replaced."""
        self._replies: Replies | None = None
        """Of the request under way."""
        self._cancelled = False
        attach(self)
        self._open()

    @property
    def card(self) -> ModelCard:
        card = self._engine.card
        return card if self._thinks else card.without_thinking()

    @property
    def prompt_tokens(self) -> int:
        return self._prompt_tokens

    def read(self, body: Sequence[Part]) -> Handoff:
        items = [item for item in self._carry_out(self._asking(body)) if isinstance(item, Handoff)]
        return items[-1] if items else Handoff(0, 0, 0.0)  # nothing, if it was cancelled

    def prefetch(self, body: Sequence[Part]) -> None:
        """Does nothing: on one machine it would slow the model that writes (see `ModelCard.supports_prefetch`)."""

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0
    ) -> Generator[WriteItem, None, None]:
        written: list[int] = []
        drafted = DraftedWrite(body, written, self._sampling, seed, position)
        plain_tokens = self._drafter.begin(drafted) if self._drafter else None
        asking = self._asking(
            body,
            limit=limit,
            sampling=self._sampling,
            seed=seed,
            position=position,
            alternatives=alternatives,
            plain_tokens=plain_tokens,
        )
        for item in self._carry_out(asking, written):
            assert not isinstance(item, Judgement | Scores)
            yield item
            if isinstance(item, Handoff) and not self._has_told and self._engine.process.has_other_files:
                self._has_told = True
                yield Notice(REPLACED.format(self.card.name))

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        judgement = Judgement.none(len(choices))
        for item in self._carry_out(self._asking(body, question=question, choices=choices)):
            if isinstance(item, Handoff):
                judgement = judgement._replace(handoff=item)
            elif isinstance(item, Judgement):
                judgement = item._replace(handoff=judgement.handoff)
        return judgement

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:
        scores = Scores()
        tags = self.card.thinking
        score_from = bytes_before(body, start, tags.closing if tags else "")
        asking = self._asking(body, alternatives=alternatives, score_from=score_from)
        for item in self._carry_out(asking):
            if isinstance(item, Handoff):
                scores = scores._replace(handoff=item)
            elif isinstance(item, Scores):
                scores = scores._replace(tokens=scores.tokens + item.tokens)
            elif isinstance(item, Notice):
                scores = Scores()  # the process died and was restarted: the text is scored from its start again
        return scores

    def write_branches(self, branches: Sequence[Branch]) -> Generator[Continuation | Notice, None, None]:
        """If the process dies, the branches that have not ended are written again."""
        left, deaths = list(range(len(branches))), 0
        while left:
            asked = list(left)
            try:
                self._refuse_if_cancelled()
                if self._process is not self._engine.process:
                    self._open()
                for item in self._replies_to(self._asking_for([branches[index] for index in asked])):
                    if isinstance(item, BranchEnded):
                        index = asked[item.branch]
                        left.remove(index)
                        yield Continuation(index, item.text.decode(errors="replace"), item.tokens, item.stop)
                self._engine.succeeded()
                return
            except Cancelled:
                return
            except EngineLost as lost:
                deaths += 1
                yield self._started_again(lost, deaths)

    def _asking_for(self, branches: Sequence[Branch]) -> WriteBranches:
        bodies = {id(branch.body): branch.body for branch in branches}
        numbers = {key: number for number, key in enumerate(bodies)}
        wanted = [BranchWanted(numbers[id(branch.body)], branch.seed, branch.limit) for branch in branches]
        return WriteBranches(0, 0, [self._runs(body) for body in bodies.values()], wanted, self._sampling)

    def use_drafts_of(self, small: Session, *, asked: bool = False) -> bool:
        self._drafter = None
        wanted = self._engine.loaded_as.drafts
        if not (asked or wanted is Switch.ON or (wanted is Switch.AUTOMATIC and self._engine.is_on_gpu)):
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

    def draft(self, write: DraftedWrite, count: int, base: int | None) -> DraftedTokens:
        """The next `count` tokens of another model's write as this one would draw them; fewer if the text ends.

        `base`: what the call before returned for the same write, so that only new tokens pass the pipe. Raises
        EngineError.
        """
        written = write.written
        if self._process is not self._engine.process or not self._process.alive:
            self._open()
            base = None
        asking = self._asking(write.body) if base is None else Read(0, 0, [], base=base)
        asking = asking._replace(
            runs=[*asking.runs, tuple(written)],
            limit=count,
            sampling=write.sampling,
            seed=write.seed,
            position=write.position + len(written),
        )
        ids: list[int] = []
        read_seconds = 0.0
        for item in self._stream(asking):
            if isinstance(item, Handoff):
                if base is None and item.prefilled > 1:  # one token is read for the first draft itself
                    read_seconds = item.seconds * (1 - 1 / item.prefilled)
                base = item.reused + item.prefilled - len(written)
            elif isinstance(item, Token) and item.id is not None:
                ids.append(item.id)
        return DraftedTokens(tuple(ids), base, read_seconds)

    def cancel(self) -> None:
        self._cancelled = True  # before the replies are read: `_ask` does it the other way round
        if (replies := self._replies) is not None:
            replies.put(CancelRequested())  # the thread that waits for replies passes it on: this one never blocks

    def text_in_cache(self) -> bytes:
        """What the KV cache holds now, prompt included: for tests and bug reports."""
        number = self._engine.next_number()
        shown = only_reply(self._process.ask(number, DumpCache(self._number, number)))
        assert isinstance(shown, CacheDump)
        return shown.text

    def close(self) -> None:
        self._process.tell(CloseSession(self._number))

    # -----------------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Open in the current process, restarting it once if it died."""
        try:
            self._open_in(self._engine.process)
        except EngineLost as lost:
            self._recover(lost)
            self._open_in(self._engine.process)

    def _recover(self, lost: EngineLost) -> None:
        self._engine.recover(lost, self._process, lambda _: self._refuse_if_cancelled())

    def _refuse_if_cancelled(self) -> None:
        if self._cancelled:
            raise Cancelled

    def _ask(self, number: int, request: Open | Read | WriteBranches) -> Replies:
        """Ask the process; `cancel` reaches whoever waits for the replies, even if it came before."""
        self._replies = replies = self._process.ask(number, request)
        if self._cancelled:
            replies.put(CancelRequested())
        return replies

    def _open_in(self, process: ModelProcess) -> None:
        self._process = process
        self._number, number = self._engine.next_number(), self._engine.next_number()
        prompt = self._engine.render(self._conversation, self._thinks)
        try:
            tokenized = only_reply(self._ask(number, Open(self._number, number, prompt)))
        except Cancelled:
            self.close()
            raise
        assert isinstance(tokenized, Tokenized)
        self._prompt_tokens = len(tokenized.ids)
        if self._prompt_tokens >= self.card.context:
            raise ContextFull(
                f"The prompt has {self._prompt_tokens} tokens, and {self.card.name} holds {self.card.context}.",
                "Shorten the prompt, or load the model with a longer context.",
            )

    def _asking(self, body: Sequence[Part], **what: Any) -> Read:
        return Read(0, 0, self._runs(body), exact=self._is_exact, **what)

    def _runs(self, body: Sequence[Part]) -> list[tuple[int, ...] | str]:
        tags, size = self.card.thinking, self._process.loaded.vocabulary_size
        return rendered_runs(body, self.card.vocabulary, tags.closing if tags else "", size)

    def _carry_out(self, asking: Read, written: list[int] | None = None) -> Generator[ReadItem, None, None]:
        """Send a request and yield its results; `written` is filled with the ids of the tokens."""
        try:
            self._refuse_if_cancelled()
            yield from self._in_spite_of_deaths(asking, [] if written is None else written)
        except Cancelled:
            yield End(Stop.CANCELLED)

    def _in_spite_of_deaths(self, asking: Read, written: list[int]) -> Generator[ReadItem, None, None]:
        """If the process dies, go on from the last token that arrived."""
        deaths = 0
        while True:
            try:
                if self._process is not self._engine.process:
                    self._open()
                going_on = asking._replace(
                    runs=[*asking.runs, tuple(written)],
                    limit=asking.limit - len(written),
                    position=asking.position + len(written),
                )
                with closing(self._stream(going_on)) as items:
                    for item in items:
                        if isinstance(item, Token) and item.id is not None:
                            written.append(item.id)
                        yield item
                self._engine.succeeded()
                return
            except GeneratorExit:
                if written:
                    self._engine.succeeded()
                raise
            except EngineLost as lost:
                deaths += 1
                yield self._started_again(lost, deaths)

    def _started_again(self, lost: EngineLost, deaths: int) -> Notice:
        """Start the process again. Raises EngineLost if this request has survived enough deaths."""
        if deaths > RESTARTS_A_REQUEST:
            raise EngineLost(lost.message, LOAD_AGAIN) from lost
        self._recover(lost)
        return Notice(f"{lost.message} It was started again{self._engine.lighter_words}, and the text goes on.")

    def _stream(self, asking: Read) -> Generator[ReadItem, None, None]:
        passing = Passing.TEXT if any(isinstance(run, str) for run in asking.runs) else Passing.IDS
        for item in self._replies_to(asking):
            if isinstance(item, Handoff):
                yield item._replace(passing=passing)
            elif not isinstance(item, BranchEnded):
                yield item

    def _replies_to(self, asking: Read | WriteBranches) -> Generator[ReadItem | BranchEnded, None, None]:
        process, number = self._process, self._engine.next_number()
        replies = self._ask(number, asking._replace(session=self._number, request=number))
        stop_at: float | None = None
        try:
            while True:
                match next_reply(replies, stop_at):
                    case Token() | PrefillProgress() | Judgement() | Scores() | Handoff() | BranchEnded() as item:
                        yield item
                    case DraftsWanted() as wanted if self._drafter:
                        process.tell(self._drafter.answer(wanted))
                    case End() as end:
                        yield end
                        return
                    case None:
                        yield End(Stop.CANCELLED)
                        return
                    case CancelRequested():
                        stop_at = stop_at or time.monotonic() + STOP_SECONDS  # a second Stop brings no second wait
                        process.tell(Cancel(number, at_once=True))
                    case Failed(context_full, reason):
                        raise self._failure(context_full, reason)
                    case EngineLost() as lost:
                        raise lost
        finally:
            self._replies = None
            process.forget(number)
            process.tell(Cancel(number))

    def _failure(self, context_full: bool, reason: str) -> EngineError:
        if context_full:
            return ContextFull(
                f"The context of {self.card.name} is full: {reason}.",
                "Load it with a longer context, or begin a new conversation.",
            )
        return EngineError(
            f"{self.card.name} could not go on: {reason}.", "Close other programs, or load it with a shorter context."
        )
