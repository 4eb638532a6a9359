"""llama.cpp's own server as an engine: token ids in and out, prefix cache, and usage measured by the server.

`POST /completion` with ids and `cache_prompt`; the server finds the longest common prefix by itself.
Field names are those of llama.cpp's tools/server/README.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Alternative, Messages, ModelCard, Stop, Token, first_tokens
from baton_reasoning.core.engines.control_tokens import prompt_ids
from baton_reasoning.core.engines.remote import protocol
from baton_reasoning.core.engines.remote.answers import Fields, NotReady, from_report
from baton_reasoning.core.engines.remote.connection import HttpConnection, RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions
from baton_reasoning.core.engines.remote.protocol import Ask, CompletionRequest, Prompt
from baton_reasoning.core.engines.template_thinking import thinking_of
from baton_reasoning.core.engines.templates import render_prompt
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.gguf import supports_truncation

LOOKS_FOR_FREE_SLOT = 10
TRIAL_LENGTH = 32
"""Tokens."""
_CHATML_TOKEN = "<|im_start|>"


class LlamaServerEngine(RemoteEngine):
    """A model on a llama-server. Raises EngineLost or EngineRefused if none answers at the address."""

    def detect(self, ask: Ask) -> LlamaServerProtocol:
        self._connection.model = routed_model(self.address, ask)
        found = LlamaServerProtocol(self.address, ask, self.options)
        slots = self.slots()
        has_free_slot = any(not slot.flag("is_processing") for slot in slots)
        is_truncated = found.supports_truncation(ask, has_free_slot)
        drafting = _drafting(slots) and _drafting(self.slots())  # a slot tells the kind once it has had a request
        abilities = {Ability.TRUNCATION: is_truncated, Ability.ALTERNATIVES: not drafting}
        found.card = replace(found.card, drafting=drafting).with_abilities(abilities)
        return found

    def slots(self) -> list[Fields]:
        """List the server's slots, if possible at a moment when one is free; none if it was started with --no-slots."""
        slots: list[Fields] = []
        with suppress(EngineRefused):
            for _ in range(LOOKS_FOR_FREE_SLOT):
                slots = list(self._connection.ask("/slots").each("list"))
                if not slots or not all(slot.flag("is_processing") for slot in slots):
                    break  # a server that lists none is not busy
                time.sleep(0.1)  # a request that was cut ends within its batch
        return slots


def _drafting(slots: Iterable[Fields]) -> str:
    """Return the kind of speculative decoding in these slots, as `ModelCard.drafting` names it."""
    listed = [slot.inside("params").line("speculative.types") for slot in slots if slot.flag("speculative")]
    kinds = [",".join(kind for kind in each.split(",") if kind != "none") for each in listed]
    return next(filter(None, kinds), "unknown" if kinds else "")


def server_properties(ask: Ask, model: str) -> tuple[Fields, Fields]:
    """Return `/props`, and the entry in `/v1/models` of this model, or of the only one if the name is empty.

    Raises EngineRefused if it is another kind of server.
    """
    props, entry = ask("/props", None), protocol.find_model(ask, model)
    if "default_generation_settings" not in props:
        raise EngineRefused("The server is not a llama-server.", "Check its address with “Test connection”.")
    return props, entry


def _identity(props: Fields, entry: Fields) -> tuple[str, int, str]:
    """Return what tells a model from another: its name, its number of parameters and its quantisation."""
    meta = entry.inside("meta")
    name = entry.text("id") or props.text("model_path")
    return name, meta.count("n_params"), meta.line("ftype") or props.line("model_ftype")


class LlamaServerProtocol(protocol.ServerProtocol):
    """The ServerProtocol of a llama-server."""

    path = "/completion"
    choice_bias = 10.0
    """Lifts every choice into the listed alternatives."""

    def __init__(self, address: ServerAddress, ask: Ask, options: RemoteOptions) -> None:
        props, entry = server_properties(ask, address.model)
        meta = entry.inside("meta")
        self._address_model = address.model
        self._identity = name, parameters, quantisation = _identity(props, entry)
        self._bos, self._eos = props.text("bos_token"), props.text("eos_token")
        self._vocabulary_size = meta.count("n_vocab")
        """0: not reported."""
        self._heads: dict[tuple[str, ...], list[set[int]]] = {}
        """The first tokens of the choices that were judged."""
        self._host = address.host
        own = props.text("chat_template")
        if options.template is None and _CHATML_TOKEN in own and len(tokenize(ask, _CHATML_TOKEN, special=True)) != 1:
            own = ""  # the ChatML that is reported for a model without a template: the vocabulary lacks its tokens
        self._template = own if options.template is None else options.template
        guard = tokenize(ask, "\n")
        self._space_prefix = len(guard) > 1 and tokenize(ask, "\nx")[len(guard) :] != tokenize(ask, "x")
        """This tokenizer puts a blank before every text."""
        self._probe_ids = self._checked(tokenize(ask, protocol.PROBE, special=True))
        self._effort = options.overrides.reasoning_effort
        found = thinking_of(self._template, self._effort)
        self.card = ModelCard(
            name=protocol.name_of(name),
            vocabulary=protocol.fingerprint(self._probe_ids),
            context=props.inside("default_generation_settings").count("n_ctx"),  # per slot
            location=self._host,
            # Not reported by b11549.
            architecture=meta.line("general.architecture") or props.line("general.architecture"),
            quantisation=quantisation,
            parameters=parameters,
            thinking=found.tags,
        ).with_abilities({Ability.THINKING_SWITCH: found.is_switched})

    def reports_reuse(self, ask: Ask) -> bool:  # noqa: ARG002  the protocol's
        return True

    def supports_truncation(self, ask: Ask, has_free_slot: bool) -> bool:
        """Return whether the cache can be truncated; a recurrent or hybrid one only goes back to a checkpoint.

        Judged by the architecture, if the server reveals it; else by trial, if a slot is free: a second prompt that
        shares the first half of the first one reuses it, unless the cache cannot be truncated.
        """
        if self.card.architecture:
            return supports_truncation(self.card.architecture)
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

    def prompt_builder(self, conversation: Messages, ask: Ask, thinks: bool = True) -> protocol.PromptBuilder:
        card = self.card if thinks else self.card.without_thinking()
        pieces = render_prompt(conversation, self._template, self._bos, self._eos, card.thinking, thinks, self._effort)
        prompt = tuple(prompt_ids(pieces, partial(self._tokenize, ask), partial(self._tokenize_beginning, ask)))
        beginning = self._checked(tokenize(ask, "", with_bos=True))
        if prompt[: len(beginning)] != beginning:
            prompt = beginning + prompt
        return protocol.PromptBuilder(card, prompt, self._tokenize)

    def payload(self, prompt: Prompt, request: CompletionRequest, ask: Ask) -> dict[str, Any]:
        payload = {
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
        return payload | self._judgement(request.choices, ask) if request.choices else payload

    def _judgement(self, choices: tuple[str, ...], ask: Ask) -> dict[str, Any]:
        """Add the same bias to the first tokens of each choice, so that they are listed, and their ratios exact."""
        heads = self._heads.get(choices) or first_tokens(choices, partial(self._tokenize, ask))
        if not all(heads):
            raise EngineRefused(f"{self._host} made no tokens of a choice.", "Restart the server.")
        self._heads[choices] = heads
        return {
            "logit_bias": [[head, self.choice_bias] for head in set().union(*heads)],
            "post_sampling_probs": True,
            "samplers": ["temperature"],
            "temperature": 1.0,
        }

    def answer_parser(self, ask: Ask) -> LlamaServerAnswer:
        return LlamaServerAnswer(self.card, ask, self._vocabulary_size)

    def check_model(self, ask: Ask) -> None:
        now = _identity(*server_properties(ask, self._address_model))
        if now != self._identity:
            raise EngineRefused(
                f"{self._host} now serves another model: {protocol.name_of(now[0])}.",
                "Start the earlier model there again, or open the new one.",
            )

    def _tokenize(self, ask: Ask, text: str, special: bool = False) -> tuple[int, ...]:
        """Tokenize a text on its own, without BOS; control tokens are recognised if `special`."""
        if not text:
            return ()
        if self._space_prefix:
            # A newline in front takes the blank, and is cut off again.
            guard = tokenize(ask, "\n", special)
            return self._checked(tokenize(ask, f"\n{text}", special)[len(guard) :])
        return self._checked(tokenize(ask, text, special))

    def _tokenize_beginning(self, ask: Ask, text: str, special: bool) -> tuple[int, ...]:
        return self._checked(tokenize(ask, text, special)) if text else ()

    def _checked(self, ids: Sequence[int]) -> tuple[int, ...]:
        return protocol.checked_ids(ids, self._vocabulary_size, self._host)


def tokenize(ask: Ask, text: str, special: bool = False, with_bos: bool = False) -> tuple[int, ...]:
    question = {"content": text, "add_special": with_bos, "parse_special": special}
    return ask("/tokenize", question).integers("tokens")


@dataclass
class LlamaServerAnswer(protocol.AnswerParser):
    """Parses one stream of `/completion`, of which the last event always says that it is the last."""

    card: ModelCard
    ask: Ask
    vocabulary_size: int = 0
    _predicted: int = 0
    _silent: int | None = None
    """A token without text: the end of the text, or a control token within it."""

    def parse(self, event: Fields) -> Iterator[protocol.AnswerEvent]:
        if "error" in event:
            raise from_report(event, self.card.location)
        if "prompt_progress" in event:
            progress = event.inside("prompt_progress")
            done = progress.count("processed")
            yield protocol.PromptProgress(progress.count("cache"), done, max(progress.count("total"), done))
            return
        if event.flag("stop"):
            if event.text("stop_type") != "eos":
                yield from self._control_token()
            timings = event.inside("timings")
            drafted, accepted = timings.count("draft_n"), timings.count("draft_n_accepted")
            yield protocol.StreamEnd(self._why(event), event.count("tokens_predicted"), drafted, accepted)
            return
        text, ids = event.text("content"), self._checked(event.integers("tokens"))
        if not text and not ids:
            return
        yield from self._control_token()
        self._silent = None
        predicted = event.count("tokens_predicted")
        missed, self._predicted = predicted - self._predicted - 1, predicted
        if not text:
            self._silent = ids[-1]
        elif missed <= 0:
            yield self._token(event, ids[-1] if ids else None, text.encode())
        else:
            yield from self._completed(event, text)

    def _control_token(self) -> Iterator[Token]:
        if self._silent is not None:
            text = self.ask("/detokenize", {"tokens": [self._silent]}).text("content")
            yield Token(self._silent, text.encode())

    def _completed(self, event: Fields, text: str) -> tuple[Token, ...]:
        """Recover ids by tokenizing again: the stream omits them while a character is incomplete."""
        answer = self.ask("/tokenize", {"content": text, "parse_special": False, "with_pieces": True})
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
        return protocol.checked_ids(ids, self.vocabulary_size, self.card.location)

    def _why(self, event: Fields) -> Stop:
        if event.text("stop_type") == "eos":
            return Stop.END_OF_TEXT
        # The last token has been written, but not decoded: the context holds one more.
        held = event.count("tokens_evaluated") + event.count("tokens_predicted")
        full = event.flag("truncated") or held >= self.card.context
        return Stop.CONTEXT_FULL if full else Stop.LIMIT


def _bytes(token: Fields) -> bytes:
    return token.text("piece").encode() or bytes(number for number in token.integers("piece") if 0 <= number < 256)


_LOADED = ("loaded", "sleeping")
"""A sleeping model wakes up at the next request."""
_ON_THE_WAY = ("loading", "downloading", "downloaded")


class ModelNotLoaded(NotReady):
    """A router has the model, but has not loaded it; `load_model` does."""

    def __init__(self, host: str, model: str) -> None:
        super().__init__(f"{host} has not loaded {model} yet.")
        self.model = model


def routed_model(address: ServerAddress, ask: Ask) -> str:
    """Return the model that each request to a router must name; empty if the server is no router.

    Raises UnknownModel if the address names no model of this server, and ModelNotLoaded.
    """
    if ask("/props", None).text("role") != "router":
        if address.model and "id" not in protocol.find_model(ask, address.model):
            raise protocol.UnknownModel(address, protocol.served_models(ask))
        return ""
    models = protocol.served_models(ask)
    entry = protocol.find_model(ask, address.model)
    if "id" not in entry or (len(models) > 1 and not address.model):
        raise protocol.UnknownModel(address, models)
    name = entry.text("id")
    if entry.inside("status").text("value") not in _LOADED:
        raise ModelNotLoaded(address.host, name)
    return name


def load_model(address: ServerAddress, model: str, policy: RetryPolicy, on_wait: Callable[[str], object]) -> None:
    """Have a router load a model, and wait until it has.

    `on_wait` is called again and again with what is waited for; raising a BatonError there ends the wait. Raises
    EngineRefused if the model cannot be loaded, and NotReady after `policy.loading` seconds.
    """
    began = time.monotonic()
    with closing(HttpConnection(address, policy, address.tls())) as connection:
        if _status(connection.ask, model).text("value") not in _ON_THE_WAY:
            connection.ask("/models/load", {"model": model})
        while (status := _status(connection.ask, model)).text("value") in _ON_THE_WAY:
            if time.monotonic() - began > policy.loading:
                raise NotReady(
                    f"{address.host} has been loading {model} for {policy.loading:.0f} seconds.",
                    "Wait until it is done, and try again; or choose a smaller model.",
                )
            on_wait(f"{address.host} is loading {model}…")
            connection.pause(policy.first_pause)
        if status.text("value") not in _LOADED:
            code = f" (exit code {status.integer('exit_code')})" if "exit_code" in status else ""
            raise EngineRefused(
                f"{address.host} could not load {model}{code}.",
                "Look at the server's log: the file may be damaged, or too large for its memory.",
            )


def _status(ask: Ask, model: str) -> Fields:
    return protocol.find_model(ask, model).inside("status")
