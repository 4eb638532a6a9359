"""What servers did for us and what that costs, in words: for the window and the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from core.engines.model_card import ModelCard
from core.engines.usage import Usage
from core.run import Pair

Fact = tuple[str, str]


@runtime_checkable
class OnServer(Protocol):
    """An engine that adds up what it costs."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def bill(self) -> Usage: ...


def bills_of(pair: Pair) -> Iterator[str]:
    """A line for each of the two models that is on a server."""
    for engine in {id(engine): engine for engine in (pair.small, pair.large)}.values():
        if isinstance(engine, OnServer):
            yield f"{engine.card.place}: {bill_in_words(engine.bill)}"


def bill_in_words(bill: Usage) -> str:
    """All of it in a line."""
    cost = bill.cost
    waited = f"{size(cost.bytes_sent + cost.bytes_received)}, {cost.seconds_waited:.1f} s waited"
    words = f"{cost.requests:,} requests, {tokens_in_words(bill)}, {waited}"
    return f"{words}, {money(bill)}" if money(bill) else words


def tokens_in_words(bill: Usage) -> str:
    """“5,310 tokens sent, 5,120 of them reused, 190 read, 84 written”."""
    cost = bill.cost
    about = "about " if cost.estimated else ""
    counts = f"{cost.sent:,} tokens sent, {cost.reused:,} of them reused, {cost.read:,} read, {cost.written:,} written"
    return about + counts


def money(bill: Usage) -> str:
    """“0.0021 EUR”; nothing where no prices are known."""
    return f"{bill.money:,.4f} {bill.currency}".rstrip() if bill.money or bill.currency else ""


def bill_facts(bill: Usage) -> list[Fact]:
    cost = bill.cost
    about = "about " if cost.estimated else ""
    return [
        ("Requests", f"{cost.requests:,}"),
        ("Sent", f"{about}{cost.sent:,} tokens"),
        ("Reused", f"{about}{cost.reused:,} tokens, in its KV cache already"),
        ("Read", f"{about}{cost.read:,} tokens"),
        ("Written", f"{about}{cost.written:,} tokens"),
        ("Over the line", f"{size(cost.bytes_sent)} out, {size(cost.bytes_received)} in"),
        ("Waited", f"{cost.seconds_waited:.1f} s for first tokens"),
        ("Money", money(bill) or "no prices are known"),
    ]


def size(number: int) -> str:
    """“412 B”, “3.5 KiB”, “1.2 MiB”."""
    if number < 1024:
        return f"{number} B"
    return f"{number / 1024:.1f} KiB" if number < 1024**2 else f"{number / 1024**2:.1f} MiB"
