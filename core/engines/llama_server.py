"""llama.cpp's own server as an engine: token ids in and out, its KV cache reused, all of it measured by the server.

`POST /completion` with ids and `cache_prompt`; the server's log of a slot finds the common beginning by itself.
Field names are those of llama.cpp's tools/server/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from core.engines.base import Alternative, Conversation, Stop, Token
from core.engines.chat_template import render_prompt
from core.engines.model_card import ModelCard
from core.engines.openai_completions import name_of
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
    PromptProgress,
    StreamedText,
    StreamEnd,
    tags_in,
)
from core.engines.remote.state import StatusCallback
from core.engines.remote.vocabulary import PROBE, fingerprint
from core.errors import EngineRefused

_CHATML_TOKEN = "<|im_start|>"


class LlamaServerEngine(RemoteEngine):
    """A model on a llama-server. Raises EngineLost or EngineRefused if it is not there, or not one."""

    def __init__(
        self, address: ServerAddress | str, options: RemoteOptions | None = None, watcher: StatusCallback | None = None
    ) -> None:
        super().__init__(address, options, watcher)
        self.dialect = self.connect(self._dialect)

    def _dialect(self, ask: Ask) -> LlamaServerDialect:
        dialect = LlamaServerDialect(self.address, ask, self.supports_prefetch(), self.options.template)
        dialect.card = replace(dialect.card, drafts=self._drafts())
        return dialect

    def _drafts(self) -> bool:
        """Whether it writes by speculative decoding; not known of a server that was started with --no-slots."""
        try:
            return any(slot.flag("speculative") for slot in self._line.ask_list("/slots"))
        except EngineRefused:
            return False

    def tokenize(self, text: str, special: bool = False) -> tuple[int, ...]:
        """Ids of a text on its own, without BOS; control tokens are recognised if `special`."""
        return self.asking(lambda ask: tokenize(ask, text, special))


class Served(NamedTuple):
    """What a llama-server says of itself (`/props`, `/v1/models`)."""

    model: str
    parameters: int
    quantisation: str
    slots: int
    context: int
    """Per slot, tokens."""
    template: str
    bos: str
    eos: str


def served(ask: Ask) -> Served:
    """Raises EngineRefused if the server is another kind of server."""
    props, models = ask("/props", None), ask("/v1/models", None)
    if "default_generation_settings" not in props:
        raise EngineRefused("The server there is no llama-server.", "Choose its kind in the settings of the server.")
    meta = models.first("data").inside("meta")
    return Served(
        model=models.first("data").text("id") or props.text("model_path"),
        parameters=meta.integer("n_params"),
        quantisation=meta.text("ftype") or props.text("model_ftype"),
        slots=props.integer("total_slots", 1),
        context=props.inside("default_generation_settings").integer("n_ctx"),
        template=props.text("chat_template"),
        bos=props.text("bos_token"),
        eos=props.text("eos_token"),
    )


class LlamaServerDialect:
    path = "/completion"

    def __init__(self, address: ServerAddress, ask: Ask, supports_prefetch: bool, template: str | None) -> None:
        about = served(ask)
        self._about = about
        own = about.template if self._has_template(about.template, ask) else ""
        self._template = own if template is None else template
        self._space_prefix = self._puts_blank_first(ask)
        self.card = ModelCard(
            name=name_of(about.model),
            vocabulary=fingerprint(tokenize(ask, PROBE, special=True)),
            context=about.context,
            place=address.host,
            quantisation=about.quantisation,
            parameters=about.parameters,
            thinking=tags_in(self._template),
            supports_prefetch=supports_prefetch,
        )

    def begin(self, conversation: Conversation, ask: Ask) -> IdPromptBuilder:
        about = self._about
        pieces = render_prompt(conversation, self._template, about.bos, about.eos, self.card.thinking)
        prompt = [id for piece in pieces for id in self.tokenize(ask, piece.text, piece.from_template)]
        beginning = list(tokenize(ask, "", with_bos=True))
        if prompt[: len(beginning)] != beginning:
            prompt = beginning + prompt
        return IdPromptBuilder(self.card, tuple(prompt), self._tokenize_body)

    def payload(self, prompt: Prompt, wish: CompletionRequest, ask: Ask) -> dict[str, Any]:
        return self._completion(prompt, wish) | (self._judgement(wish.choices, ask) if wish.choices else {})

    def _completion(self, prompt: Prompt, wish: CompletionRequest) -> dict[str, Any]:
        return {
            "prompt": prompt,
            "n_predict": wish.limit,
            "stream": True,
            "cache_prompt": True,
            "return_tokens": True,
            "return_progress": True,
            "n_probs": wish.alternatives,
            "seed": wish.seed,
            # Every value, since the server's defaults are others, and may have been changed where it was started.
            "samplers": ["top_k", "top_p", "temperature"],
            "temperature": wish.sampling.temperature,
            "top_p": wish.sampling.top_p,
            "top_k": wish.sampling.top_k,
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

    def _judgement(self, choices: Sequence[str], ask: Ask) -> dict[str, Any]:
        """Raises the first tokens of the choices alike, far above all others: what is left are their shares."""
        heads = {self._tokenize_body(ask, choice)[0] for choice in choices}
        return {
            "logit_bias": [[head, 100.0] for head in heads],
            "n_probs": len(heads),
            "post_sampling_probs": True,
            "samplers": ["temperature"],
            "temperature": 1.0,
        }

    def answer(self, ask: Ask) -> LlamaServerAnswer:
        return LlamaServerAnswer(self.card, ask)

    def count_tokens(self, text: str, ask: Ask) -> int:
        return len(self.tokenize(ask, text, special=False))

    def check_model(self, ask: Ask) -> None:
        now = served(ask)
        if (now.model, now.parameters, now.quantisation) != self._about[:3]:
            raise EngineRefused(
                f"{self.card.place} now serves another model: {name_of(now.model)}.",
                "Start the former one there again, or open the new one.",
            )

    def _tokenize_body(self, ask: Ask, text: str) -> tuple[int, ...]:
        return self.tokenize(ask, text, special=False)

    def tokenize(self, ask: Ask, text: str, special: bool) -> tuple[int, ...]:
        """Ids of a text on its own, without BOS; control tokens are recognised if `special`."""
        if not text:
            return ()
        if self._space_prefix:
            # Such a tokenizer puts a blank before every text. A newline in front takes it, and goes again.
            guard = tokenize(ask, "\n", special)
            return tokenize(ask, f"\n{text}", special)[len(guard) :]
        return tokenize(ask, text, special)

    @staticmethod
    def _has_template(template: str, ask: Ask) -> bool:
        """A llama-server shows ChatML for a model that has no template of its own, known by its foreign tokens."""
        return _CHATML_TOKEN not in template or len(tokenize(ask, _CHATML_TOKEN, special=True)) == 1

    @staticmethod
    def _puts_blank_first(ask: Ask) -> bool:
        guard = tokenize(ask, "\n")
        return tokenize(ask, "\nx")[len(guard) :] != tokenize(ask, "x") and len(guard) > 1


def tokenize(ask: Ask, text: str, special: bool = False, with_bos: bool = False) -> tuple[int, ...]:
    wish = {"content": text, "add_special": with_bos, "parse_special": special}
    return ask("/tokenize", wish).integers("tokens")


class LlamaServerAnswer:
    """Reads one stream of `/completion`."""

    def __init__(self, card: ModelCard, ask: Ask) -> None:
        self._card = card
        self._ask = ask
        self._predicted = 0
        self._silent: int | None = None
        """A token that came without text: the end of the text, or a control token in the midst of it."""

    def hear(self, event: Fields) -> Iterator[Heard]:
        if "error" in event:
            raise from_report(event, self._card.place)
        if "prompt_progress" in event:
            progress = event.inside("prompt_progress")
            done = progress.integer("processed")
            yield PromptProgress(progress.integer("cache"), done, progress.integer("total"))
            return
        if event.flag("stop"):
            if event.text("stop_type") != "eos":
                yield from self._spoken(self._silent)
            timings = event.inside("timings")
            drafted, accepted = timings.integer("draft_n"), timings.integer("draft_n_accepted")
            yield StreamEnd(self._why(event), event.integer("tokens_predicted"), drafted, accepted)
            return
        text, ids = event.text("content"), event.integers("tokens")
        if not text and not ids:
            return
        yield from self._spoken(self._silent)
        self._silent = None
        predicted = event.integer("tokens_predicted")
        missed, self._predicted = predicted - self._predicted - 1, predicted
        if not text:
            self._silent = ids[-1]
        elif missed <= 0:
            yield StreamedText((self._token(event, ids[-1] if ids else None, text.encode()),))
        else:
            yield StreamedText(self._completed(event, text))

    def finish(self) -> None:
        """It always says so itself when it has finished."""

    def _spoken(self, silent: int | None) -> Iterator[StreamedText]:
        if silent is not None:
            yield StreamedText((Token(silent, self._text(silent).encode()),))

    def _completed(self, event: Fields, text: str) -> tuple[Token, ...]:
        """Ids are lost while a character is incomplete; its text, tokenised again, has the same bytes."""
        answer = self._ask("/tokenize", {"content": text, "parse_special": False, "with_pieces": True})
        pieces = [(each.integer("id"), _bytes(each)) for each in answer.each("tokens")]
        if b"".join(data for _, data in pieces) != text.encode():
            return (Token(None, text.encode()),)
        *first, (last, data) = pieces
        return (*(Token(id, piece) for id, piece in first), self._token(event, last, data))

    def _token(self, event: Fields, id: int | None, data: bytes) -> Token:
        chances = event.first("completion_probabilities")
        others = tuple(
            Alternative(other.integer("id"), other.text("token"), other.number("logprob") or 0.0)
            for other in chances.each("top_logprobs")
        ) + tuple(
            Alternative(other.integer("id"), other.text("token"), math.log(chance))
            for other in chances.each("top_probs")
            if (chance := other.number("prob") or 0.0) > 0
        )
        # A token that was drafted and accepted comes with a probability of 1, which means nothing.
        return Token(id, data, chances.number("logprob") if others else None, others)

    def _text(self, id: int) -> str:
        return self._ask("/detokenize", {"tokens": [id]}).text("content")

    def _why(self, event: Fields) -> Stop:
        if event.text("stop_type") == "eos":
            return Stop.END_OF_TEXT
        # The last token has been written, but not yet read: the context holds one more.
        held = event.integer("tokens_evaluated") + event.integer("tokens_predicted")
        full = event.flag("truncated") or held >= self._card.context
        return Stop.CONTEXT_FULL if full else Stop.LIMIT


def _bytes(token: Fields) -> bytes:
    return token.text("piece").encode() or bytes(number for number in token.integers("piece") if 0 <= number < 256)
