"""Timestamps of the store: UTC in ISO 8601 to the microsecond, so that text order is time order."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    return format_timestamp(datetime.now(UTC))


def format_timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
