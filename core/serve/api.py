"""The endpoint of `baton serve`: the routes /v1/models, /v1/chat/completions, /v1/completions, /health.

The model name of a request selects an arm. As many requests are answered at once as the engines were opened for;
others wait for their turn.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from baton_reasoning.core.demo_pair import check_problem, only_demo_models
from baton_reasoning.core.engines.base import Message, Messages
from baton_reasoning.core.errors import BatonError, ContextFull, EngineLost, SettingsError
from baton_reasoning.core.run import Pair, RunSettings, ask, question
from baton_reasoning.core.serve import schema
from baton_reasoning.core.serve.access import AccessRules, access
from baton_reasoning.core.serve.request_log import RequestLog
from baton_reasoning.core.serve.schema import Refusal, ResponseShape
from baton_reasoning.core.serve.stream import RunStream, SettledText
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.registry import POLICIES

MAX_BODY = 4 * 2**20
"""Bytes of a request."""
REQUEST_SECONDS = 60.0
"""The body of a request has this long to arrive."""
MAX_SEED = 2**31
SERVED = "Use POST /v1/chat/completions or /v1/completions, or GET /v1/models."
CODES = {schema.UNSUPPORTED: schema.UNSUPPORTED, "missing": "missing_required_parameter"}
"""OpenAI's codes by pydantic's types."""

Body = TypeVar("Body", bound=BaseModel)
Texts = AsyncGenerator[SettledText, None]


class Endpoint:
    """Answers requests with one pair of models."""

    def __init__(self, pair: Pair, arms: Mapping[str, RunSettings], parallel: int = 1) -> None:
        """`arms`: the settings of each arm by the model name that selects it."""
        self._pair = pair
        self._arms = arms
        self._slots = asyncio.Semaphore(parallel)
        self._running: set[RunStream] = set()
        """The runs that the models are working on."""
        self._stopping = False
        self._created = int(time.time())

    def application(self, rules: AccessRules, log: Callable[[str], object] | None = None) -> ASGIApp:
        """Make the ASGI application. `log` gets a line for each request."""
        application = Starlette(
            routes=[
                Route("/health", self.health),
                Route("/v1/models", self.models),
                Route("/v1/models/{name:path}", self.model),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.complete, methods=["POST"]),
            ],
            middleware=access(rules),
            exception_handlers={HTTPException: _error_response, Refusal: _error_response},
        )
        return RequestLog(application, log) if log else application

    def stop(self) -> None:
        """End the runs at their next token, and begin no other; their requests are answered with status 503.

        Call it in the thread of the event loop.
        """
        self._stopping = True
        for run in self._running:
            run.stop()

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        return JSONResponse({"status": "ok"})

    async def models(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        return JSONResponse({"object": "list", "data": [self._model(name) for name in self._arms]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._arm(name)
        return JSONResponse(self._model(name))

    async def chat(self, request: Request) -> Response:
        body = _parsed(await _read(request), schema.ChatRequest)
        conversation = tuple(
            Message("system" if message.role == "developer" else message.role, message.text)
            for message in body.messages
        )
        return await self._respond(request, body, conversation, schema.ChatShape)

    async def complete(self, request: Request) -> Response:
        body = _parsed(await _read(request), schema.CompletionRequestBody)
        return await self._respond(request, body, (Message("user", body.prompt[0]),), schema.CompletionShape)

    async def _respond(
        self, request: Request, body: schema.CompletionOptions, conversation: Messages, kind: type[ResponseShape]
    ) -> Response:
        arm = self._arm(body.model)
        needs = POLICIES.of(arm.policy).needs
        small = self._pair.small if needs.small or needs.drafts else None
        pair = Pair(small, self._pair.large if needs.large else None)
        if only_demo_models(pair.cards.values()):
            conversation = _alone(conversation)
        stream = RunStream(pair, _asked(conversation, arm), _settings(arm, body), tuple(filter(None, body.stop)))
        request.state.arm, request.state.run = body.model, stream  # for the log
        shape = kind(body.model, stream)
        wants_usage = body.stream_options.include_usage
        texts = self._texts(stream)
        answer = _streamed(texts, shape, wants_usage) if body.stream else _whole(texts, shape)
        return await _unless_gone(request, answer, shape.prompt_field)

    async def _texts(self, stream: RunStream) -> Texts:
        """Yield what the run writes, once a slot is free. Raises BatonError if it fails or the endpoint stops."""
        async with self._slots:
            if self._stopping:
                raise _stopped()
            self._running.add(stream)
            try:
                async with aclosing(stream.texts()) as incoming:
                    async for text in incoming:
                        yield text
            finally:
                self._running.discard(stream)
        if self._stopping and stream.trace.finish in (None, Finish.STOPPED):
            raise _stopped()

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "baton"}

    def _arm(self, name: str) -> RunSettings:
        if name not in self._arms:
            sentence = f"There is no arm called {name!r}. Choose one of {', '.join(self._arms)}."
            raise Refusal(404, sentence, "model_not_found", "model")
        return self._arms[name]


async def _whole(texts: Texts, shape: ResponseShape) -> Response:
    async with aclosing(texts):
        incoming = [text async for text in texts]
    text = SettledText("".join(text.reasoning for text in incoming), "".join(text.content for text in incoming))
    return JSONResponse(shape.whole(text))


async def _streamed(texts: Texts, shape: ResponseShape, wants_usage: bool) -> Response:
    """Begin the response with the run: until then an error is a status. Raises BatonError."""
    await anext(texts, None)
    return _EventStream(texts, _chunks(texts, shape, wants_usage))


class _EventStream(StreamingResponse):
    """Server-sent events, whose source of texts is closed even if the client leaves before the first."""

    def __init__(self, texts: Texts, events: AsyncIterator[str]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._texts = texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._texts):
            await super().__call__(scope, receive, send)


async def _chunks(texts: Texts, shape: ResponseShape, wants_usage: bool) -> AsyncIterator[str]:
    try:
        for delta in shape.opening:
            yield _event(shape.chunk(delta))
        async for text in texts:
            for delta in shape.deltas(text):
                yield _event(shape.chunk(delta))
    except BatonError as error:
        yield _event(_refusal(error, shape.prompt_field).body)
        return
    yield _event(shape.end())
    if wants_usage:
        yield _event(shape.usage())
    yield "data: [DONE]\n\n"


def _stopped() -> EngineLost:
    """Make the error for a request whose answer was interrupted when the endpoint stopped."""
    return EngineLost("The endpoint was stopped before the answer was whole.", "Start it, and ask again.")


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, Response], prompt_field: str) -> Response:
    """Wait for the answer, and cancel it if the client goes away. `prompt_field`: the one that an error may name."""
    answering = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        raise _gone()
    except BatonError as error:
        raise _refusal(error, prompt_field) from error
    finally:
        for task in (answering, leaving):
            task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)


async def _read(request: Request) -> bytes:
    data = bytearray()
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MAX_BODY:
                    raise Refusal(413, f"A request may have {MAX_BODY >> 20} MiB at most.")
    except ClientDisconnect:
        raise _gone() from None
    except TimeoutError:
        raise Refusal(408, f"The body did not arrive within {REQUEST_SECONDS:.0f} s.") from None
    return bytes(data)


def _parsed(data: bytes, kind: type[Body]) -> Body:
    """Parse the body of a request as JSON of this kind. Raises Refusal."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        code = CODES.get(first["type"], "invalid_value")
        param = str(first["loc"][0]) if first["loc"] else None
        raise Refusal(400, f"{place}: {first['msg']}.", code, param) from error


def _alone(conversation: Messages) -> Messages:
    """Return the last message alone, as the demo pair takes it. Raises Refusal if that is no problem for it."""
    try:
        check_problem(conversation[-1].content, "Start baton serve with --small … --large … for other questions.")
    except BatonError as error:
        raise _refusal(error, "") from error
    return conversation[-1:]


def _asked(conversation: Messages, arm: RunSettings) -> Messages:
    """Add the arm's instruction to each question, as everywhere in the program."""
    before = (question(said.content, arm) if said.role == "user" else said for said in conversation[:-1])
    last = conversation[-1]
    return ask(last.content, arm, tuple(before)) if last.role == "user" else conversation


def _settings(arm: RunSettings, body: schema.CompletionOptions) -> RunSettings:
    """Apply what the request changes to the arm's settings.

    An answer that the small model finished alone, because the large one was lost, would pass for the pair's: it is an
    error, as in a batch.
    """
    seed = secrets.randbelow(MAX_SEED) if body.seed is None else body.seed % MAX_SEED
    given = body.model_dump(include={"temperature", "top_p", "top_k", "max_tokens"}, exclude_none=True)
    if body.top_k == -1:
        given["top_k"] = 0
    return arm.model_copy(update=given | {"seed": seed, "small_alone": False})


def _event(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


async def _error_response(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        error = Refusal(error.status_code, f"{request.method} {request.url.path}: {error.detail}. {SERVED}")
    assert isinstance(error, Refusal)
    return error.response()


def _gone() -> Refusal:
    return Refusal(499, "The client has gone away.")


def _refusal(error: BatonError, prompt_field: str) -> Refusal:
    if isinstance(error, ContextFull):
        return Refusal(400, str(error), "context_length_exceeded", prompt_field)
    if isinstance(error, SettingsError):
        return Refusal(400, str(error))
    return Refusal(503 if isinstance(error, EngineLost) else 502, str(error))


async def _disconnected(request: Request) -> None:
    """Wait until the client goes away. Await it once the body is read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
