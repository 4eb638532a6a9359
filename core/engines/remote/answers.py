"""Reads what a server answers, defensively: JSON in which a wrong field has its default, and reports of failures.

Not a pydantic model or msgspec struct, which refuse the whole answer for one odd field.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httpx2

from baton_reasoning.core.errors import ContextFull, EngineError, EngineLost, EngineRefused
from baton_reasoning.core.text import one_line, replace_lone_surrogates

LARGEST_NUMBER = 2.0**53
SEE_LOG = "Look at the server's log."


def parsed(text: str | bytes) -> object:
    """Parse a JSON value. Raises ValueError for anything else, NaN and excessive nesting included."""
    try:
        value: object = json.loads(text, parse_constant=int)  # no constant is an integer, so NaN raises ValueError
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) <= LARGEST_NUMBER else None  # also None for NaN and infinity


class Fields:
    """A JSON object from a server; anything else counts as an empty one."""

    def __init__(self, value: object) -> None:
        self._values: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text, with lone surrogates replaced by “?”."""
        value = self._values.get(name)
        return replace_lone_surrogates(value) if isinstance(value, str) else ""

    def line(self, name: str) -> str:
        """Return a text to show within a sentence: one printable line of bounded length."""
        return one_line(self.text(name))

    def integer(self, name: str, default: int = 0) -> int:
        value = self.number(name)
        return default if value is None else int(value)

    def count(self, name: str) -> int:
        """Return an integer that is not negative."""
        return max(self.integer(name), 0)

    def number(self, name: str) -> float | None:
        """Return a number that is finite, and small enough for every counter and database column."""
        return number(self._values.get(name))

    def logprob(self, name: str) -> float | None:
        """Return a natural log-probability, never above 0."""
        value = self.number(name)
        return None if value is None else min(value, 0.0)

    def flag(self, name: str) -> bool:
        return self._values.get(name) is True

    def inside(self, name: str) -> Fields:
        return Fields(self._values.get(name))

    def each(self, name: str) -> Iterator[Fields]:
        yield from map(Fields, self.list(name))

    def first(self, name: str) -> Fields:
        return next(self.each(name), Fields(None))

    def integers(self, name: str) -> tuple[int, ...]:
        return tuple(n for n in self.list(name) if type(n) is int)

    def list(self, name: str) -> list[Any]:
        value = self._values.get(name)
        return value if isinstance(value, list) else []

    def items(self) -> Iterator[tuple[str, object]]:
        """Yield all members, their names with lone surrogates replaced."""
        for name, value in self._values.items():
            yield replace_lone_surrogates(name), value


class NotReady(EngineLost):
    """The server is there but not ready: it loads its model, or is overloaded."""


class KeyRefused(EngineRefused):
    """The server does not accept the key."""


class UntrustedServer(EngineRefused):
    """Nothing was sent: the server's certificate is not trusted, or it redirects to another address."""


def from_transport(error: httpx2.HTTPError, host: str) -> EngineError:
    """Make the error for a request that got no answer, or only part of one."""
    if certificate := _certificate_fault(error):
        return UntrustedServer(
            f"The certificate of {host} is not trusted: {certificate}.",
            "Choose the certificate file of your authority; or accept any certificate, which is a risk.",
        )
    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return EngineLost(
                f"Nothing answers at {host}.", "Start the server there, or check the address and the firewall."
            )
        case httpx2.ProxyError():
            return EngineLost(f"The proxy for {host} failed: {one_line(str(error))}.", "Check the proxy's address.")
        case httpx2.TimeoutException():
            return EngineLost(f"{host} has stopped answering.", SEE_LOG)
        case httpx2.SSEError() | httpx2.DecodingError():
            return garbage(host)
        case _:
            return EngineLost(f"The connection to {host} broke.", "Check that the server is still running.")


def garbage(host: str) -> EngineLost:
    """Make the error for an answer that no model server sends."""
    return EngineLost(
        f"{host} sent something that is not an answer of a model server.",
        "Check the address, and whether a proxy is in between.",
    )


def from_status(response: httpx2.Response, body: bytes, host: str) -> EngineError:
    """Make the error for an answer with a status other than 200."""
    if response.is_redirect:  # neither the key nor a text may go to an address that was not entered
        target = one_line(response.headers.get("location", "another address"))
        return UntrustedServer(
            f"{host} redirects to {target}; nothing was sent there.", "Enter that address instead, if you trust it."
        )
    try:
        answer = Fields(parsed(body))
    except ValueError:
        answer = Fields(None)
    return from_report(answer, host, response.status_code)


def from_report(answer: Fields, host: str, status: int = HTTPStatus.INTERNAL_SERVER_ERROR) -> EngineError:
    """Make the error for a server's own report: `{"error": {code, type, message}}`, in a body or within a stream."""
    if answer.text("error").startswith("{"):  # Ollama quotes what its llama-server reports
        with suppress(ValueError):
            answer = Fields(parsed(answer.text("error")))
    report = answer.inside("error") if answer.inside("error").text("message") else answer
    message = (report.line("message") or answer.line("error") or answer.line("detail")).rstrip(".")
    quoted = f": “{message}”" if message else ""
    match report.integer("code", status):
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return KeyRefused(f"{host} does not accept the key.", "Enter the key that the server was started with.")
        case HTTPStatus.NOT_FOUND | HTTPStatus.NOT_IMPLEMENTED:
            return EngineRefused(
                f"{host} does not offer what is needed{quoted}.",
                "Check the address, the model's name, and which kind of server it is.",
            )
        case HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.TOO_MANY_REQUESTS:
            return NotReady(f"{host} is not ready{quoted}.", "It will be asked again in a moment.")
        case code if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return EngineLost(f"{host} reports a failure{quoted}.", SEE_LOG)
    # llama-server has an error type for it; vLLM, SGLang and LM Studio only a message.
    if report.text("type") != "exceed_context_size_error" and "context length" not in message.lower():
        return EngineRefused(f"{host} refused the request{quoted}.", SEE_LOG)
    size, context = report.count("n_prompt_tokens"), report.count("n_ctx")
    numbers = f": {size:,} tokens, and it holds {context:,}" if size and context else ""
    return ContextFull(
        f"The text no longer fits the context of {host}{numbers}.",
        "Start the server with a larger context (-c), or ask for less.",
    )


def _certificate_fault(error: BaseException) -> str:
    """Find the reason if a certificate was refused (httpx2 keeps it as a cause or context); else empty."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message
        seen = seen.__cause__ or seen.__context__
    return "it speaks no TLS that is understood here" if "SSL" in str(error) else ""
