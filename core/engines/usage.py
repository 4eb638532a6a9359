"""Token usage of sessions on servers, and what it costs: as they report it, and as traces and the store keep it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from typing import Annotated, NamedTuple, Protocol, runtime_checkable

from msgspec import Meta

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
        return Usage(self.cost.plus(other.cost), money, joined_currencies([self.currency, other.currency]))


def joined_currencies(names: Iterable[str]) -> str:
    """Name the currencies of amounts that are added up: `EUR + USD` is the sum of neither, and says so."""
    return " + ".join(dict.fromkeys(part for name in names if name for part in name.split(" + ")))


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
