"""Token usage and cost of sessions on servers: requests, prices, caps, and prefetching."""

from __future__ import annotations

import threading
from dataclasses import astuple, dataclass, replace
from typing import Annotated, NamedTuple, Protocol, runtime_checkable

from msgspec import Meta
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from baton_reasoning.core.errors import EngineRefused

MOST_COUNTED = 2**53
"""A JSON reader and SQLite hold so many exactly."""
MOST_MEASURED = 1e12

Count = Annotated[int, Meta(ge=0, le=MOST_COUNTED)]
Seconds = Annotated[float, Meta(ge=0, le=MOST_MEASURED)]
Money = Annotated[float, Meta(ge=0, le=MOST_MEASURED)]
"""Bounds hold for what is read from a file; a value of this program is not checked."""


@dataclass(frozen=True, slots=True)
class RequestUsage:
    """Usage of one request, or the sum of several.

    In tokens: `sent` in the prompt; of these `reused` from the KV cache and `read` (prefilled); `written` by the model;
    `drafted` by a draft model, of which `accepted`. Bytes over the network, without headers.
    """

    requests: Count = 1
    sent: Count = 0
    reused: Count = 0
    read: Count = 0
    written: Count = 0
    drafted: Count = 0
    accepted: Count = 0
    bytes_sent: Count = 0
    bytes_received: Count = 0
    seconds_waited: Seconds = 0.0
    """Until the first token."""
    estimated: bool = False
    """The server reported no counts: estimated as four bytes a token."""

    def plus(self, other: RequestUsage) -> RequestUsage:
        """Return the sum, each number up to the bound of its type."""
        pairs = zip(astuple(self)[:-2], astuple(other)[:-2], strict=True)
        counts = (min(mine + theirs, MOST_COUNTED) for mine, theirs in pairs)
        seconds = min(self.seconds_waited + other.seconds_waited, MOST_MEASURED)
        return replace(RequestUsage(*counts), seconds_waited=seconds, estimated=self.estimated or other.estimated)


@dataclass(frozen=True, slots=True)
class Usage:
    """Total usage and its price. `money` is 0 and `currency` empty where no prices are known."""

    cost: RequestUsage = RequestUsage(requests=0)
    money: Money = 0.0
    currency: str = ""

    def plus(self, other: Usage) -> Usage:
        """Return the sum, up to the bounds."""
        money = min(self.money + other.money, MOST_MEASURED)
        return Usage(self.cost.plus(other.cost), money, self.currency or other.currency)


class PrefetchedText(NamedTuple):
    """One prefetch request, until it was complete or cut off."""

    began: float
    """By time.perf_counter."""
    seconds: float
    tokens: int
    """Prefilled in that time; tokens reused from the KV cache do not count."""


@runtime_checkable
class ReportsUsage(Protocol):
    """A session on a server, which reports its usage. Sessions on this machine cost nothing."""

    @property
    def usage(self) -> Usage:
        """Usage of this session so far; complete when it is closed."""
        ...

    def take_prefetched(self) -> tuple[PrefetchedText, ...]:
        """Return the prefetch requests that have ended since the last call."""
        ...

    def close(self) -> None: ...


MILLION = 1_000_000
_MONEY: JsonDict = {"decimals": 4}
"""For the form: cheap models cost fractions of a cent."""
_NO_CAP: JsonDict = {"lowest": "no cap"}


class Prices(BaseModel):
    """Prices of a million tokens."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

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

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    tokens: int = Field(
        0, ge=0, title="Tokens", description="Read and written together; 0 is no cap.", json_schema_extra=_NO_CAP
    )
    money: float = Field(
        0.0, ge=0, title="Money", description="By the prices above; 0 is no cap.", json_schema_extra=_MONEY | _NO_CAP
    )

    def tightest(self, other: Cap) -> Cap:
        """Return the lower cap of each kind."""
        tokens = (cap.tokens for cap in (self, other) if cap.tokens)
        money = (cap.money for cap in (self, other) if cap.money)
        return Cap(tokens=min(tokens, default=0), money=min(money, default=0.0))


class UsageMeter:
    """Adds up the usage of a session, of its engine, or of all servers that share the work. Thread-safe."""

    def __init__(
        self, prices: Prices, cap: Cap | None = None, scope: str = "", whole: UsageMeter | None = None
    ) -> None:
        """`scope`: what the cap is for, such as a host."""
        self._prices = prices
        self._cap = cap or Cap()
        self._scope = scope
        self.whole = whole
        """A meter that counts all of this one, too, and whose cap applies as well."""
        self.usage = prices.charge(RequestUsage(requests=0))
        self._lock = threading.Lock()

    def add(self, request: RequestUsage) -> None:
        self._add(self._prices.charge(request))

    def _add(self, usage: Usage) -> None:
        with self._lock:
            self.usage = self.usage.plus(usage)
        if self.whole:
            self.whole._add(usage)

    def allowed(self, wanted: int, price: float | None = None) -> int:
        """Return how many of the wanted tokens may be written. Raises EngineRefused if a cap is reached.

        `price`: of a million written tokens on the server that is to write them, if it is one of several.
        """
        cap, usage = self._cap, self.usage
        price = self._prices.written if price is None else price
        left: dict[str, int] = {}
        if cap.tokens:
            left[f"{cap.tokens:,} tokens"] = cap.tokens - usage.cost.read - usage.cost.written
        if cap.money:
            money = max(cap.money - usage.money, 0.0)
            affordable = int(money / price * MILLION) if price else wanted if money else 0
            left[f"{cap.money:.2f} {usage.currency}".rstrip()] = affordable
        for text, tokens in left.items():
            if tokens < 1:
                raise EngineRefused(
                    f"The cap of {text} for {self._scope} is reached.", "Raise it in the settings of the server."
                )
        allowed = min([wanted, *left.values()])
        return self.whole.allowed(allowed, price) if self.whole else allowed
