"""Prices of servers, caps on what is used of them, and the meter that holds a session to both."""

from __future__ import annotations

import threading

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.errors import EngineRefused

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
