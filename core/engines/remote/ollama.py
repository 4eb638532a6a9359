"""Ollama as an engine: text in and out through `POST /api/generate` with `raw`, which continues any text.

From version 0.30 on, Ollama passes such a text to a llama-server of its own (`llm/llama_server.go` in its source, whose
`server/routes.go` has the fields). It gives no token ids, and counts the tokens that it reused and read together.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Alternative, Message, Messages, ModelCard, Token
from baton_reasoning.core.engines.remote import protocol
from baton_reasoning.core.engines.remote.answers import SEE_LOG, Fields, NotReady, from_report
from baton_reasoning.core.engines.remote.connection import HttpRequest, ServerAddress, Signal
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions
from baton_reasoning.core.engines.remote.protocol import Ask, CompletionRequest, Prompt
from baton_reasoning.core.engines.remote.status import StatusCallback
from baton_reasoning.core.engines.remote.stream import messages_of
from baton_reasoning.core.engines.template_thinking import thinking_of
from baton_reasoning.core.engines.templates import opened, render_prompt
from baton_reasoning.core.errors import EngineLost, EngineRefused
from baton_reasoning.core.models.gguf import supports_truncation
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.thinking_tags import tags_in
from baton_reasoning.core.text import one_line

OLDEST = (0, 30)
"""The first version that runs models in a llama-server; 0.0 is a build from source."""
CONTEXT = 16_384
"""Tokens to load a model with. Ollama's own default, 4,096 below 24 GB of GPU memory, cuts most reasoning texts."""
MOST_ALTERNATIVES = 20
_NUM_CTX = re.compile(r"^num_ctx +(\d+)", re.MULTILINE)


class NotOllama(EngineRefused):
    """Another kind of server answers at the address."""

    def __init__(self, address: ServerAddress) -> None:
        super().__init__(f"{address.host} is not an Ollama.", "Check its address with “Test connection”.")


class OllamaEngine(RemoteEngine):
    """A model on an Ollama. Raises NotOllama, EngineLost or EngineRefused if it does not answer, or cannot be used."""

    def __init__(
        self,
        address: ServerAddress,
        options: RemoteOptions | None = None,
        on_status: StatusCallback | None = None,
        on_wait: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Connect, and have the model loaded. `on_wait` is called again and again meanwhile; raising a BatonError there
        ends the wait."""
        self._on_wait = on_wait
        super().__init__(address, options, on_status)

    def detect(self, ask: Ask) -> OllamaProtocol:
        version = ""
        with suppress(EngineRefused):
            version = ask("/api/version", None).line("version")
        numbers = tuple(int(digits) for digits in re.findall(r"\d+", version)[:2])
        if not numbers:
            raise NotOllama(self.address)
        if (0, 0) < numbers < OLDEST:
            raise EngineRefused(
                f"Ollama {version} on {self.address.host} is too old for Baton.", "Update it to 0.30 or newer."
            )
        found = OllamaProtocol(self.address, ask, self.options)
        found.test(ask, self._prompt_tokens)
        return found

    def _prompt_tokens(self, payload: dict[str, Any]) -> int:
        """Count the tokens of a prompt by having it read, for which Ollama loads the model first."""
        policy, host = self.options.retry_policy, self.address.host
        began = time.monotonic()
        with HttpRequest(self._connection, OllamaProtocol.path, payload, messages_of) as stream:
            while (message := stream.next(policy.first_pause)) is not Signal.ENDED:
                answer = message if isinstance(message, Fields) else Fields(None)
                if "error" in answer:
                    raise from_report(answer, host)
                if answer.flag("done"):
                    stream.finish()
                    return answer.count("prompt_eval_count")
                if time.monotonic() - began > policy.loading:
                    raise NotReady(
                        f"{host} has been loading {payload['model']}, or busy, for {policy.loading:.0f} seconds.",
                        "Wait until it is done, and try again; or choose a smaller model.",
                    )
                self._on_wait(f"{host} is loading {payload['model']}, or busy…")
        raise EngineLost(f"{host} broke off in the middle of its answer.", SEE_LOG)


class OllamaProtocol(protocol.ServerProtocol):
    """The ServerProtocol of `/api/generate`."""

    path = "/api/generate"

    def __init__(self, address: ServerAddress, ask: Ask, options: RemoteOptions) -> None:
        self._model, self._digest = found_model(address, ask)
        # With the whole vocabulary: a template may write the texts of BOS and EOS.
        show = ask("/api/show", {"model": self._model, "verbose": True})
        if "remote_host" in show:
            raise EngineRefused(
                f"{self._model} runs in Ollama's cloud, which continues no text.", "Choose a model that is pulled."
            )
        info, details = show.inside("model_info"), show.inside("details")
        architecture = info.line("general.architecture")
        self._bos, self._eos = _control_token(info, "bos"), _control_token(info, "eos")
        self._adds_bos = False
        own = show.text("template")
        self._template = own if options.template is None and "{%" in own else options.template
        """In Jinja; None if Ollama renders by a Go template, or by its own code."""
        self._can_think = "thinking" in show.list("capabilities")
        chosen = _NUM_CTX.search(show.text("parameters"))
        wanted = max(self._loaded_context(ask), int(chosen[1]) if chosen else CONTEXT)
        self._num_ctx = min(wanted, info.count(f"{architecture}.context_length") or wanted)
        """The same in every request: Ollama loads the model again for another one."""
        self._effort = options.overrides.reasoning_effort
        found = thinking_of(self._template or "", self._effort)
        self.card = ModelCard(
            name=protocol.name_of(self._model),
            vocabulary="",
            context=self._num_ctx,
            location=address.host,
            architecture=architecture,
            quantisation=details.line("quantization_level"),
            parameters=info.count("general.parameter_count"),
            thinking=tags_in(own) if self._template is None else found.tags,
        ).with_abilities(
            {
                Ability.TOKEN_IDS: False,
                Ability.TRUNCATION: supports_truncation(architecture),
                Ability.THINKING_SWITCH: found.is_switched,
            }
        )

    def test(self, ask: Ask, prompt_tokens: Callable[[dict[str, Any]], int]) -> None:
        """Have the model loaded, and find out what only a loaded one tells. Raises EngineError."""
        request = CompletionRequest(0, 0, Sampling())
        # One control token: if it counts as two, BOS was put in front of it.
        self._adds_bos = prompt_tokens(self.payload(self._eos or "1", request, ask)) > 1 and bool(self._eos)
        self.card = replace(self.card, context=self._loaded_context(ask) or self._num_ctx)
        if self._template is None:
            trial = (Message("user", "1"),)
            on, off = (self._rendered_by_server(trial, ask, thinks) for thinks in (True, False))
            self.card = replace(self.card, thinking=tags_in(on) or self.card.thinking).with_abilities(
                {Ability.THINKING_SWITCH: on != off}
            )

    def prompt_builder(self, conversation: Messages, ask: Ask, thinks: bool = True) -> protocol.PromptBuilder:
        card = self.card if thinks else self.card.without_thinking()
        if self._template is None:
            prompt = self._rendered_by_server(conversation, ask, thinks)
            prompt = opened(prompt, card.thinking) if card.thinking else prompt
        else:
            bos, eos, tags = self._bos, self._eos, card.thinking
            pieces = render_prompt(conversation, self._template, bos, eos, tags, thinks, self._effort)
            prompt = "".join(piece.text for piece in pieces)
        if self._adds_bos:
            prompt = prompt.removeprefix(self._bos)
        return protocol.PromptBuilder(card, prompt, lambda *_: ())

    def payload(self, prompt: Prompt, request: CompletionRequest, ask: Ask) -> dict[str, Any]:  # noqa: ARG002  the protocol's
        sampling = request.sampling
        payload: dict[str, Any] = {
            **self._loading,
            "prompt": prompt,
            "raw": True,
            "stream": True,
            "think": False,  # else it takes the thinking out of the text, with its tags
        }
        payload["options"] |= {
            "num_predict": max(request.limit, 1),  # 0 is no limit
            "seed": request.server_seed,
            # Every value: those of the Modelfile apply to a raw prompt, too.
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": 0.0,
            "typical_p": 1.0,
            "repeat_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop": [],
        }
        if request.alternatives:
            payload |= {"logprobs": True, "top_logprobs": min(request.alternatives, MOST_ALTERNATIVES)}
        return payload

    def answer_parser(self, ask: Ask) -> OllamaAnswer:  # noqa: ARG002  the protocol's
        return OllamaAnswer(self.card)

    def check_model(self, ask: Ask) -> None:
        if (self._model, self._digest) not in _models(ask):
            raise EngineRefused(
                f"{self.card.location} no longer has {self._model} as it was.", "Pull it again, or open another model."
            )

    @property
    def _loading(self) -> dict[str, Any]:
        """What must be the same in every request, also in one that only renders; else the model is loaded again.

        Without `truncate` and `shift` set to false, a text that is too long would lose its middle without a word.
        """
        return {"model": self._model, "truncate": False, "shift": False, "options": {"num_ctx": self._num_ctx}}

    def _loaded_context(self, ask: Ask) -> int:
        """Return the context that the model is loaded with; 0 if it is not loaded."""
        loaded = ask("/api/ps", None).each("models")
        return next((each.count("context_length") for each in loaded if each.text("name") == self._model), 0)

    def _rendered_by_server(self, conversation: Messages, ask: Ask, thinks: bool) -> str:
        """Let Ollama render, by a debug option that it has had since 0.11.5."""
        question = self._loading | {
            "messages": [asdict(message) for message in conversation],
            "stream": False,
            "_debug_render_only": True,
        }
        if self._can_think:
            question["think"] = self._effort if thinks and self._effort else thinks
        prompt = ask("/api/chat", question).inside("_debug_info").text("rendered_template")
        if not prompt:
            raise EngineRefused(
                f"Ollama does not reveal the chat template of {self._model} in Jinja.",
                "Choose the file of its chat template in the settings of the server (baton servers add … --template).",
            )
        return prompt


def _control_token(info: Fields, name: str) -> str:
    """Return the text of BOS or EOS; "" if the model has none."""
    vocabulary, id = info.list("tokenizer.ggml.tokens"), info.integer(f"tokenizer.ggml.{name}_token_id", -1)
    return str(vocabulary[id]) if 0 <= id < len(vocabulary) else ""


def _models(ask: Ask) -> list[tuple[str, str]]:
    """List the name and the digest of each model."""
    return [(each.text("name"), each.text("digest")) for each in ask("/api/tags", None).each("models")]


def found_model(address: ServerAddress, ask: Ask) -> tuple[str, str]:
    """Find the name and digest of the model that the address names, or of the only one. Raises UnknownModel."""
    models = _models(ask)
    names = (address.model, f"{address.model}:latest")
    fitting = [model for model in models if model[0] in names] if address.model else models
    if len(fitting) != 1:
        served = [protocol.ServedModel(name, "") for name, _ in models]
        pull = f", or fetch it there: ollama pull {one_line(address.model or 'NAME')}"
        raise protocol.UnknownModel(address, served, pull if address.model or not models else "")
    return fitting[0]


@dataclass
class OllamaAnswer(protocol.AnswerParser):
    """Parses one stream of `/api/generate`. Each line has the text of one token, or of a few that make a character."""

    card: ModelCard

    def parse(self, event: Fields) -> Iterator[protocol.AnswerEvent]:
        if "error" in event:
            raise from_report(event, self.card.location)
        if text := event.text("response"):
            chances = event.first("logprobs")
            others = tuple(
                Alternative(None, other.text("token"), logprob)
                for other in chances.each("top_logprobs")
                if (logprob := other.logprob("logprob")) is not None
            )
            yield Token(None, text.encode(), chances.logprob("logprob") if others else None, others)
        if event.flag("done"):
            read, written = event.count("prompt_eval_count"), event.count("eval_count")
            if read:
                yield protocol.PromptProgress(None, read, read)  # it counts what it reused as read
            yield protocol.StreamEnd(self.stop_for(event.text("done_reason"), read + written), written or None)
