"""What a session on somebody's server has done for us: its bill, and what it read while the other model wrote."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


class Cost(NamedTuple):
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

    def plus(self, other: Cost) -> Cost:
        return Cost(
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


class Bill(NamedTuple):
    """All that was spent so far. `money` is 0 and `currency` empty where no prices are known."""

    cost: Cost = Cost(requests=0)
    money: float = 0.0
    currency: str = ""

    def plus(self, other: Bill) -> Bill:
        return Bill(self.cost.plus(other.cost), self.money + other.money, self.currency or other.currency)


class ReadingAhead(NamedTuple):
    """One request that let the server read in the background, until it was complete or cut."""

    began: float
    """By time.perf_counter."""
    seconds: float
    tokens: int
    """Read in that time; what the KV cache held already does not count."""


@runtime_checkable
class Charging(Protocol):
    """A session that keeps accounts; those on this machine cost nothing and keep none."""

    @property
    def bill(self) -> Bill:
        """Of this session so far; complete when it is closed."""
        ...

    def take_readings(self) -> tuple[ReadingAhead, ...]:
        """The background readings that have ended since the last call."""
        ...

    def close(self) -> None: ...
