"""A scripted Ollama: what version 0.33 does with a text, by its source (`server/routes.go`, `llm/llama_server.go`).

It is no Ollama, which no package carries. As Ollama does since 0.30, it passes each text to a real llama-server by
`/completion`, after it has done to it what Ollama does unless it is asked not to: it applies the parameters of the
Modelfile, loads the model again for another context, cuts the middle out of a long prompt, puts BOS in front, and takes
the thinking out of what is written.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.fakes.faulty_server import Answer, FaultyServer, Json, Wire
from tests.servers.llama_server import KEY, LlamaServer

DEFAULTS: Json = {
    "num_ctx": 4096,
    "num_keep": 4,
    "num_predict": -1,
    "seed": -1,
    "temperature": 0.8,
    "top_k": 40,
    "top_p": 0.9,
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_last_n": 64,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "stop": [],
}
"""`api.DefaultOptions`; the context is that of a machine with less than 23 GB of GPU memory."""
OPENING, CLOSING = "<think>", "</think>"
MOST_REPEATS = 30
"""Equal chunks in a row; one more ends the stream without `done`."""


@dataclass
class OllamaModel:
    """A model that was pulled."""

    server: LlamaServer
    """What Ollama would start for it."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of its Modelfile."""
    adds_bos: bool = False
    """As with `tokenizer.ggml.add_bos_token`: its llama-server puts BOS in front of every text."""
    go_template: str = ""
    """Of its Modelfile; else the template is that of the GGUF file."""
    thinks: bool = True
    trained: int = 0
    """Tokens of context that it was trained with; 0: as its file says."""
    digest: str = "1"
    remote_host: str = ""
    slot: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, path: str, question: Json | None = None) -> Json:
        method = "GET" if question is None else "POST"
        answer = httpx2.request(method, f"{self.server.url}{path}", json=question, headers=AUTHORISED)
        return answer.json()


AUTHORISED = {"Authorization": f"Bearer {KEY}"}


class ScriptedOllama(FaultyServer):
    """A context manager. `routes` of a FaultyServer replace what a path says."""

    def __init__(self, models: Mapping[str, OllamaModel], version: str = "0.33.0") -> None:
        super().__init__()
        self.routes.clear()
        self.models = dict(models)
        self.version = version
        self.renders = True
        """It knows the debug option that only renders."""
        self.loads: list[tuple[str, int, bool]] = []
        """Each loading of a model, with its context and whether that is shifted."""
        self.asked: list[Json] = []
        """What its llama-servers were asked."""
        self.breaks_after = -1
        """Chunks after which the next answer breaks off."""
        self.before_it_breaks: Answer = lambda _: None
        self.loaded: dict[str, tuple[int, bool]] = {}
        """The models that are loaded now, in the same way."""

    def _answer(self, wire: Wire, path: str, body: Json) -> None:
        if path in self.routes:
            return super()._answer(wire, path, body)
        entries = [self._entry(name, model) for name, model in self.models.items()]
        loaded = [{"name": name, "model": name, "context_length": size} for name, (size, _) in self.loaded.items()]
        match path:
            case "/api/version":
                wire.json({"version": self.version})
            case "/api/tags":
                wire.json({"models": entries})
            case "/v1/models":
                wire.json({"data": [{"id": name, "object": "model", "owned_by": "library"} for name in self.models]})
            case "/api/ps":
                wire.json({"models": loaded})
            case "/api/show" | "/api/generate" | "/api/chat":
                name = body["model"] if ":" in body["model"] else f"{body['model']}:latest"
                if name not in self.models:
                    return wire.json({"error": f"model '{body['model']}' not found"}, 404)
                handlers = {"/api/show": self._show, "/api/generate": self._generate, "/api/chat": self._chat}
                handlers[path](wire, name, body)
            case _:
                wire.head(404, Content_Type="text/plain")
                wire.send(b"404 page not found")
        return None

    def _entry(self, name: str, model: OllamaModel) -> Json:
        return {"name": name, "model": name, "digest": model.digest, "details": {"format": "gguf"}}

    def _show(self, wire: Wire, name: str, body: Json) -> None:
        model = self.models[name]
        props, (entry,) = model.ask("/props"), model.ask("/v1/models")["data"]
        # Numbers of GGUF keys; arrays of more than five elements are empty unless the question is verbose.
        info = {
            "general.architecture": "llama",
            "general.parameter_count": entry["meta"]["n_params"],
            "llama.context_length": model.trained or entry["meta"]["n_ctx_train"],
            "tokenizer.ggml.bos_token_id": 0,
            "tokenizer.ggml.eos_token_id": 1,
            "tokenizer.ggml.tokens": [props["bos_token"], props["eos_token"]] if body.get("verbose") else [],
        }
        shown = {
            "template": model.go_template or props["chat_template"],
            "parameters": "\n".join(f"{key:30} {value!r}" for key, value in model.parameters.items()),
            "details": {"format": "gguf", "quantization_level": "F32"},
            "capabilities": ["completion", *["thinking"] * model.thinks],
            "model_info": info,
        }
        wire.json(shown | ({"remote_host": model.remote_host} if model.remote_host else {}))

    def _chat(self, wire: Wire, name: str, body: Json) -> None:
        model = self.models[name]
        if body.get("think") and not model.thinks:
            return wire.json({"error": f'"{name}" does not support thinking'}, 400)
        self._load(name, body)
        if not (self.renders and body.get("_debug_render_only")):
            return wire.json({"message": {"role": "assistant", "content": "4"}, "done": True, "done_reason": "stop"})
        switch = {"enable_thinking": body.get("think", model.thinks)}
        rendered = model.ask("/apply-template", {"messages": body["messages"], "chat_template_kwargs": switch})
        return wire.json({"_debug_info": {"rendered_template": rendered["prompt"]}})

    def _load(self, name: str, body: Json) -> Json:
        """Return the options in effect; load the model, unless it is loaded with the same ones."""
        model = self.models[name]
        options = DEFAULTS | dict(model.parameters) | body.get("options", {})
        (entry,) = model.ask("/v1/models")["data"]
        options["num_ctx"] = min(options["num_ctx"], model.trained or entry["meta"]["n_ctx_train"])
        wanted = options["num_ctx"], body.get("shift", True)
        if self.loaded.get(name) != wanted:
            self.loaded[name] = wanted
            self.loads.append((name, *wanted))
        return options

    def _generate(self, wire: Wire, name: str, body: Json) -> None:
        model = self.models[name]
        if body.get("top_logprobs", 0) > 20:
            return wire.json({"error": "top_logprobs must be between 0 and 20"}, 400)
        if body.get("think") and not model.thinks:
            return wire.json({"error": f'"{name}" does not support thinking'}, 400)
        assert body["raw"], "any other text would be put into the chat template"
        options = self._load(name, body)
        if not body["prompt"]:
            return wire.json({"done": True, "done_reason": "load"})
        with model.slot:
            prompt = self._fitted(model, options, body)
            if prompt is None:
                return wire.json({"error": "the prompt is longer than the context length currently available"}, 400)
            question = {"prompt": prompt, "stream": True, "cache_prompt": True, "n_keep": options["num_keep"]}
            question |= {key: options[key] for key in list(DEFAULTS)[3:]}
            if options["num_predict"]:  # 0 is left out, and llama-server's default is to write without end
                question["n_predict"] = options["num_predict"]
            if body.get("logprobs"):
                question["n_probs"] = max(body.get("top_logprobs", 0), 1)
            self.asked.append(question)
            takes_thinking = model.thinks and body.get("think", True)
            self._pass_on(wire, model, question, Thinking(str(prompt)) if takes_thinking else None)
        return None

    def _fitted(self, model: OllamaModel, options: Json, body: Json) -> str | list[int] | None:
        """Return the prompt as llama-server gets it, with what it puts in front; None if it may not be cut."""
        prompt: str = model.ask("/props")["bos_token"] * model.adds_bos + body["prompt"]
        tokens: list[int] = model.ask("/tokenize", {"content": prompt, "parse_special": True})["tokens"]
        most = options["num_ctx"] - 1
        if not body.get("truncate", True) or len(tokens) <= most:
            return prompt
        if not body.get("shift", True):
            return None
        kept = options["num_keep"]
        return tokens[:kept] + tokens[kept - options["num_ctx"] // 2 :]

    def _pass_on(self, wire: Wire, model: OllamaModel, question: Json, thinking: Thinking | None) -> None:
        url = f"{model.server.url}/completion"
        with httpx2.stream("POST", url, json=question, headers=AUTHORISED, timeout=None) as response:
            if response.status_code != 200:
                return wire.json({"error": response.read().decode()}, response.status_code)
            wire.head(200, Content_Type="application/x-ndjson")
            for number, event in enumerate(_without_repeats(response)):
                if number == self.breaks_after:
                    self.breaks_after = -1
                    return self.before_it_breaks(wire)
                line = {"response": event["content"], "done": event["stop"]}
                if thinking:
                    line["thinking"], line["response"] = thinking.divided(event["content"])
                if "completion_probabilities" in event:
                    line["logprobs"] = [
                        {key: each[key] for key in ("token", "logprob", "bytes", "top_logprobs")}
                        for each in event["completion_probabilities"]
                    ]
                if event["stop"]:
                    timings = event["timings"]
                    line["done_reason"] = "length" if event["stop_type"] == "limit" else "stop"
                    line["prompt_eval_count"] = timings["cache_n"] + timings["prompt_n"]
                    line["eval_count"] = timings["predicted_n"]
                wire.send(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        return None


def _without_repeats(response: httpx2.Response) -> Iterator[Json]:
    """Yield the events that have text and the last one, up to the chunk that repeats once too often."""
    last, repeats = "", 0
    for message in httpx2.EventSource(response):
        event = json.loads(message.data)
        last, before = event["content"].strip(), last
        repeats = repeats + 1 if last == before else 0
        if repeats > MOST_REPEATS:
            return
        if event["content"] or event["stop"]:
            yield event


class Thinking:
    """Takes the thinking out of an answer, as `thinking.Parser` does."""

    def __init__(self, prompt: str) -> None:
        self._inside = prompt.rstrip().endswith(OPENING)
        self._held = ""

    def divided(self, text: str) -> tuple[str, str]:
        """Return what of the next text is thinking, and what is answer."""
        if not self._inside:
            return "", text
        self._held += text
        _, tag, answer = self._held.partition(CLOSING)
        self._inside = not tag
        return ("", answer) if tag else (text, "")
