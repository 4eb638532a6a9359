"""Formats figures for all views of a batch: shares, estimates, differences, probabilities."""

from __future__ import annotations

import math

from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.table import NOTHING


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def rounded(share: float) -> str:
    """Format a share in whole percent, half rounded up; with a decimal where it would wrongly read 0% or 100%."""
    text = f"{math.floor(round(100 * share, 9) + 0.5)}%"
    return percent(share) if text in ("0%", "100%") and 0 < share < 1 else text


def interval(estimate: Estimate | None) -> str:
    return f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f}" if estimate else NOTHING


def share(estimate: Estimate | None) -> str:
    """Format a share with its interval, in percent."""
    return f"{percent(estimate.value)} ({interval(estimate)})" if estimate else NOTHING


def estimated(estimate: Estimate | None) -> str:
    """Format a value with its interval."""
    return f"{estimate.value:,.2f} ({estimate.low:,.2f}–{estimate.high:,.2f})" if estimate else NOTHING


def signed(difference: Estimate, *, is_certain: bool) -> str:
    """Format a difference: “▲ +0.44 (+0.12 to +0.66)”. `is_certain`: it is beyond chance; without it, no ▲ or ▼."""
    sign = "" if not is_certain else "▲ " if difference.value > 0 else "▼ "
    return f"{sign}{difference.value:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})"


def points(difference: Estimate) -> str:
    """Format a difference of shares with its interval, in percentage points."""
    value, low, high = (f"{round(100 * each, 1) + 0.0:+.1f}" for each in (difference.value, *difference.interval))
    return f"{value} ({low} to {high})"  # adding 0 takes the sign from a zero


def probability(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}".rstrip("0").rstrip(".")
