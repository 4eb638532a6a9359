"""Every colour of the window, named by its role.

Two rules, both held by the tests: whatever is read has a contrast of at least 4.5 to 1 on every ground it
may stand on (WCAG 2.2, 1.4.3), and the authors differ for people who see no red or no green. A colour is
never the only sign: each author also has a mark (`core.words.authors`).
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor

from baton_reasoning.core.thinking.events import Author


@dataclass(frozen=True)
class Colours:
    """One complete set, as `#rrggbb`. Grounds come first, then what is written and drawn on them."""

    background: str  # behind the conversation
    surface: str  # bars, lists, cards, menus
    panel: str  # a bubble, a chosen row, a pressed button
    border: str  # hairlines; decoration only
    outline: str  # edges of things one can press or type into, 3 to 1
    text: str
    muted: str
    accent: str  # primary buttons, focus, the chosen tab: ink, so that it is never taken for an author
    on_accent: str
    selection: str  # behind selected text, which keeps its colour
    match: str  # behind words that were found, written in the colour of text
    current_match: str  # behind the one that a person has gone to
    small: str
    small_tint: str
    large: str
    large_tint: str
    inserted: str
    inserted_tint: str
    person: str
    person_tint: str
    success: str
    danger: str
    on_danger: str


LIGHT = Colours(
    background="#f7f7f5",
    surface="#ffffff",
    panel="#f0efec",
    border="#e4e3df",
    outline="#8b8c91",
    text="#1b1c1f",
    muted="#62656d",
    accent="#2a2c32",
    on_accent="#ffffff",
    selection="#cbdcf7",
    match="#ffedb3",
    current_match="#ffb938",
    small="#2462c9",
    small_tint="#f1f5fd",
    large="#a84f06",
    large_tint="#fdf2e6",
    inserted="#62656d",
    inserted_tint="#f1f1ef",
    person="#61188a",
    person_tint="#f7f1fb",
    success="#1a6f42",
    danger="#bb2525",
    on_danger="#ffffff",
)

DARK = Colours(
    background="#17181a",
    surface="#1f2023",
    panel="#2a2b2f",
    border="#33353a",
    outline="#777a82",
    text="#ececee",
    muted="#a2a5ad",
    accent="#e6e6e9",
    on_accent="#17181a",
    selection="#2f4a78",
    match="#4a4020",
    current_match="#8a5f00",
    small="#7fb0ff",
    small_tint="#1c2532",
    large="#f5a95a",
    large_tint="#34281b",
    inserted="#a2a5ad",
    inserted_tint="#242528",
    person="#e9c6f7",
    person_tint="#2b2433",
    success="#63c792",
    danger="#ff8e86",
    on_danger="#17181a",
)


def blend(ground: str, ink: str, share: float) -> str:
    """Return `ink` laid over `ground` with an opacity of `share` (0 to 1)."""
    below, above = QColor(ground), QColor(ink)
    return QColor.fromRgbF(
        below.redF() + (above.redF() - below.redF()) * share,
        below.greenF() + (above.greenF() - below.greenF()) * share,
        below.blueF() + (above.blueF() - below.blueF()) * share,
    ).name()


def ink_of(author: Author, colours: Colours) -> str:
    """Return the colour in which the author's sign, bar and name are drawn."""
    inks = {
        Author.SMALL: colours.small,
        Author.LARGE: colours.large,
        Author.INSERTED: colours.inserted,
        Author.PERSON: colours.person,
    }
    return inks[author]


def tint_of(author: Author, colours: Colours) -> str:
    """Return the background of what the author wrote, where it is set off from the rest."""
    tints = {
        Author.SMALL: colours.small_tint,
        Author.LARGE: colours.large_tint,
        Author.INSERTED: colours.inserted_tint,
        Author.PERSON: colours.person_tint,
    }
    return tints[author]
