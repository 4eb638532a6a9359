"""The window has one word for one thing, and none of the phrases that it once had."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import app

OLD_PHRASES = """
Answer once more|Earlier try|Later try|tries side by side|Go on in the same text|You asked for it|went round|
longest answer allowed|text was ended|as the system wishes|Fold thinking|once it is there|may have together|
leaves room for the window|Texts at once|Draw from so many|Least score|n3 at most|c grows by|Takeover at a cue|
tokens prefilled|of the likeliest|Roll-back|can be cut back|as the run|unless it has others|Find its cues|Let it write|
What it is given|There is none|and how sure|by chance, with|as they are chosen|it goes on where it was|
in no format that|with commas between|The way there|Prices of a million|waits for its turn|is being written …|
if it is known; else|nobody has published|Written:|where they notice a mistake|for want of memory|Do it again|
fewer texts at once|With commas between|"Prefilled"
"""
AVOIDED = r"anew|nobody|somebody|told|tells|had back|for want of|for lack of|goes round|went round|mended|errand"
FOLDER = Path(app.__file__).parent
SOURCES = sorted(file for file in FOLDER.rglob("*.py") if "terminal" not in file.parts)


def text_of(file: Path) -> str:
    return file.read_text("utf-8")


@pytest.mark.parametrize("phrase", [phrase.strip() for phrase in OLD_PHRASES.split("|")])
def test_an_old_phrase_is_nowhere_in_the_window(phrase: str) -> None:
    assert [file.name for file in SOURCES if phrase in text_of(file)] == []


def test_the_source_of_the_window_avoids_these_words() -> None:
    found = {file.name: re.findall(rf"\b(?:{AVOIDED})\b", text_of(file), re.IGNORECASE) for file in SOURCES}
    assert {name: words for name, words in found.items() if words} == {}


def test_a_label_ends_in_an_ellipsis_without_a_blank() -> None:
    assert [file.name for file in SOURCES if re.search(r"\w …[\"”]", text_of(file))] == []
