"""Servers that speak OpenAI's `/v1/completions` (vLLM, SGLang, LM Studio …) as an engine.

The least that all have in common is text in and text out. What a server can do beyond that is looked up by its
flavour, tried once, and declared on the card.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import PureWindowsPath
from typing import Any

from core.engines.base import Alternative, Conversation, Message, Stop, Token
from core.engines.chat_template import render_prompt
from core.engines.model_card import ModelCard
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteEngine, RemoteOptions
from core.engines.remote.failures import from_report
from core.engines.remote.fields import Fields
from core.engines.remote.protocol import (
    Ask,
    CompletionRequest,
    Heard,
    IdPromptBuilder,
    Prompt,
    PromptBuilder,
    PromptProgress,
    StreamedText,
    StreamEnd,
    TextPromptBuilder,
    size_of,
    tags_in,
)
from core.engines.remote.state import StatusCallback
from core.engines.remote.vocabulary import PROBE, fingerprint
from core.errors import EngineLost, EngineRefused

UNKNOWN_CONTEXT = 32_768
"""Tokens, where a server does not tell; it refuses what is too long."""


class OpenAICompletionsEngine(RemoteEngine):
    """Raises EngineLost or EngineRefused if the server is not there, or of no use to Baton."""

    def __init__(
        self, address: ServerAddress | str, options: RemoteOptions | None = None, watcher: StatusCallback | None = None
    ) -> None:
        super().__init__(address, options, watcher)
        self.dialect = self.connect(
            lambda ask: CompletionsDialect(self.address, ask, self.options, self.supports_prefetch())
        )


class CompletionsDialect:
    path = "/v1/completions"

    def __init__(self, address: ServerAddress, ask: Ask, options: RemoteOptions, supports_prefetch: bool) -> None:
        entry, self.flavour = choose_model(ask, options.model)
        self._model = entry.text("id")
        self._template = options.template
        self._told_context = entry.integer("max_model_len")
        if not self._model:
            raise EngineRefused(f"{address.host} does not serve {options.model or 'any model'}.", "Check the name.")
        if self.flavour is Flavour.OLLAMA:
            raise EngineRefused(
                "Ollama puts its own chat template around every text, so that no model can go on from another's.",
                "Serve the same model with llama-server (docs/serving.md).",
            )
        self._abilities = self.flavour.abilities
        ids = self._abilities.ids and self._gives_ids(ask)
        self._abilities = replace(self._abilities, ids=ids)
        self.card = ModelCard(
            name=name_of(self._model),
            vocabulary=fingerprint(self._tokenize(ask, PROBE)) if ids else "",
            context=self._told_context or UNKNOWN_CONTEXT,
            place=address.host,
            thinking=tags_in(self._trial(ask)),
            returns_token_ids=ids,
            returns_alternatives=self._abilities.alternatives,
            supports_prefetch=supports_prefetch,
        )

    def begin(self, conversation: Conversation, ask: Ask) -> PromptBuilder:
        if self._template is None:
            return IdPromptBuilder(self.card, self._rendered_by_server(conversation, ask), self._tokenize)
        pieces = render_prompt(conversation, self._template, "", "", self.card.thinking)
        text = "".join(piece.text for piece in pieces)
        if not self._abilities.ids:
            return TextPromptBuilder(self.card, text)
        return IdPromptBuilder(self.card, self._tokenize(ask, text, add_special=True), self._tokenize)

    def payload(self, prompt: Prompt, wish: CompletionRequest, ask: Ask) -> dict[str, Any]:  # noqa: ARG002  the protocol's
        can = self._abilities
        payload: dict[str, Any] = {
            "model": self._model,
            "prompt": prompt,
            "max_tokens": self._limit(prompt, wish),
            "temperature": wish.sampling.temperature,
            "top_p": wish.sampling.top_p,
            "seed": wish.seed,
            "stream": True,
        }
        if can.top_k is not None:
            payload |= {"top_k": wish.sampling.top_k or can.top_k, "min_p": 0.0}
        if can.usage:
            payload["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
        if can.ids:
            payload["return_token_ids"] = True
        if can.alternatives and wish.alternatives:
            payload["logprobs"] = min(wish.alternatives, 20)  # the most that vLLM allows unless told otherwise
        return payload

    def _limit(self, prompt: Prompt, wish: CompletionRequest) -> int:
        """Never none, which is refused, so that a mere reading writes one in vain; nor more than the context holds,
        which vLLM and SGLang refuse as well."""
        room = self._told_context - size_of(prompt)
        return max(1, min(wish.limit, room) if self._told_context else wish.limit)

    def answer(self, ask: Ask) -> CompletionsAnswer:  # noqa: ARG002  the protocol's
        return CompletionsAnswer(self.card, counts_at_end=self._abilities.usage)

    def count_tokens(self, text: str, ask: Ask) -> int:
        return len(self._tokenize(ask, text)) if self._abilities.ids else size_of(text)

    def check_model(self, ask: Ask) -> None:
        if choose_model(ask, self._model)[0].text("id") != self._model:
            raise EngineRefused(
                f"{self.card.place} no longer serves {self._model}.", "Start it there again, or open another model."
            )

    def _gives_ids(self, ask: Ask) -> bool:
        """Older versions know nothing of `return_token_ids` and leave it unanswered."""
        trial = {"model": self._model, "prompt": "1", "max_tokens": 1, "return_token_ids": True}
        return bool(ask(self.path, trial).first("choices").integers("token_ids"))

    def _trial(self, ask: Ask) -> str:
        """A template, or a prompt made with it: either shows the thinking tags."""
        if self._template is not None:
            return self._template
        if not (self._abilities.ids and self._abilities.renders):
            raise EngineRefused(
                f"{self.flavour.value} does not tell the chat template of {self._model}.",
                "Choose the model's chat template in the settings of the server.",
            )
        ids = self._rendered_by_server((Message("user", "1"),), ask)
        return ask("/detokenize", {"model": self._model, "tokens": ids}).text("prompt")

    def _rendered_by_server(self, conversation: Conversation, ask: Ask) -> tuple[int, ...]:
        messages = [message._asdict() for message in conversation]
        wish = {"model": self._model, "messages": messages, "add_generation_prompt": True}
        return ask("/tokenize", wish).integers("tokens")

    def _tokenize(self, ask: Ask, text: str, add_special: bool = False) -> tuple[int, ...]:
        wish = {"model": self._model, "prompt": text, "add_special_tokens": add_special}
        return ask("/tokenize", wish).integers("tokens")


class CompletionsAnswer:
    """Reads one stream of `/v1/completions`."""

    def __init__(self, card: ModelCard, counts_at_end: bool) -> None:
        """`counts_at_end`: after the answer comes an event with its counts, among them what was reused."""
        self._card = card
        self._counts_at_end = counts_at_end
        self._ids: list[int] = []
        """Of a character that is not complete yet."""
        self._stop: Stop | None = None
        self._total = 0
        self._written: int | None = None
        self._counted = False

    def hear(self, event: Fields) -> Iterator[Heard]:
        if "error" in event:
            raise from_report(event, self._card.place)
        if "usage" in event:
            yield from self._usage(event.inside("usage"))
        choice = event.first("choices")
        text = choice.text("text")
        self._ids += choice.integers("token_ids")
        if text:
            yield StreamedText((self._token(choice, text),))
        if reason := choice.text("finish_reason"):
            self._stop = self._why(reason)
        is_last = "usage" in event and not event.list("choices") if self._counts_at_end else bool(reason)
        if is_last and (finished := self.finish()):
            yield finished

    def finish(self) -> StreamEnd | None:
        return StreamEnd(self._stop, self._written) if self._stop else None

    def _why(self, reason: str) -> Stop:
        match reason:
            case "stop":
                return Stop.END_OF_TEXT
            case "length":
                return Stop.CONTEXT_FULL if self._total >= self._card.context else Stop.LIMIT
            case _:
                raise EngineLost(f"{self._card.place} gave the answer up: “{reason}”.", "Look at the server's log.")

    def _usage(self, usage: Fields) -> Iterator[PromptProgress]:
        """Once when the prompt has been read, and again if it turns out how much of it was reused."""
        prompt, details = usage.integer("prompt_tokens"), usage.inside("prompt_tokens_details")
        self._total = usage.integer("total_tokens")
        if "completion_tokens" in usage:
            self._written = usage.integer("completion_tokens")
        tells = "cached_tokens" in details
        if prompt and (tells or not self._counted):
            self._counted = True
            yield PromptProgress(details.integer("cached_tokens") if tells else None, prompt, prompt)

    def _token(self, choice: Fields, text: str) -> Token:
        # Several ids for one piece of text cannot be told apart: then it is text, and tokenised when it is read.
        id = self._ids[0] if len(self._ids) == 1 else None
        self._ids = []
        logprobs = choice.inside("logprobs")
        listed = [chance for chance in logprobs.list("token_logprobs") if isinstance(chance, float)]
        tops = logprobs.list("top_logprobs")
        others = tuple(
            Alternative(None, token, float(chance))
            for token, chance in (tops[-1] if tops and isinstance(tops[-1], dict) else {}).items()
        )
        return Token(id, text.encode(), listed[-1] if listed else None, others)


@dataclass(frozen=True, slots=True)
class Abilities:
    """`ids`: takes and gives token ids, and tokenises. `renders`: tells conversations as ids, by its own template.
    `alternatives`: log-probabilities. `usage`: counts tokens while it streams, and once more when it has finished.
    `top_k`: its word for no limit, None if it knows no top_k."""

    ids: bool = False
    renders: bool = False
    alternatives: bool = False
    usage: bool = False
    top_k: int | None = None


class Flavour(Enum):
    VLLM = "vLLM"
    SGLANG = "SGLang"
    LM_STUDIO = "LM Studio"
    LLAMA_SERVER = "llama-server"
    OLLAMA = "Ollama"
    UNKNOWN = "an OpenAI-style server"

    @property
    def abilities(self) -> Abilities:
        return _ABILITIES.get(self, Abilities())


_ABILITIES = {
    Flavour.VLLM: Abilities(ids=True, renders=True, alternatives=True, usage=True, top_k=0),
    Flavour.SGLANG: Abilities(ids=True, alternatives=True, usage=True, top_k=-1),
    Flavour.LLAMA_SERVER: Abilities(top_k=0),
}
_OWNERS = {
    "vllm": Flavour.VLLM,
    "sglang": Flavour.SGLANG,
    "organization_owner": Flavour.LM_STUDIO,
    "llamacpp": Flavour.LLAMA_SERVER,
    "library": Flavour.OLLAMA,
}
"""What they write as `owned_by` in `/v1/models`."""


def name_of(model: str) -> str:
    """For people: llama.cpp's servers call a model by the path of its file unless told otherwise."""
    return PureWindowsPath(model).stem if model.endswith(".gguf") else model


def choose_model(ask: Ask, name: str) -> tuple[Fields, Flavour]:
    """The model's entry in `/v1/models` (the first, if the name is empty), and who serves it."""
    entries = list(ask("/v1/models", None).each("data"))
    entry = next((each for each in entries if not name or each.text("id") == name), Fields(None))
    return entry, _OWNERS.get(entry.text("owned_by"), Flavour.UNKNOWN)
