"""What a session on somebody's server has done for us: its bill, and what it read while the other model wrote."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from core.errors import EngineRefused


class RequestUsage(NamedTuple):
    """What one request took. Tokens: `sent` with the prompt, of which `reused` were in the KV cache already and
    `read` were not; `written` by the model, `accepted` of them from the `drafted` ones of a draft model. Bytes as they
    went over the line, headers apart."""

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
    """The server gave no counts: four bytes were taken for a token."""

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


class Usage(NamedTuple):
    """All that was spent so far. `money` is 0 and `currency` empty where no prices are known."""

    cost: RequestUsage = RequestUsage(requests=0)
    money: float = 0.0
    currency: str = ""

    def plus(self, other: Usage) -> Usage:
        return Usage(self.cost.plus(other.cost), self.money + other.money, self.currency or other.currency)


class PrefetchedText(NamedTuple):
    """One request that let the server read in the background, until it was complete or cut."""

    began: float
    """By time.perf_counter."""
    seconds: float
    tokens: int
    """Read in that time; what the KV cache held already does not count."""


@runtime_checkable
class ReportsUsage(Protocol):
    """A session that keeps accounts; those on this machine cost nothing and keep none."""

    @property
    def bill(self) -> Usage:
        """Of this session so far; complete when it is closed."""
        ...

    def take_readings(self) -> tuple[PrefetchedText, ...]:
        """The background readings that have ended since the last call."""
        ...

    def close(self) -> None: ...


MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for a million tokens."""

    read: float = 0.0
    reused: float = 0.0
    written: float = 0.0
    currency: str = ""

    def bill(self, cost: RequestUsage) -> Usage:
        money = cost.read * self.read + cost.reused * self.reused + cost.written * self.written
        return Usage(cost, money / MILLION, self.currency)


@dataclass(frozen=True, slots=True)
class Cap:
    """Where to stop. None: no cap."""

    tokens: int | None = None
    """Read and written; what is reused costs the server nothing."""
    money: float | None = None

    def tightest(self, other: Cap) -> Cap:
        """The lower of each."""
        tokens = (cap.tokens for cap in (self, other) if cap.tokens is not None)
        money = (cap.money for cap in (self, other) if cap.money is not None)
        return Cap(min(tokens, default=None), min(money, default=None))


class UsageMeter:
    """Adds up the costs of an answer, of the engine behind it, and of all servers that share its work. Thread-safe."""

    def __init__(self, prices: Prices, cap: Cap, whose: str, whole: UsageMeter | None = None) -> None:
        """`whose`: what the cap is for, "this answer" or "this server". `whole`: is told of everything, too."""
        self._prices = prices
        self._cap = cap
        self._whose = whose
        self._whole = whole
        self._lock = threading.Lock()
        self._bill = prices.bill(RequestUsage(requests=0))

    def join(self, whole: UsageMeter) -> None:
        """From now on a part of another one, whose cap holds as well."""
        self._whole = whole

    def add(self, cost: RequestUsage) -> None:
        self._take(self._prices.bill(cost))

    @property
    def bill(self) -> Usage:
        return self._bill

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

    def _take(self, bill: Usage) -> None:
        with self._lock:
            self._bill = self._bill.plus(bill)
        if self._whole:
            self._whole._take(bill)

    def _room(self, wanted: int, price: float) -> int:
        """`price`: of a million written tokens where they are to be written, which may be one of several servers."""
        cap, bill = self._cap, self._bill
        room = wanted
        if cap.tokens is not None:
            left = cap.tokens - bill.cost.read - bill.cost.written
            self._refuse_below_one(left, f"{cap.tokens:,} tokens")
            room = min(room, left)
        if cap.money is not None:
            left_money = cap.money - bill.money
            affordable = int(left_money / price * MILLION) if price else wanted
            self._refuse_below_one(affordable if left_money > 0 else 0, f"{cap.money:.2f} {bill.currency}".rstrip())
            room = min(room, affordable)
        return self._whole._room(room, price) if self._whole else room

    def _refuse_below_one(self, left: int, cap: str) -> None:
        if left < 1:
            raise EngineRefused(
                f"The cap of {cap} for {self._whose} is reached.", "Raise it in the settings of the server."
            )
