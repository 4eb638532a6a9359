"""Moments as the database keeps them: UTC, ISO 8601, so that text order is time order."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    return as_text(datetime.now(UTC))


def as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def as_moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
