"""Servers with OpenAI's `/v1/completions` (vLLM, SGLang, LM Studio …) as an engine.

All of them take and return text. What else a server can do is looked up by its kind, tested once, and declared on
the card.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Alternative, Message, Messages, ModelCard, ScoredToken, Stop, Token
from baton_reasoning.core.engines.control_tokens import prompt_ids
from baton_reasoning.core.engines.remote import protocol
from baton_reasoning.core.engines.remote.answers import Fields, from_report, number
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions
from baton_reasoning.core.engines.remote.protocol import Ask, CompletionRequest, Prompt
from baton_reasoning.core.engines.template_thinking import thinking_of
from baton_reasoning.core.engines.templates import render_prompt
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.thinking_tags import tags_in

UNKNOWN_CONTEXT = 32_768
"""Tokens, if a server does not report it; it refuses longer texts."""
MOST_ALTERNATIVES = 20
"""vLLM's default limit."""


class ServerKind(NamedTuple):
    """A kind of server, and what it can do."""

    name: str
    ids: bool = False
    """Takes and returns token ids, and tokenises."""
    renders: bool = False
    """Tokenises conversations with its own template."""
    alternatives: bool = False
    """Gives log-probabilities."""
    scores: bool = False
    """Gives log-probabilities of the prompt."""
    usage: bool = False
    """Counts tokens while it streams, and again at the end."""
    top_k: int | None = None
    """Its value for no limit; None if it has no top_k."""


UNKNOWN_KIND = ServerKind("an OpenAI-style server")
KINDS = {
    "vllm": ServerKind("vLLM", ids=True, renders=True, alternatives=True, scores=True, usage=True, top_k=0),
    "sglang": ServerKind("SGLang", ids=True, alternatives=True, usage=True, top_k=-1),
    "organization_owner": ServerKind("LM Studio"),
    "llamacpp": ServerKind("llama-server", top_k=0),
}
"""By `owned_by` in `/v1/models`."""


class OpenAICompletionsEngine(RemoteEngine):
    """A model on such a server. Raises EngineLost or EngineRefused if it does not answer, or cannot be used."""

    def detect(self, ask: Ask) -> CompletionsProtocol:
        return CompletionsProtocol(self.address, ask, self.options)


class CompletionsProtocol(protocol.ServerProtocol):
    """The ServerProtocol of `/v1/completions`."""

    path = "/v1/completions"

    def __init__(self, address: ServerAddress, ask: Ask, options: RemoteOptions) -> None:
        entry = protocol.find_model(ask, address.model)
        kind = KINDS.get(entry.text("owned_by"), UNKNOWN_KIND)
        self._model = entry.text("id")
        self._host = address.host
        self._template = options.template
        self._reported_context = entry.count("max_model_len")
        if not self._model:
            raise protocol.UnknownModel(address, protocol.served_models(ask))
        self.kind = kind._replace(ids=kind.ids and self._returns_ids(ask))
        self._effort = options.overrides.reasoning_effort
        found = thinking_of(self._template or "", self._effort)
        self.card = ModelCard(
            name=protocol.name_of(self._model),
            vocabulary=protocol.fingerprint(self._tokenize(ask, protocol.PROBE)) if self.kind.ids else "",
            context=self._reported_context or UNKNOWN_CONTEXT,
            location=address.host,
            thinking=tags_in(self._trial(ask)) if self._template is None else found.tags,
        ).with_abilities(
            {
                Ability.TOKEN_IDS: self.kind.ids,
                Ability.ALTERNATIVES: self.kind.alternatives,
                Ability.JUDGEMENTS: self.kind.alternatives,
                Ability.SCORES: self.kind.ids and self.kind.scores,
                Ability.THINKING_SWITCH: found.is_switched,
            }
        )

    def reports_reuse(self, ask: Ask) -> bool:
        """Try it: vLLM and SGLang report it if they were started so, and vLLM only where it has reused something."""
        if not self.kind.usage:
            return False
        trial = {"model": self._model, "prompt": protocol.PROBE, "max_tokens": 1}
        try:
            _, again = (ask(self.path, trial).inside("usage") for _ in range(2))
        except EngineRefused:  # its context is shorter, say
            return False
        return "cached_tokens" in again.inside("prompt_tokens_details")

    def prompt_builder(self, conversation: Messages, ask: Ask, thinks: bool = True) -> protocol.PromptBuilder:
        card = self.card if thinks else self.card.without_thinking()
        prompt: Prompt
        if self._template is None:
            prompt = self._rendered_by_server(conversation, ask)
        else:
            pieces = render_prompt(conversation, self._template, "", "", card.thinking, thinks, self._effort)
            if self.kind.ids:
                begin = partial(self._tokenize, ask, with_bos=True)
                prompt = tuple(prompt_ids(pieces, partial(self._tokenize, ask), begin))
            else:
                prompt = "".join(piece.text for piece in pieces)
        return protocol.PromptBuilder(card, prompt, self._tokenize)

    def payload(self, prompt: Prompt, request: CompletionRequest, ask: Ask) -> dict[str, Any]:  # noqa: ARG002  the protocol's
        kind = self.kind
        payload: dict[str, Any] = {
            "model": self._model,
            "prompt": prompt,
            "max_tokens": self._limit(prompt, request),
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "seed": request.server_seed,
            "stream": True,
        }
        if kind.top_k is not None:
            payload |= {"top_k": request.sampling.top_k or kind.top_k, "min_p": 0.0}
        if kind.usage:
            payload["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
        if kind.ids:
            payload["return_token_ids"] = True
        if kind.alternatives and request.alternatives:
            payload["logprobs"] = min(request.alternatives, MOST_ALTERNATIVES)
        return payload

    def _limit(self, prompt: Prompt, request: CompletionRequest) -> int:
        """Limit the new tokens: to at least 1, since servers refuse 0 (a read discards that token), and at most to what
        the context holds, since vLLM and SGLang refuse more."""
        remaining = self._reported_context - protocol.size_of(prompt)
        return max(1, min(request.limit, remaining) if self._reported_context else request.limit)

    def answer_parser(self, ask: Ask) -> CompletionsAnswer:  # noqa: ARG002  the protocol's
        return CompletionsAnswer(self.card, counts_at_end=self.kind.usage)

    def score(self, prompt: tuple[int, ...], first: int, alternatives: int, ask: Ask) -> tuple[ScoredToken, ...]:
        """Score by vLLM's `prompt_logprobs`: for each prompt token a table of ids, its own and the likeliest.

        vLLM reads the whole prompt for it, without its prefix cache.
        """
        wanted = min(max(alternatives, 1), MOST_ALTERNATIVES)
        question = {"model": self._model, "prompt": prompt, "max_tokens": 1, "prompt_logprobs": wanted}
        tables = list(ask(self.path, question).first("choices").each("prompt_logprobs"))
        if len(tables) != len(prompt):
            raise EngineRefused(f"{self._host} scored {len(tables)} of {len(prompt)} tokens.", "Update the server.")
        return tuple(_scored(id, tables[place], alternatives) for place, id in enumerate(prompt) if place >= first)

    def check_model(self, ask: Ask) -> None:
        if protocol.find_model(ask, self._model).text("id") != self._model:
            raise EngineRefused(
                f"{self.card.location} no longer serves {self._model}.", "Start it there again, or open another model."
            )

    def _returns_ids(self, ask: Ask) -> bool:
        """Try whether the server returns ids: older versions ignore `return_token_ids`."""
        trial = {"model": self._model, "prompt": "1", "max_tokens": 1, "return_token_ids": True}
        return bool(ask(self.path, trial).first("choices").integers("token_ids"))

    def _trial(self, ask: Ask) -> str:
        """Return a prompt that the server has rendered, which may contain the thinking tags."""
        if not (self.kind.ids and self.kind.renders):
            raise EngineRefused(
                f"{self.kind.name} does not reveal the chat template of {self._model}.",
                "Choose the file of its chat template in the settings of the server (baton servers add … --template).",
            )
        ids = self._rendered_by_server((Message("user", "1"),), ask)
        return ask("/detokenize", {"model": self._model, "tokens": ids}).text("prompt")

    def _rendered_by_server(self, conversation: Messages, ask: Ask) -> tuple[int, ...]:
        messages = [asdict(message) for message in conversation]
        question = {"model": self._model, "messages": messages, "add_generation_prompt": True}
        return self._ids(ask, question)

    def _tokenize(self, ask: Ask, text: str, special: bool = False, *, with_bos: bool = False) -> tuple[int, ...]:  # noqa: ARG002
        """Tokenize a text on its own; these servers always recognise control tokens, also if not `special`."""
        question = {"model": self._model, "prompt": text, "add_special_tokens": with_bos}
        return self._ids(ask, question)

    def _ids(self, ask: Ask, question: dict[str, Any]) -> tuple[int, ...]:
        return protocol.checked_ids(ask("/tokenize", question).integers("tokens"), 0, self._host)


@dataclass
class CompletionsAnswer(protocol.AnswerParser):
    """Parses one stream of `/v1/completions`."""

    card: ModelCard
    counts_at_end: bool
    """An event with token counts, reused ones among them, follows the answer."""
    _tokens: list[Token] = field(default_factory=list)
    """Their text is still to come: they begin a character."""
    _stop: Stop | None = None
    _total: int = 0
    _written: int | None = None
    _counted: bool = False

    def parse(self, event: Fields) -> Iterator[protocol.AnswerEvent]:
        if "error" in event:
            raise from_report(event, self.card.location)
        if "usage" in event:
            yield from self._usage(event.inside("usage"))
        choice = event.first("choices")
        text, reason = choice.text("text"), choice.text("finish_reason")
        ids = protocol.checked_ids(choice.integers("token_ids"), 0, self.card.location)
        self._tokens += _tokens_of(choice, ids)
        ends_text = reason == "stop" and ids and ids[-1] == choice.integer("matched_stop", ids[-1])
        if ends_text and len(self._tokens) > bool(text):
            self._tokens.pop()  # the end-of-text token
        if text:
            tokens = _divided(text.encode(), self._tokens)
            complete = max(number for number, token in enumerate(tokens, 1) if token.data)
            self._tokens = self._tokens[complete:]
            yield from tokens[:complete]
        if reason:
            self._stop = self.stop_for(reason, self._total)
        is_last = "usage" in event and not event.list("choices") if self.counts_at_end else bool(reason)
        if is_last and (finished := self.finish()):
            yield finished

    def finish(self) -> protocol.StreamEnd | None:
        return protocol.StreamEnd(self._stop, self._written) if self._stop else None

    def _usage(self, usage: Fields) -> Iterator[protocol.PromptProgress]:
        """Report the prompt once when it has been read, and again when the server tells how much of it was reused."""
        prompt, details = usage.count("prompt_tokens"), usage.inside("prompt_tokens_details")
        self._total = usage.count("total_tokens")
        if "completion_tokens" in usage:
            self._written = usage.count("completion_tokens")
        reports_reuse = "cached_tokens" in details
        if prompt and (reports_reuse or not self._counted):
            self._counted = True
            yield protocol.PromptProgress(details.count("cached_tokens") if reports_reuse else None, prompt, prompt)


def _tokens_of(choice: Fields, ids: Sequence[int]) -> list[Token]:
    """Return the tokens of an event: by its ids, by its log-probabilities, or else its text as one token.

    Their data is as the log-probabilities spell it, which may differ from the text; empty if they do not.
    """
    logprobs = choice.inside("logprobs")
    texts, chances = logprobs.list("tokens"), logprobs.list("token_logprobs")
    tops = list(logprobs.each("top_logprobs"))
    count = len(ids) or max(map(len, (texts, chances, tops))) or bool(choice.text("text"))
    tokens = []
    for n in range(count):
        text = texts[n] if len(texts) == count else ""
        chance = number(chances[n]) if len(chances) == count else None
        others = tops[n].items() if len(tops) == count else ()
        tokens.append(
            Token(
                ids[n] if ids else None,
                text.encode(errors="replace") if isinstance(text, str) else b"",
                None if chance is None else min(chance, 0.0),
                tuple(
                    Alternative(None, other, min(logprob, 0.0))
                    for other, value in others
                    if (logprob := number(value)) is not None
                ),
            )
        )
    return tokens


def _divided(data: bytes, tokens: Sequence[Token]) -> list[Token]:
    """Divide the bytes of a text among its tokens: to each that begins or ends it with its own data, from both sides.

    The rest belongs to the tokens in between, all of it to the last one: they may be the bytes of a character, or the
    server has not told their texts.
    """
    first, last = 0, len(tokens) - 1
    while first < last and tokens[first].data and data.startswith(tokens[first].data):
        data = data.removeprefix(tokens[first].data)
        first += 1
    while first < last and tokens[last].data and data.endswith(tokens[last].data):
        data = data.removesuffix(tokens[last].data)
        last -= 1
    between = [token._replace(data=b"", held=True) for token in tokens[first:last]]
    return [*tokens[:first], *between, tokens[last]._replace(data=data), *tokens[last + 1 :]]


def _scored(id: int, table: Fields, alternatives: int) -> ScoredToken:
    """Read one table of `prompt_logprobs`: {id: {"logprob": …, "decoded_token": …}, …}."""
    own = table.inside(str(id))
    others = sorted(
        (
            Alternative(int(other), Fields(value).text("decoded_token"), logprob)
            for other, value in table.items()
            if other.isdecimal() and (logprob := Fields(value).logprob("logprob")) is not None
        ),
        key=lambda other: -other.logprob,
    )
    return ScoredToken(id, own.text("decoded_token"), own.logprob("logprob") or 0.0, tuple(others[:alternatives]))
