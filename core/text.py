"""Small functions for texts."""

from __future__ import annotations


def replace_lone_surrogates(text: str) -> str:
    """Replace each lone surrogate by "?": models and JSON files contain them, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: “1 problem”, “1,200 problems”; for nouns whose plural ends in an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


LONGEST_QUOTE = 300
"""Characters of a foreign text within one of our messages."""


def one_line(text: str, limit: int = LONGEST_QUOTE) -> str:
    """Reduce a foreign text for use within a sentence: printable characters on one line, at most `limit`."""
    start = " ".join(text[: 4 * limit].split())
    line = "".join(character for character in start if character.isprintable())
    return f"{line[: limit - 1]}…" if len(line) > limit or len(text) > 4 * limit else line
