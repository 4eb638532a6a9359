"""Decides who may use the endpoint, by the API key and the Host and Origin headers.

A page in a browser can send requests to a server on the loopback interface, even under a name that it made resolve to
127.0.0.1 (DNS rebinding). So every Origin that was not allowed by name is refused, and a foreign Host unless there is a
key, which such a page cannot know.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from baton_reasoning.core.engines.remote.connection import is_loopback
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.serve.schema import Refusal

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
ORIGIN = re.compile(r"https?://[^/?#\s]+")


@dataclass(frozen=True)
class AccessRules:
    """What a request must show. Raises SettingsError for an address beyond loopback without a key."""

    host: str = "127.0.0.1"
    """The address that the server binds."""
    key: str = ""
    """The bearer token; empty: none is asked for."""
    allowed_hosts: frozenset[str] = field(default_factory=frozenset)
    """Names under which clients may address a server without a key, besides the loopback names and `host`."""
    allowed_origins: frozenset[str] = field(default_factory=frozenset)
    """Pages that may call it from a browser: scheme, host and port."""

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.key:
            raise SettingsError(
                f"Other machines can reach {self.host}, and no API key is set.",
                "Name the environment variable that holds one with --serve-key-env, or bind 127.0.0.1.",
            )

    def foreign(self, headers: Headers) -> Refusal | None:
        """Refuse a request for another host if no key is set, or from a page that was not allowed; else return None."""
        hosts = LOOPBACK_NAMES | {name.lower() for name in (self.host, *self.allowed_hosts)}
        if not self.key and (host := _host_name(headers.get("host", ""))) not in hosts:
            return Refusal(403, f"The Host {host!r} is not allowed. Allow it with --allow-host, or set a key.")
        origin = headers.get("origin")
        if origin is not None and origin not in self.allowed_origins:
            sentence = f"The Origin {origin!r} is not allowed. Allow it with --allow-origin."
            return Refusal(403, sentence)
        return None

    def keyless(self, headers: Headers) -> Refusal | None:
        """Refuse a request without the key, where one is set; None if it has it."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        has_key = scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.key.encode())
        return Refusal(401, "The API key is missing or wrong.", "invalid_api_key") if self.key and not has_key else None


def access(rules: AccessRules) -> list[Middleware]:
    """Check Host and Origin first; then answer a browser's preflight, which cannot have the key; then check the key."""
    return [
        Middleware(RefusingMiddleware, check=rules.foreign),
        Middleware(
            CORSMiddleware,
            allow_origins=sorted(rules.allowed_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
        ),
        Middleware(RefusingMiddleware, check=rules.keyless),
    ]


class RefusingMiddleware:
    """Answers a request that the check refuses, before a route sees it."""

    def __init__(self, app: ASGIApp, check: Callable[[Headers], Refusal | None]) -> None:
        self._app = app
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._check(Headers(scope=scope))):
            await refusal.response()(scope, receive, send)
            return
        if scope["type"] in ("http", "lifespan"):
            await self._app(scope, receive, send)


def origins(texts: Iterable[str]) -> frozenset[str]:
    """Return origins as a browser sends them: in lower case, without a last slash.

    Raises SettingsError for a text that is not scheme://host[:port].
    """
    found = frozenset(text.lower().removesuffix("/") for text in texts)
    for origin in found:
        if not ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"{origin!r} is not an origin.", "Write scheme, host and port, such as http://localhost:3000."
            )
    return found


def _host_name(header: str) -> str:
    """Return the name in a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()
