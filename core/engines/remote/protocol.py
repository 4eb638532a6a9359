"""The interface of one kind of server: how prompts, requests and answers look, and how vocabularies are compared."""

from __future__ import annotations

import codecs
import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PureWindowsPath
from typing import Any, NamedTuple

from baton_reasoning.core.engines import base
from baton_reasoning.core.engines.base import Alternative, ModelCard, Passing, Stop, Token, number_at
from baton_reasoning.core.engines.body import Author, OwnTag, Part, rendered_runs
from baton_reasoning.core.engines.control_tokens import text_ids
from baton_reasoning.core.engines.remote.answers import SEE_LOG, Fields
from baton_reasoning.core.engines.remote.connection import ServerAddress, without_model
from baton_reasoning.core.errors import EngineLost, EngineRefused
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.text import one_line
from baton_reasoning.resources import resource_text

Prompt = tuple[int, ...] | str
"""A text as a server takes it: token ids where it can, else text."""
Ask = Callable[[str, Mapping[str, Any] | None], Fields]
"""A short question to the server: path and payload (None: GET)."""


class PromptProgress(NamedTuple):
    """How far the server has read the prompt, in tokens. `reused`: from its KV cache; None if it is not reported."""

    reused: int | None
    done: int
    total: int


class StreamEnd(NamedTuple):
    """The end of an answer.

    `written`: tokens by the server's own count, None if it gives none; `drafted`: by a draft model; `accepted`: of
    those, by the model itself.
    """

    stop: Stop
    written: int | None = None
    drafted: int = 0
    accepted: int = 0


AnswerEvent = PromptProgress | Token | StreamEnd


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What to write after a prompt. `limit` 0: only read it."""

    limit: int
    seed: int
    sampling: Sampling
    alternatives: int = 0
    choices: tuple[str, ...] = ()
    """Not empty: one token is sampled, only for the probabilities of these choices."""
    position: int = 0
    """Tokens of the body before it."""

    @property
    def server_seed(self) -> int:
        """The seed of the request: the random number of its first token.

        The server samples the others with random numbers of its own, so a text that another request continues differs
        from the text of one request.
        """
        return number_at(self.seed, self.position)


class AnswerParser(ABC):
    """Parses the events of one answer."""

    card: ModelCard

    @abstractmethod
    def parse(self, event: Fields) -> Iterator[AnswerEvent]: ...

    def finish(self) -> StreamEnd | None:
        """Return the end of the answer, at the end of the stream; None if it is not complete."""
        return None

    def stop_for(self, reason: str, held: int) -> Stop:
        """Return why an answer ended, by OpenAI's word for it. `held`: tokens of the prompt and the answer."""
        match reason:
            case "stop":
                return Stop.END_OF_TEXT
            case "length":
                return Stop.CONTEXT_FULL if held >= self.card.context else Stop.LIMIT
            case _:
                raise EngineLost(f"{self.card.location} stopped the answer: “{one_line(reason)}”.", SEE_LOG)


class ServerProtocol(ABC):
    """One kind of server with one model."""

    card: ModelCard
    path: str
    """Of the completion endpoint."""

    def reports_reuse(self, ask: Ask) -> bool:  # noqa: ARG002  for those that must be tried
        """Return whether the server reports how much of a prompt it reused from its KV cache."""
        return False

    @abstractmethod
    def prompt_builder(self, conversation: base.Messages, ask: Ask, thinks: bool = True) -> PromptBuilder:
        """Render a conversation, thinking opened or off. Raises EngineRefused if that cannot be done here."""

    @abstractmethod
    def payload(self, prompt: Prompt, request: CompletionRequest, ask: Ask) -> dict[str, Any]: ...

    @abstractmethod
    def answer_parser(self, ask: Ask) -> AnswerParser: ...

    def score(self, prompt: tuple[int, ...], first: int, alternatives: int, ask: Ask) -> tuple[base.ScoredToken, ...]:
        """Score the tokens of the prompt from index `first` on. Called only if the card has `Ability.SCORES`."""
        raise NotImplementedError

    @abstractmethod
    def check_model(self, ask: Ask) -> None:
        """Check that the server still has the same model. Raises EngineRefused if it has another."""


LARGEST_ID = 2**31 - 1


def checked_ids(ids: Sequence[int], vocabulary_size: int, host: str) -> tuple[int, ...]:
    """Return the token ids. Raises EngineRefused for one that is not in the vocabulary (size 0: not known), since a
    model on this machine would be given it."""
    limit = vocabulary_size or LARGEST_ID
    for id in ids:
        if not 0 <= id < limit:
            size = f" of {vocabulary_size:,}" if vocabulary_size else ""
            raise EngineRefused(
                f"{host} sent token {one_line(str(id), 24)}, which is not in its vocabulary{size}.",
                "Restart the server, or use another build of it.",
            )
    return tuple(ids)


def as_parts(tokens: Iterable[Token], vocabulary: str) -> list[Part]:
    """Turn what the model of this vocabulary has just written into the end of a body."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
    return [
        Part(decoder.decode(token.data), Author.LARGE, token.id, vocabulary if token.id is not None else "")
        for token in tokens
    ]


def passing_of(body: Sequence[Part], vocabulary: str) -> Passing:
    """Return how a body is passed: as text if any of its tokens came from another vocabulary."""
    foreign = any(part.id is not None and part.vocabulary != vocabulary for part in body)
    return Passing.TEXT if foreign or not vocabulary else Passing.IDS


def judgement_of(alternatives: Sequence[Alternative], choices: Sequence[str]) -> base.Judgement:
    """Compute the judgement from a next token's alternatives (natural log-probabilities).

    A token counts for a choice that begins with it, leading blanks ignored, unless several choices do. A choice without
    a listed token gets half of the smallest listed probability, since it is less likely than every listed token.
    """
    listed = [(other.text.strip(), math.exp(min(other.logprob, 0.0))) for other in alternatives]
    heads = base.distinctive(
        [{n for n, (head, _) in enumerate(listed) if head and choice.strip().startswith(head)} for choice in choices]
    )
    least = min((chance for _, chance in listed), default=1.0) / 2
    masses = [math.fsum(listed[n][1] for n in each) or least for each in heads]
    total = math.fsum(masses)
    return base.Judgement(tuple(each / total if total else 1 / len(choices) for each in masses))


_BYTES_PER_TOKEN = 4


def size_of(prompt: Prompt) -> int:
    """Count tokens; for a text, estimate four bytes a token."""
    return len(prompt.encode()) // _BYTES_PER_TOKEN if isinstance(prompt, str) else len(prompt)


def common_size(one: Prompt, other: Prompt) -> int:
    """Count the tokens with which both prompts begin, as `size_of` does."""
    pairs = enumerate(zip(one, other, strict=False))
    return size_of(one[: next((n for n, (a, b) in pairs if a != b), len(other))])


KEPT_RUNS = 16
"""Tokenised runs that are kept beyond those of the last prompt: a lookahead is offered several times before it is
discarded, and the handoff needs the run before it."""


class PromptBuilder:
    """Builds the prompts of one conversation: of token ids, or of text for servers that take no ids.

    A text run of the body is tokenised once, as long as it stays the same or comes back soon.
    """

    def __init__(self, card: ModelCard, prompt: Prompt, tokenize: Callable[[Ask, str, bool], Sequence[int]]) -> None:
        """`prompt`: the rendered conversation. `tokenize` recognises control tokens if asked to.

        Raises EngineRefused if the prompt has no tokens.
        """
        if prompt == ():
            raise EngineRefused(f"{card.location} made no tokens of the question.", "Restart the server.")
        self.prompt_tokens = size_of(prompt)
        self._card = card
        self._prompt = prompt
        self._tokenize = tokenize
        self._known: dict[tuple[str, bool], Sequence[int]] = {}

    def with_body(self, body: Sequence[Part], ask: Ask, extra: str = "") -> Prompt:
        """Build the whole text: conversation, body, and `extra` (a question that no model wrote)."""
        prompt = self._prompt
        runs = self._runs(body)
        if extra:
            runs.append(extra)
        texts = [run for run in runs if isinstance(run, str)]
        if isinstance(prompt, str):
            return prompt + "".join(texts)
        keys = [(text, isinstance(text, OwnTag)) for text in texts]
        for key in keys:
            self._known[key] = self._known.pop(key, ()) or self._ids(ask, *key)
        while len(self._known) > len(keys) + KEPT_RUNS:
            del self._known[next(iter(self._known))]
        ids = list(prompt)
        for run in runs:
            ids += self._known[run, isinstance(run, OwnTag)] if isinstance(run, str) else run
        return tuple(ids)

    def _ids(self, ask: Ask, text: str, is_own_tag: bool) -> Sequence[int]:
        if is_own_tag:
            return self._tokenize(ask, text, True)
        return text_ids(text, partial(self._tokenize, ask))

    def tokenizes(self, body: Sequence[Part]) -> bool:
        """Return whether `with_body` may have to ask the server for tokens."""
        return not isinstance(self._prompt, str) and any(isinstance(run, str) for run in self._runs(body))

    def _runs(self, body: Sequence[Part]) -> list[tuple[int, ...] | str]:
        closing = self._card.thinking.closing if self._card.thinking else ""
        return rendered_runs(body, "" if isinstance(self._prompt, str) else self._card.vocabulary, closing)


PROBE = resource_text("probe.txt").removesuffix("\n")
"""Tokenised to compare vocabularies, since a server reveals no hash of its own: it covers where related ones differ.

Scripts, numbers, white space, code, emoji, and the control tokens of common templates. If all ids are equal, token
ids may be handed over.
"""


def fingerprint(probe_ids: Sequence[int]) -> str:
    """Name the vocabulary that gives the probe these ids; never equal to a hash of a GGUF file."""
    digest = hashlib.sha256(",".join(map(str, probe_ids)).encode())
    return f"probe:{digest.hexdigest()}"


def name_of(model: str) -> str:
    """Return a name to show: llama.cpp's servers name a model by the path of its file by default."""
    return one_line(PureWindowsPath(model).stem if model.endswith(".gguf") else model)


def find_model(ask: Ask, name: str) -> Fields:
    """Find the model's entry in `/v1/models` (the first, if the name is empty); an empty one if there is none.

    llama-server gives a model several names, of which its `id` goes first.
    """
    entries = list(ask("/v1/models", None).each("data"))
    by_id = (each for each in entries if not name or each.text("id") == name)
    by_alias = (each for each in entries if name in each.list("aliases") or name_of(each.text("id")) == name)
    return next(by_id, None) or next(by_alias, Fields(None))


class ServedModel(NamedTuple):
    """A model that a server lists."""

    name: str
    status: str
    """“loaded”, “unloaded”, “loading” … on a router; empty on other servers."""


def served_models(ask: Ask) -> tuple[ServedModel, ...]:
    """List the models of a server. Raises EngineError."""
    entries = ask("/v1/models", None).each("data")
    return tuple(
        ServedModel(entry.text("id"), entry.inside("status").line("value")) for entry in entries if "id" in entry
    )


class UnknownModel(EngineRefused):
    """The address names none of the server's models, or none where there are several."""

    def __init__(self, address: ServerAddress, models: Sequence[ServedModel], or_else: str = "") -> None:
        """`or_else`: ends the remedy with another one."""
        self.models = tuple(models)
        has = f"{address.host} serves {one_line(', '.join(model.name for model in models)) or 'no model'}"
        example = one_line(models[0].name) if models else "NAME"
        super().__init__(
            f"{has}, but not {one_line(address.model)}." if address.model else f"{has}.",
            f"Write its name after the address: {without_model(address.url)}#{example}{or_else}.",
        )
