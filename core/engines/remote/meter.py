"""Adding up what a server does for us, at the prices it has and up to a cap."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from core.engines.bill import Bill, Cost
from core.errors import EngineRefused

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for a million tokens."""

    read: float = 0.0
    reused: float = 0.0
    written: float = 0.0
    currency: str = ""

    def bill(self, cost: Cost) -> Bill:
        money = cost.read * self.read + cost.reused * self.reused + cost.written * self.written
        return Bill(cost, money / MILLION, self.currency)


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


class Meter:
    """Adds up the costs of an answer, of the engine behind it, and of all servers that share its work. Thread-safe."""

    def __init__(self, prices: Prices, cap: Cap, whose: str, whole: Meter | None = None) -> None:
        """`whose`: what the cap is for, "this answer" or "this server". `whole`: is told of everything, too."""
        self._prices = prices
        self._cap = cap
        self._whose = whose
        self._whole = whole
        self._lock = threading.Lock()
        self._bill = prices.bill(Cost(requests=0))

    def join(self, whole: Meter) -> None:
        """From now on a part of another one, whose cap holds as well."""
        self._whole = whole

    def add(self, cost: Cost) -> None:
        self._take(self._prices.bill(cost))

    @property
    def bill(self) -> Bill:
        return self._bill

    def room(self, wanted: int) -> int:
        """How many of the wanted tokens may be written. Raises EngineRefused if a cap is reached."""
        return self._room(wanted, self._prices.written)

    def reached(self) -> str:
        """The cap that leaves no room for one more token, in a sentence; empty if there is room."""
        try:
            self.room(1)
        except EngineRefused as refusal:
            return refusal.what
        return ""

    def _take(self, bill: Bill) -> None:
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
