"""Maps network failures and error reports of servers to the error tree, with advice."""

from __future__ import annotations

import ssl
from http import HTTPStatus

import httpx2

from baton_reasoning.core.engines.remote.fields import Fields, parsed
from baton_reasoning.core.errors import ContextFull, EngineError, EngineLost, EngineRefused
from baton_reasoning.core.text import one_line


class NotReady(EngineLost):
    """The server is there but not ready: it loads its model, or is overloaded."""


class KeyRefused(EngineRefused):
    """The server does not accept the key."""


class UnknownModel(EngineRefused):
    """The address names no model that the server has."""


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
            return EngineLost(f"{host} has stopped answering.", "Look at the server's log.")
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
    status = response.status_code
    if response.is_redirect:
        return _redirected(response, host)
    try:
        answer = Fields(parsed(body))
    except ValueError:
        answer = Fields(None)
    return from_report(answer, host, status)


def from_report(answer: Fields, host: str, status: int = HTTPStatus.INTERNAL_SERVER_ERROR) -> EngineError:
    """Make the error for a server's own report: `{"error": {code, type, message}}`, in a body or within a stream."""
    report = answer.inside("error") if answer.inside("error").text("message") else answer
    message = (report.line("message") or answer.line("error") or answer.line("detail")).rstrip(".")
    match report.integer("code", status):
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return KeyRefused(f"{host} does not accept the key.", "Enter the key that the server was started with.")
        case HTTPStatus.NOT_FOUND | HTTPStatus.NOT_IMPLEMENTED:
            return EngineRefused(
                f"{host} does not offer what is needed{_quoted(message)}.",
                "Check the address, the model's name, and which kind of server it is.",
            )
        case HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.TOO_MANY_REQUESTS:
            return NotReady(f"{host} is not ready{_quoted(message)}.", "It will be asked again in a moment.")
        case code if code < HTTPStatus.INTERNAL_SERVER_ERROR:
            if _is_overflow(report, message):
                return _context_full(report, host)
            return EngineRefused(f"{host} refused the request{_quoted(message)}.", "Look at the server's log.")
        case _:
            return EngineLost(f"{host} reports a failure{_quoted(message)}.", "Look at the server's log.")


def foreign_token(id: int, vocabulary_size: int, host: str) -> EngineRefused:
    size = f" of {vocabulary_size:,}" if vocabulary_size else ""
    return EngineRefused(
        f"{host} sent token {one_line(str(id), 24)}, which is not in its vocabulary{size}.",
        "Restart the server, or use another build of it.",
    )


def _redirected(response: httpx2.Response, host: str) -> UntrustedServer:
    """Refuse a redirect: neither the key nor a text may go to an address that was not entered."""
    target = one_line(response.headers.get("location", "another address"))
    return UntrustedServer(
        f"{host} redirects to {target}; nothing was sent there.",
        "Enter that address instead, if you trust it.",
    )


def _is_overflow(report: Fields, message: str) -> bool:
    # llama-server has an error type for it; vLLM, SGLang and LM Studio only a message.
    return report.text("type") == "exceed_context_size_error" or "context length" in message.lower()


def _context_full(report: Fields, host: str) -> ContextFull:
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


def _quoted(message: str) -> str:
    return f": “{message}”" if message else ""
