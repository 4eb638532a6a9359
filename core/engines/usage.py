"""Token usage and cost of sessions on servers: requests, prices, caps, and what was prefetched."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from core.errors import EngineRefused


@dataclass(frozen=True, slots=True)
class RequestUsage:
    """Usage of one request, or the sum of several. In tokens: `sent` in the prompt; of these `reused` from the KV cache
    and `read` (prefilled); `written` by the model; `drafted` by a draft model, of which `accepted`. Bytes over the
    network, without headers."""

    requests: int = 1
    sent: int = 0
    reused: int = 0
    read: int = 0
    written: int = 0
    drafted: int = 0
    accepted: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds_waited: float = 0.0
    """Until the first token."""
    estimated: bool = False
    """The server reported no counts: estimated as four bytes a token."""

    def plus(self, other: RequestUsage) -> RequestUsage:
        return RequestUsage(
            self.requests + other.requests,
            self.sent + other.sent,
            self.reused + other.reused,
            self.read + other.read,
            self.written + other.written,
            self.drafted + other.drafted,
            self.accepted + other.accepted,
            self.bytes_sent + other.bytes_sent,
            self.bytes_received + other.bytes_received,
            self.seconds_waited + other.seconds_waited,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Total usage and its price. `money` is 0 and `currency` empty where no prices are known."""

    cost: RequestUsage = RequestUsage(requests=0)
    money: float = 0.0
    currency: str = ""

    def plus(self, other: Usage) -> Usage:
        return Usage(self.cost.plus(other.cost), self.money + other.money, self.currency or other.currency)


class PrefetchedText(NamedTuple):
    """One prefetch request, until it was complete or cut."""

    began: float
    """By time.perf_counter."""
    seconds: float
    tokens: int
    """Prefilled in that time; tokens reused from the KV cache do not count."""


@runtime_checkable
class ReportsUsage(Protocol):
    """A session on a server. Sessions on this machine cost nothing and report no usage."""

    @property
    def usage(self) -> Usage:
        """Of this session so far; complete when it is closed."""
        ...

    def take_prefetched(self) -> tuple[PrefetchedText, ...]:
        """The prefetch requests that have ended since the last call."""
        ...

    def close(self) -> None: ...


MILLION = 1_000_000
_MONEY: JsonDict = {"decimals": 4}
"""For the form: cheap models cost fractions of a cent."""


class Prices(BaseModel):
    """Money for a million tokens."""

    model_config = ConfigDict(frozen=True)

    read: float = Field(0.0, ge=0, title="Read", description="Prompt tokens.", json_schema_extra=_MONEY)
    reused: float = Field(
        0.0, ge=0, title="Reused", description="Prompt tokens from the KV cache.", json_schema_extra=_MONEY
    )
    written: float = Field(0.0, ge=0, title="Written", description="Tokens of the answer.", json_schema_extra=_MONEY)
    currency: str = Field("", max_length=8, title="Currency")

    @property
    def are_free(self) -> bool:
        return not (self.read or self.reused or self.written)

    def charge(self, request: RequestUsage) -> Usage:
        money = request.read * self.read + request.reused * self.reused + request.written * self.written
        return Usage(request, money / MILLION, self.currency)


class Cap(BaseModel):
    """The usage after which Baton sends the server no more requests; the small model then continues alone."""

    model_config = ConfigDict(frozen=True)

    tokens: int = Field(0, ge=0, title="Tokens", description="Read and written together; 0 is no cap.")
    money: float = Field(
        0.0, ge=0, title="Money", description="By the prices above; 0 is no cap.", json_schema_extra=_MONEY
    )

    def tightest(self, other: Cap) -> Cap:
        """The lower of each."""
        tokens = (cap.tokens for cap in (self, other) if cap.tokens)
        money = (cap.money for cap in (self, other) if cap.money)
        return Cap(tokens=min(tokens, default=0), money=min(money, default=0.0))


class UsageMeter:
    """Adds up the usage of an answer, of its engine, or of all servers that share the work. Thread-safe."""

    def __init__(self, prices: Prices, cap: Cap, scope: str, whole: UsageMeter | None = None) -> None:
        """`scope`: what the cap is for, as "this answer". `whole`: another meter that counts everything too."""
        self._prices = prices
        self._cap = cap
        self._scope = scope
        self._whole = whole
        self._lock = threading.Lock()
        self._usage = prices.charge(RequestUsage(requests=0))

    def join(self, whole: UsageMeter) -> None:
        """Become a part of another meter, whose cap applies as well."""
        self._whole = whole

    def add(self, request: RequestUsage) -> None:
        self._add(self._prices.charge(request))

    @property
    def usage(self) -> Usage:
        return self._usage

    def room(self, wanted: int) -> int:
        """How many of the wanted tokens may be written. Raises EngineRefused if a cap is reached."""
        return self._room(wanted, self._prices.written)

    def reached(self) -> str:
        """The cap that leaves no room for one more token, in a sentence; empty if there is room."""
        try:
            self.room(1)
        except EngineRefused as refusal:
            return refusal.message
        return ""

    def _add(self, usage: Usage) -> None:
        with self._lock:
            self._usage = self._usage.plus(usage)
        if self._whole:
            self._whole._add(usage)

    def _room(self, wanted: int, price: float) -> int:
        """`price`: of a million written tokens on the server that is to write them, one of several perhaps."""
        cap, usage = self._cap, self._usage
        room = wanted
        if cap.tokens:
            left = cap.tokens - usage.cost.read - usage.cost.written
            self._refuse_below_one(left, f"{cap.tokens:,} tokens")
            room = min(room, left)
        if cap.money:
            left_money = cap.money - usage.money
            affordable = int(left_money / price * MILLION) if price else wanted
            self._refuse_below_one(affordable if left_money > 0 else 0, f"{cap.money:.2f} {usage.currency}".rstrip())
            room = min(room, affordable)
        return self._whole._room(room, price) if self._whole else room

    def _refuse_below_one(self, left: int, cap: str) -> None:
        if left < 1:
            raise EngineRefused(
                f"The cap of {cap} for {self._scope} is reached.", "Raise it in the settings of the server."
            )
