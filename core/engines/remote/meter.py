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


@dataclass(frozen=True, slots=True)
class Cap:
    """Where to stop. None: no cap."""

    tokens: int | None = None
    """Read and written; what is reused costs the server nothing."""
    money: float | None = None


class Meter:
    """Adds up the costs of an answer, and of the whole engine behind it. Thread-safe."""

    def __init__(self, prices: Prices, cap: Cap, whose: str, whole: Meter | None = None) -> None:
        """`whose`: what the cap is for, "this answer" or "this server". `whole`: is told of everything, too."""
        self._prices = prices
        self._cap = cap
        self._whose = whose
        self._whole = whole
        self._lock = threading.Lock()
        self._spent = Cost(requests=0)

    def add(self, cost: Cost) -> None:
        with self._lock:
            self._spent = self._spent.plus(cost)
        if self._whole:
            self._whole.add(cost)

    @property
    def bill(self) -> Bill:
        with self._lock:
            spent, prices = self._spent, self._prices
        money = spent.read * prices.read + spent.reused * prices.reused + spent.written * prices.written
        return Bill(spent, money / MILLION, prices.currency)

    def room(self, wanted: int) -> int:
        """How many of the wanted tokens may be written. Raises EngineRefused if a cap is reached."""
        cap, prices, bill = self._cap, self._prices, self.bill
        room = wanted
        if cap.tokens is not None:
            left = cap.tokens - bill.cost.read - bill.cost.written
            self._refuse_below_one(left, f"{cap.tokens:,} tokens")
            room = min(room, left)
        if cap.money is not None:
            left_money = cap.money - bill.money
            affordable = int(left_money / prices.written * MILLION) if prices.written else wanted
            self._refuse_below_one(affordable if left_money > 0 else 0, f"{cap.money:.2f} {prices.currency}".rstrip())
            room = min(room, affordable)
        return self._whole.room(room) if self._whole else room

    def reached(self) -> str:
        """The cap that leaves no room for one more token, in a sentence; empty if there is room."""
        try:
            self.room(1)
        except EngineRefused as refusal:
            return refusal.what
        return ""

    def _refuse_below_one(self, left: int, cap: str) -> None:
        if left < 1:
            raise EngineRefused(
                f"The cap of {cap} for {self._whose} is reached.", "Raise it in the settings of the server."
            )
