"""Requests and responses of the endpoint: OpenAI's chat completions and completions.

Fields that a client may leave out have OpenAI's meaning; unknown ones are ignored. What OpenAI has no field for
stands under `baton`: who wrote what, the large model's share, takeovers. Clients may ignore it.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import JSONResponse

MAX_STOPS = 4
"""Stop strings in one request, as OpenAI allows."""


class ErrorKind(Enum):
    """OpenAI's error types."""

    INVALID_REQUEST = "invalid_request_error"
    AUTHENTICATION = "authentication_error"
    PERMISSION = "permission_error"
    NOT_FOUND = "not_found_error"
    SERVER = "server_error"


def error_body(kind: ErrorKind, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind.value, "param": None, "code": None}}


def error_response(status: int, kind: ErrorKind, message: str) -> JSONResponse:
    return JSONResponse(error_body(kind, message), status_code=status)


class TextPart(BaseModel):
    """One part of a message; only text can be read."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    include_usage: bool = False


class CompletionOptions(BaseModel):
    """What both kinds of request share."""

    model_config = ConfigDict(extra="ignore")

    model: str = "baton"
    """The name of an arm."""
    temperature: float | None = Field(None, ge=0, le=5)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    """Without one each request draws its own; a fixed seed repeats a text on local models."""
    max_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = 1

    @field_validator("n")
    @classmethod
    def _one_choice(cls, value: int) -> int:
        if value != 1:
            raise ValueError("only n = 1 is supported: send several requests")
        return value

    @field_validator("stop")
    @classmethod
    def _few_stops(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list) and len(value) > MAX_STOPS:
            raise ValueError(f"at most {MAX_STOPS} stop strings are supported")
        return value

    @property
    def stops(self) -> tuple[str, ...]:
        strings = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(filter(None, strings))

    @property
    def limit(self) -> int | None:
        """New tokens at most, thinking included; None leaves the arm's limit."""
        return self.max_tokens

    @property
    def wants_usage(self) -> bool:
        """Whether the last chunk of a stream holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatRequest(CompletionOptions):
    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)

    @property
    def limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


class CompletionRequestBody(CompletionOptions):
    """`prompt` is put to the models as one user message: their templates differ, so no raw prompt fits both."""

    prompt: str | list[str]
    echo: bool = False

    @field_validator("prompt")
    @classmethod
    def _one_prompt(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list) and len(value) != 1:
            raise ValueError("exactly one prompt is supported: send several requests")
        return value

    @property
    def text(self) -> str:
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]
