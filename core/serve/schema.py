"""The requests and responses of the endpoint, and its errors, as OpenAI defines them, whole and in chunks.

Fields that a client may leave out, or send as null, have OpenAI's meaning. Fields that would change the answer and
cannot be honoured are refused; unknown ones are ignored. What OpenAI has no field for is under `baton` in a response:
who wrote what, the large model's share, takeovers. Clients may ignore it.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from starlette.responses import JSONResponse

from baton_reasoning.core.serve.stream import RunStream, SettledText

MAX_STOPS = 4
"""Stop strings in one request, as OpenAI allows."""
ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    502: "server_error",
    503: "server_error",
}
"""OpenAI's types of errors by HTTP status; the others are `invalid_request_error`."""


class Refusal(Exception):
    """Says why a request is not answered. `code` is one of OpenAI's, `param` the field of the request to blame."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        kind = ERROR_TYPES.get(status, "invalid_request_error")
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, status_code=self.status)


UNSUPPORTED = "unsupported_value"
"""OpenAI's code, and pydantic's type, of the error that `only` raises."""


def only(*accepted: Any, reason: str) -> AfterValidator:
    """Refuse all values of a field except those that change nothing."""

    def check(value: Any) -> Any:
        if value not in accepted:
            raise PydanticCustomError(UNSUPPORTED, reason)
        return value

    return AfterValidator(check)


class Nullable(BaseModel):
    """A model in which a null field counts as left out."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


Strings = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
"""One string, or a list of them."""


class TextPart(Nullable):
    """One part of a message."""

    type: Annotated[str, only("text", reason="The models read text only: no images, sound or files")]
    text: str


def _parts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class ChatMessage(Nullable):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[list[TextPart], BeforeValidator(_parts)] = []

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.content)


ONE_CHOICE = "One choice is written: send several requests"
NO_LOGPROBS = "No log-probabilities are returned"
NO_TOOLS = "The models call no tools: leave it out, or send auto"
NO_PENALTY = "There are no penalties"


class StreamOptions(Nullable):
    include_usage: bool = False
    """Whether the last chunk holds the usage."""


class CompletionOptions(Nullable):
    """The options that both kinds of request share."""

    model: str = "baton"
    """The name of an arm."""
    temperature: float | None = Field(None, ge=0, le=5)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=1_000_000)
    """Not OpenAI's, but of llama-server and vLLM; 0 and -1 are off."""
    seed: int | None = None
    """Without one each request draws its own; a fixed seed repeats a text on local models."""
    max_tokens: int | None = Field(None, ge=1)
    """New tokens at most, thinking included; None leaves the arm's limit."""
    stop: Strings = Field([], max_length=MAX_STOPS)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: Annotated[int, only(1, reason=ONE_CHOICE)] = 1
    logit_bias: Annotated[Any, only({}, reason="Tokens cannot be biased")] = None
    presence_penalty: Annotated[float, only(0, reason=NO_PENALTY)] = 0
    frequency_penalty: Annotated[float, only(0, reason=NO_PENALTY)] = 0
    repetition_penalty: Annotated[float, only(1, reason=NO_PENALTY)] = 1
    min_p: Annotated[float, only(0, reason="There is no such filter: send top_p or top_k")] = 0
    reasoning_effort: Annotated[Any, only(reason="The arm decides how long is reasoned")] = None
    chat_template_kwargs: Annotated[Any, only({}, reason="The templates take none")] = None


class ChatRequest(CompletionOptions):
    """`tools` that the models are free to use are ignored: a model may always answer without."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1, validation_alias=AliasChoices("max_completion_tokens", "max_tokens"))
    tool_choice: Annotated[Any, only("auto", "none", reason=NO_TOOLS)] = None
    function_call: Annotated[Any, only("auto", "none", reason=NO_TOOLS)] = None
    response_format: Annotated[Any, only({"type": "text"}, reason="The models write plain text")] = None
    modalities: Annotated[Any, only(["text"], reason="The models write plain text")] = None
    logprobs: Annotated[bool, only(False, reason=NO_LOGPROBS)] = False
    top_logprobs: Annotated[int, only(0, reason=NO_LOGPROBS)] = 0


class CompletionRequestBody(CompletionOptions):
    """`prompt` is put to the models as one user message: their templates differ, so no raw prompt fits both."""

    prompt: Strings = Field(min_length=1, max_length=1)
    """One; a client with several sends several requests."""
    logprobs: Annotated[Any, only(reason=NO_LOGPROBS)] = None
    echo: Annotated[bool, only(False, reason="The prompt is not repeated")] = False
    suffix: Annotated[str, only("", reason="The models cannot write towards a suffix")] = ""
    best_of: Annotated[int, only(1, reason=ONE_CHOICE)] = 1


# Responses


class ResponseShape(ABC):
    """Builds the responses of one kind, whole and in chunks."""

    kind = chunk_kind = prefix = ""
    prompt_field = ""
    """The field of a request that has the prompt."""
    separator = ""
    """Text between the thinking and the answer where both are one text."""
    opening: ClassVar[tuple[dict[str, Any], ...]] = ()
    """What the chunks before the text hold."""
    ending: ClassVar[dict[str, Any]]
    """What the chunk after the text holds."""

    def __init__(self, model: str, stream: RunStream) -> None:
        self._model = model
        self._stream = stream
        self._id = f"{self.prefix}-{secrets.token_hex(12)}"
        self._created = int(time.time())

    @abstractmethod
    def message(self, text: SettledText) -> dict[str, Any]:
        """Build what a whole response holds."""

    @abstractmethod
    def deltas(self, text: SettledText) -> list[dict[str, Any]]:
        """Build what each of the next chunks holds."""

    def whole(self, text: SettledText) -> dict[str, Any]:
        extra = {"usage": self._stream.usage(), "baton": self._stream.authorship(self.separator)}
        return self._envelope(self.kind, self._choice(self.message(text), self._stream.finish_reason)) | extra

    def chunk(self, delta: dict[str, Any]) -> dict[str, Any]:
        return self._envelope(self.chunk_kind, self._choice(delta, None))

    def end(self) -> dict[str, Any]:
        """Build the chunk that says why the text ended, with its authorship."""
        choice = self._choice(self.ending, self._stream.finish_reason)
        return self._envelope(self.chunk_kind, choice) | {"baton": self._stream.authorship(self.separator)}

    def usage(self) -> dict[str, Any]:
        return self._envelope(self.chunk_kind) | {"usage": self._stream.usage()}

    def _choice(self, held: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        return {"index": 0, "finish_reason": finish_reason, **held}

    def _envelope(self, kind: str, *choices: dict[str, Any]) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model, "choices": choices}


class ChatShape(ResponseShape):
    """Chat completions; the thinking is in `reasoning_content`, where DeepSeek's and vLLM's endpoints have it."""

    kind = "chat.completion"
    chunk_kind = "chat.completion.chunk"
    prefix = "chatcmpl"
    prompt_field = "messages"
    opening: ClassVar = ({"delta": {"role": "assistant", "content": ""}},)
    ending: ClassVar = {"delta": {}}

    def message(self, text: SettledText) -> dict[str, Any]:
        thinking = {"reasoning_content": text.reasoning} if text.reasoning else {}
        return {"message": {"role": "assistant", "content": text.content, **thinking}}

    def deltas(self, text: SettledText) -> list[dict[str, Any]]:
        fields = (("reasoning_content", text.reasoning), ("content", text.content))
        return [{"delta": {name: value}} for name, value in fields if value]


class CompletionShape(ResponseShape):
    """Completions: thinking, a blank line and the answer are one text."""

    kind = chunk_kind = "text_completion"
    prefix = "cmpl"
    prompt_field = "prompt"
    separator = "\n\n"
    ending: ClassVar = {"text": "", "logprobs": None}
    _next_separator = ""

    def message(self, text: SettledText) -> dict[str, Any]:
        return {"text": self.separator.join(filter(None, text)), "logprobs": None}

    def deltas(self, text: SettledText) -> list[dict[str, Any]]:
        if text.reasoning:
            self._next_separator = self.separator
        if text.content:
            text, self._next_separator = text._replace(content=self._next_separator + text.content), ""
        return [{"text": part, "logprobs": None} for part in text if part]
