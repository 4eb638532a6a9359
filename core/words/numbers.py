"""Numbers and texts as people read them. Every duration, count and amount of money is written here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path, PurePath

LONGEST_PROBLEM = 96
"""Characters of a problem where it stands on one line."""
SHORTEST_OPENING = 16
"""A shorter opening, in characters, is not left out."""
FITS = 24
"""A text of so many characters is not shortened: a narrow list has room for it."""
KEPT_OPENING = 8
"""Characters of an opening that stay in its place, so few that what differs fits into a narrow list."""


def duration(seconds: float) -> str:
    """Format seconds: 41 ms, 9.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def rough_duration(seconds: float) -> str:
    """Format estimated seconds: 0.4 s, 9 s, 6 min, 2.5 h, 6 days."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 3 else f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86_400:.0f} days"


def day_and_time(moment: datetime) -> str:
    """Format a time in this machine's time zone: 26 Nov 2026, 08:37."""
    local = moment.astimezone()
    return f"{local.day} {local:%b %Y, %H:%M}"


def measured(value: float) -> str:
    """Format a number that was measured, with three digits: 2.13, 0.0421, 1,250."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def money(amount: float, currency: str) -> str:
    """Format an amount of money: 12.50 EUR, 0.0021 EUR; nothing where no price is known."""
    number = f"{amount:,.2f}" if amount >= 0.1 or not amount else f"{amount:.2g}"
    return f"{number} {currency}".rstrip() if amount or currency else ""


def parameter_count(number: int) -> str:
    """Format the number of a model's weights: 1.5 B, 135 M; nothing for 0."""
    if not number:
        return ""
    for each, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= each:
            return f"{number / each:.3g} {unit}"
    return str(number)


def short_path(path: PurePath) -> str:
    """Format a path, with ~ for the home folder."""
    home = Path.home()
    return str("~" / path.relative_to(home) if path.is_relative_to(home) else path)


def in_brief(problem: str) -> str:
    """Shorten a long problem to its beginning and its end, where problems of one kind differ."""
    if len(problem) <= LONGEST_PROBLEM:
        return problem
    beginning, end = problem[: LONGEST_PROBLEM // 3], problem[-LONGEST_PROBLEM // 2 :]
    return f"{beginning.rpartition(' ')[0] or beginning} … {end.partition(' ')[2] or end}"


def shared_opening(texts: Collection[str]) -> int:
    """Return how many characters all texts begin with, in whole words; 0 if few, or if all texts are equal."""
    first, last = min(texts, default=""), max(texts, default="")  # what these two share, all between them share
    alike = bisect_left(range(min(len(first), len(last))), True, key=lambda at: first[: at + 1] != last[: at + 1])
    at = first.rfind(" ", 0, alike) + 1
    return at if at >= SHORTEST_OPENING and first != last else 0


def distinguished(texts: Sequence[str]) -> list[str]:
    """Shorten texts that begin alike before the place where they differ: “Add 3 … to 4”."""
    shared: dict[str, int] = {}
    for one, other in pairwise(sorted(set(texts))):  # of all texts, a neighbour begins most alike
        opening = shared_opening((one, other))
        shared[one], shared[other] = max(shared.get(one, 0), opening), opening
    return [_without_opening(text, shared.get(text, 0)) for text in texts]


def _without_opening(text: str, opening: int) -> str:
    """Leave out an opening of so many characters, but for its first words."""
    kept = text[:KEPT_OPENING].rsplit(" ", 1)[0]
    return f"{kept} … {text[opening:]}" if opening > SHORTEST_OPENING and len(text) > FITS else text
