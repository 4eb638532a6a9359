"""llama.cpp's own server as an engine: token ids in and out, prefix cache, and usage measured by the server.

`POST /completion` with ids and `cache_prompt`; the server finds the longest common prefix by itself.
Field names are those of llama.cpp's tools/server/README.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from baton_reasoning.core.engines.base import (
    Alternative,
    Conversation,
    ModelCard,
    ScoredToken,
    Stop,
    Token,
    first_tokens,
)
from baton_reasoning.core.engines.chat_template import has_switch, render_prompt
from baton_reasoning.core.engines.remote.address import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine
from baton_reasoning.core.engines.remote.failures import from_report
from baton_reasoning.core.engines.remote.fields import Fields
from baton_reasoning.core.engines.remote.openai_completions import choose_model, name_of
from baton_reasoning.core.engines.remote.protocol import (
    AnswerEvent,
    Ask,
    CompletionRequest,
    IdPromptBuilder,
    Prompt,
    PromptProgress,
    StreamedText,
    StreamEnd,
    checked_ids,
    no_scores,
)
from baton_reasoning.core.engines.remote.router import routed_model
from baton_reasoning.core.engines.remote.vocabulary import PROBE, fingerprint
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.gguf import supports_truncation
from baton_reasoning.core.models.overrides import tags_in

LOOKS_FOR_FREE_SLOT = 10
TRIAL_LENGTH = 32
"""Tokens."""
_CHATML_TOKEN = "<|im_start|>"


class LlamaServerEngine(RemoteEngine):
    """A model on a llama-server. Raises EngineLost or EngineRefused if none answers at the address."""

    def detect(self, ask: Ask) -> LlamaServerProtocol:
        self.route_to(routed_model(self.address, ask))
        protocol = LlamaServerProtocol(self.address, ask, self.options.template)
        slots = self._slots()
        has_free_slot = any(not slot.flag("is_processing") for slot in slots)
        supports_truncation = protocol.supports_truncation(ask, has_free_slot)
        drafting = _drafting(slots) and _drafting(self._slots())  # a slot tells the kind once it has had a request
        protocol.card = replace(protocol.card, drafting=drafting, supports_truncation=supports_truncation)
        return protocol

    def _slots(self) -> list[Fields]:
        """List the server's slots, if possible at a moment when one is free; none if it was started with --no-slots."""
        slots: list[Fields] = []
        try:
            for _ in range(LOOKS_FOR_FREE_SLOT):
                slots = self._connection.ask_list("/slots")
                if not slots or not all(slot.flag("is_processing") for slot in slots):
                    break  # a server that lists none is not busy
                time.sleep(0.1)  # a request that was cut ends within its batch
        except EngineRefused:
            return []
        return slots


def _drafting(slots: Iterable[Fields]) -> str:
    """Return the kind of speculative decoding in these slots, as `ModelCard.drafting` names it."""
    listed = [slot.inside("params").line("speculative.types") for slot in slots if slot.flag("speculative")]
    kinds = [",".join(kind for kind in each.split(",") if kind != "none") for each in listed]
    return next(filter(None, kinds), "unknown" if kinds else "")


class ServerProperties(NamedTuple):
    """What `/props` and `/v1/models` report."""

    model: str
    parameters: int
    quantisation: str
    slots: int
    context: int
    """Per slot, tokens."""
    template: str
    bos: str
    eos: str
    vocabulary_size: int
    """0: not reported."""
    architecture: str
    """`general.architecture` of the file; empty: not reported (b11549 does not)."""


def server_properties(ask: Ask, model: str) -> ServerProperties:
    """Ask the server what it serves: the model of this name, or its only one if that is empty.

    Raises EngineRefused if it is another kind of server.
    """
    props, (entry, _) = ask("/props", None), choose_model(ask, model)
    if "default_generation_settings" not in props:
        raise EngineRefused("The server is not a llama-server.", "Check its address with “Test connection”.")
    meta = entry.inside("meta")
    return ServerProperties(
        model=entry.text("id") or props.text("model_path"),
        parameters=meta.count("n_params"),
        quantisation=meta.line("ftype") or props.line("model_ftype"),
        slots=props.count("total_slots", 1),
        context=props.inside("default_generation_settings").count("n_ctx"),
        template=props.text("chat_template"),
        bos=props.text("bos_token"),
        eos=props.text("eos_token"),
        vocabulary_size=meta.count("n_vocab"),
        architecture=meta.line("general.architecture") or props.line("general.architecture"),
    )


class LlamaServerProtocol:
    """The ServerProtocol of a llama-server."""

    path = "/completion"
    choice_bias = 10.0
    """Enough to list every choice, and little enough to tell what all of them weigh without it."""

    def __init__(self, address: ServerAddress, ask: Ask, template: str | None) -> None:
        properties = server_properties(ask, address.model)
        self._address_model = address.model
        self._properties = properties
        self._heads: dict[tuple[str, ...], list[set[int]]] = {}
        """The first tokens of the choices that were judged."""
        own = properties.template if self._has_template(properties.template, ask) else ""
        self._template = own if template is None else template
        self._space_prefix = self._puts_blank_first(ask)
        self._probe_ids = checked_ids(tokenize(ask, PROBE, special=True), properties.vocabulary_size, address.host)
        self.card = ModelCard(
            name=name_of(properties.model),
            vocabulary=fingerprint(self._probe_ids),
            context=properties.context,
            location=address.host,
            architecture=properties.architecture,
            quantisation=properties.quantisation,
            parameters=properties.parameters,
            thinking=tags_in(self._template),
            switches_thinking=has_switch(self._template),
        )

    def supports_truncation(self, ask: Ask, has_free_slot: bool) -> bool:
        """Return False for a recurrent or hybrid memory, which can be cut back to a checkpoint only.

        Judged by the architecture, if the server reveals it; else by trial, if a slot is free: a second prompt that
        shares the first half of the first one reuses it, unless the memory cannot be cut.
        """
        if architecture := self._properties.architecture:
            return supports_truncation(architecture)
        if not has_free_slot:
            return True
        ids = list(self._probe_ids[:TRIAL_LENGTH])
        half = len(ids) // 2
        reused = 0
        for prompt in (ids, ids[:half] + ids[:half]):
            answer = ask(self.path, {"prompt": prompt, "n_predict": 0, "cache_prompt": True})
            if "timings" not in answer:
                return True
            reused = answer.inside("timings").count("cache_n")
        return reused >= half // 2

    def prompt_builder(self, conversation: Conversation, ask: Ask, thinks: bool = True) -> IdPromptBuilder:
        properties, card = self._properties, self.card if thinks else self.card.without_thinking()
        pieces = render_prompt(conversation, self._template, properties.bos, properties.eos, card.thinking, thinks)
        prompt = [id for piece in pieces for id in self.tokenize(ask, piece.text, piece.from_template)]
        beginning = list(tokenize(ask, "", with_bos=True))
        if prompt[: len(beginning)] != beginning:
            prompt = beginning + prompt
        if not prompt:
            raise EngineRefused(f"{self.card.location} made no tokens of the question.", "Restart the server.")
        ids = checked_ids(prompt, self._properties.vocabulary_size, self.card.location)
        return IdPromptBuilder(card, ids, self._tokenize_body)

    def payload(self, prompt: Prompt, request: CompletionRequest, ask: Ask) -> dict[str, Any]:
        return self._completion(prompt, request) | (self._judgement(request.choices, ask) if request.choices else {})

    def _completion(self, prompt: Prompt, request: CompletionRequest) -> dict[str, Any]:
        return {
            "prompt": prompt,
            "n_predict": request.limit,
            "stream": True,
            "cache_prompt": True,
            "return_tokens": True,
            "return_progress": True,
            "n_probs": request.alternatives,
            "seed": request.server_seed,
            # Every value: the server's defaults differ, and may have been changed when it was started.
            "samplers": ["top_k", "temperature", "top_p"],
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "top_k": request.sampling.top_k,
            "min_p": 0.0,
            "typical_p": 1.0,
            "top_n_sigma": -1.0,
            "xtc_probability": 0.0,
            "dynatemp_range": 0.0,
            "repeat_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "dry_multiplier": 0.0,
            "mirostat": 0,
            "ignore_eos": False,
            "n_keep": 0,
            "stop": [],
            "response_fields": ["stop", "stop_type", "tokens_predicted", "tokens_evaluated", "truncated", "timings"],
        }

    def _judgement(self, choices: tuple[str, ...], ask: Ask) -> dict[str, Any]:
        """Add the same bias to the first tokens of each choice, so that they are listed, and their ratios exact."""
        heads = self._heads.get(choices) or first_tokens(choices, partial(self._tokenize_body, ask))
        if not all(heads):
            raise EngineRefused(f"{self.card.location} made no tokens of a choice.", "Restart the server.")
        self._heads[choices] = heads
        return {
            "logit_bias": [[head, self.choice_bias] for head in set().union(*heads)],
            "post_sampling_probs": True,
            "samplers": ["temperature"],
            "temperature": 1.0,
        }

    def answer_parser(self, ask: Ask) -> LlamaServerAnswer:
        return LlamaServerAnswer(self.card, ask, self._properties.vocabulary_size)

    def score(self, prompt: Prompt, first: int, alternatives: int, ask: Ask) -> tuple[ScoredToken, ...]:  # noqa: ARG002
        raise no_scores(self.card)

    def check_model(self, ask: Ask) -> None:
        now = server_properties(ask, self._address_model)
        if (now.model, now.parameters, now.quantisation) != self._properties[:3]:
            raise EngineRefused(
                f"{self.card.location} now serves another model: {name_of(now.model)}.",
                "Start the earlier model there again, or open the new one.",
            )

    def _tokenize_body(self, ask: Ask, text: str) -> tuple[int, ...]:
        ids = self.tokenize(ask, text, special=False)
        return checked_ids(ids, self._properties.vocabulary_size, self.card.location)

    def tokenize(self, ask: Ask, text: str, special: bool) -> tuple[int, ...]:
        """Tokenize a text on its own, without BOS; control tokens are recognised if `special`."""
        if not text:
            return ()
        if self._space_prefix:
            # This tokenizer puts a blank before every text. A newline in front takes it, and is cut off again.
            guard = tokenize(ask, "\n", special)
            return tokenize(ask, f"\n{text}", special)[len(guard) :]
        return tokenize(ask, text, special)

    @staticmethod
    def _has_template(template: str, ask: Ask) -> bool:
        """Return False for the ChatML that is reported for a model without a template: it lacks the tokens."""
        return _CHATML_TOKEN not in template or len(tokenize(ask, _CHATML_TOKEN, special=True)) == 1

    @staticmethod
    def _puts_blank_first(ask: Ask) -> bool:
        guard = tokenize(ask, "\n")
        return tokenize(ask, "\nx")[len(guard) :] != tokenize(ask, "x") and len(guard) > 1


def tokenize(ask: Ask, text: str, special: bool = False, with_bos: bool = False) -> tuple[int, ...]:
    question = {"content": text, "add_special": with_bos, "parse_special": special}
    return ask("/tokenize", question).integers("tokens")


class LlamaServerAnswer:
    """Parses one stream of `/completion`."""

    def __init__(self, card: ModelCard, ask: Ask, vocabulary_size: int = 0) -> None:
        self._card = card
        self._ask = ask
        self._vocabulary_size = vocabulary_size
        self._predicted = 0
        self._silent: int | None = None
        """A token without text: the end of the text, or a control token within it."""

    def parse(self, event: Fields) -> Iterator[AnswerEvent]:
        if "error" in event:
            raise from_report(event, self._card.location)
        if "prompt_progress" in event:
            progress = event.inside("prompt_progress")
            done = progress.count("processed")
            yield PromptProgress(progress.count("cache"), done, max(progress.count("total"), done))
            return
        if event.flag("stop"):
            if event.text("stop_type") != "eos":
                yield from self._control_token(self._silent)
            timings = event.inside("timings")
            drafted, accepted = timings.count("draft_n"), timings.count("draft_n_accepted")
            yield StreamEnd(self._why(event), event.count("tokens_predicted"), drafted, accepted)
            return
        text, ids = event.text("content"), self._checked(event.integers("tokens"))
        if not text and not ids:
            return
        yield from self._control_token(self._silent)
        self._silent = None
        predicted = event.count("tokens_predicted")
        missed, self._predicted = predicted - self._predicted - 1, predicted
        if not text:
            self._silent = ids[-1]
        elif missed <= 0:
            yield StreamedText((self._token(event, ids[-1] if ids else None, text.encode()),))
        else:
            yield StreamedText(self._completed(event, text))

    def finish(self) -> None:
        """Return None: the last event always says that it is the last."""

    def _control_token(self, silent: int | None) -> Iterator[StreamedText]:
        if silent is not None:
            yield StreamedText((Token(silent, self._text(silent).encode()),))

    def _completed(self, event: Fields, text: str) -> tuple[Token, ...]:
        """Recover ids by tokenizing again: the stream omits them while a character is incomplete."""
        answer = self._ask("/tokenize", {"content": text, "parse_special": False, "with_pieces": True})
        pieces = [(each.integer("id"), _bytes(each)) for each in answer.each("tokens")]
        if b"".join(data for _, data in pieces) != text.encode():
            return (Token(None, text.encode()),)
        self._checked([id for id, _ in pieces])
        *first, (last, data) = pieces
        return (*(Token(id, piece) for id, piece in first), self._token(event, last, data))

    def _token(self, event: Fields, id: int | None, data: bytes) -> Token:
        chances = event.first("completion_probabilities")
        others = tuple(
            Alternative(other.integer("id"), other.text("token"), other.logprob("logprob") or 0.0)
            for other in chances.each("top_logprobs")
        ) + tuple(
            Alternative(other.integer("id"), other.text("token"), min(math.log(chance), 0.0))
            for other in chances.each("top_probs")
            if (chance := other.number("prob") or 0.0) > 0
        )
        # An accepted draft token has a meaningless probability of 1 and no alternatives.
        return Token(id, data, chances.logprob("logprob") if others else None, others)

    def _checked(self, ids: Sequence[int]) -> tuple[int, ...]:
        return checked_ids(ids, self._vocabulary_size, self._card.location)

    def _text(self, id: int) -> str:
        return self._ask("/detokenize", {"tokens": [id]}).text("content")

    def _why(self, event: Fields) -> Stop:
        if event.text("stop_type") == "eos":
            return Stop.END_OF_TEXT
        # The last token has been written, but not decoded: the context holds one more.
        held = event.count("tokens_evaluated") + event.count("tokens_predicted")
        full = event.flag("truncated") or held >= self._card.context
        return Stop.CONTEXT_FULL if full else Stop.LIMIT


def _bytes(token: Fields) -> bytes:
    return token.text("piece").encode() or bytes(number for number in token.integers("piece") if 0 <= number < 256)
