"""Builds the responses of the endpoint as OpenAI defines them, whole and in chunks."""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from typing import Any

from baton_reasoning.core.serve.answers import RunStream, SettledText


class ResponseShape(ABC):
    """Builds the responses of one kind, whole and in chunks."""

    kind = ""
    chunk_kind = ""
    prefix = ""
    prompt_field = ""
    """The field of a request that has the prompt."""
    separator = ""
    """What stands between the thinking and the answer in one text."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._id = f"{self.prefix}-{secrets.token_hex(12)}"
        self._created = int(time.time())

    def opening(self) -> list[dict[str, Any]]:
        return []

    @abstractmethod
    def parts(self, text: SettledText) -> list[dict[str, Any]]: ...

    @abstractmethod
    def choice(self, stream: RunStream, reasoning: str, content: str) -> dict[str, Any]: ...

    @abstractmethod
    def last_choice(self) -> dict[str, Any]: ...

    def whole(self, stream: RunStream, reasoning: str, content: str) -> dict[str, Any]:
        answer = stream.answer
        choice = {"index": 0, "finish_reason": answer.finish_reason, **self.choice(stream, reasoning, content)}
        return self._envelope(self.kind, [choice]) | {
            "usage": answer.usage(),
            "baton": answer.authorship(self.separator),
        }

    def end(self, stream: RunStream) -> dict[str, Any]:
        """Build the chunk that says why the text ended, with its authorship."""
        choice = {"index": 0, "finish_reason": stream.answer.finish_reason, **self.last_choice()}
        return self._envelope(self.chunk_kind, [choice]) | {"baton": stream.answer.authorship(self.separator)}

    def usage(self, stream: RunStream) -> dict[str, Any]:
        return self._envelope(self.chunk_kind, []) | {"usage": stream.answer.usage()}

    def _chunk(self, choice: dict[str, Any]) -> dict[str, Any]:
        return self._envelope(self.chunk_kind, [{"index": 0, "finish_reason": None, **choice}])

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model, "choices": choices}


class ChatShape(ResponseShape):
    """Chat completions; the thinking stands in `reasoning_content`, as DeepSeek's and vLLM's endpoints have it."""

    kind = "chat.completion"
    chunk_kind = "chat.completion.chunk"
    prefix = "chatcmpl"
    prompt_field = "messages"

    def opening(self) -> list[dict[str, Any]]:
        return [self._chunk({"delta": {"role": "assistant", "content": ""}})]

    def parts(self, text: SettledText) -> list[dict[str, Any]]:
        fields = (("reasoning_content", text.reasoning), ("content", text.content))
        return [self._chunk({"delta": {name: value}}) for name, value in fields if value]

    def choice(self, stream: RunStream, reasoning: str, content: str) -> dict[str, Any]:  # noqa: ARG002
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if reasoning:
            message["reasoning_content"] = reasoning
        return {"message": message}

    def last_choice(self) -> dict[str, Any]:
        return {"delta": {}}


class CompletionShape(ResponseShape):
    """Completions: thinking, a blank line and the answer are one text."""

    kind = chunk_kind = "text_completion"
    prefix = "cmpl"
    prompt_field = "prompt"
    separator = "\n\n"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._next_separator = ""

    def parts(self, text: SettledText) -> list[dict[str, Any]]:
        if text.reasoning:
            self._next_separator = self.separator
        if text.content:
            text, self._next_separator = text._replace(content=self._next_separator + text.content), ""
        return [self._chunk({"text": part, "logprobs": None}) for part in text if part]

    def choice(self, stream: RunStream, reasoning: str, content: str) -> dict[str, Any]:  # noqa: ARG002
        return {"text": self.separator.join(filter(None, (reasoning, content))), "logprobs": None}

    def last_choice(self) -> dict[str, Any]:
        return {"text": "", "logprobs": None}
