"""Finds cues: words that make a sentence a reflection, an affirmation or a verification (paper §3, appendix).

A lexicon is data (`resources/cues/*.json`), cues with their inflections, so that a model family or a language can have
its own. How a cue is matched is the preset's choice: the authors' code takes substrings, so that "Bayes" contains
"yes"; the paper takes whole words; Baton's preset also takes their inflections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache, cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.resources import resource_text


class Category(Enum):
    REFLECTION = "reflection"
    AFFIRMATION = "affirmation"
    VERIFICATION = "verification"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class Cue:
    """A cue in a text: characters `start` to `end`."""

    word: str
    category: Category
    start: int
    end: int


class Match(Enum):
    """Selects how a cue is looked for in a text; case is ignored."""

    SUBSTRING = "substring"
    WORD = "word"
    INFLECTED = "inflected"


CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Scripts that are written without blanks: a word may begin and end beside any of these characters."""
_WORD = f"[^\\W{CJK}]"
"""A letter, digit or underscore that joins its neighbours to a word."""
_ENDS_IN_CJK = re.compile(f"[{CJK}]$")
NEGATIVE = (Category.REFLECTION, Category.VERIFICATION)
"""The authors classify with the negative and the verifying words together."""


@dataclass(frozen=True)
class Lexicon:
    """Holds cues by category: each base form with its inflections. A word may be in several categories."""

    cues: Mapping[Category, Mapping[str, tuple[str, ...]]]
    match: Match = Match.INFLECTED

    @cached_property
    def _patterns(self) -> Mapping[Category, re.Pattern[str]]:
        """Compile the patterns at the first search: a window opens without one."""
        return {category: self._pattern(words) for category, words in self.cues.items() if words}

    def _pattern(self, words: Mapping[str, tuple[str, ...]]) -> re.Pattern[str]:
        forms = {form for base, inflections in words.items() for form in (base, *inflections)}
        chosen = sorted(forms if self.match is Match.INFLECTED else words, key=len, reverse=True)
        literal = "|".join(map(re.escape, chosen))
        if self.match is Match.SUBSTRING:
            return re.compile(literal, re.IGNORECASE)
        either = literal.replace(r"\ ", r"\s+")
        compound = rf"(?<!\w-)(?:{either})(?!-\w)" if self.match is Match.INFLECTED else f"(?:{either})"
        first_cjk = rf"(?:(?<!{_WORD})|(?=[{CJK}]))"
        # Only the words ignore case: ignoring it in the 40,000 characters of CJK as well takes 20 ms per pattern.
        return re.compile(rf"{first_cjk}(?i:{compound})(?:(?!{_WORD})|(?<=[{CJK}]))")

    def find(self, text: str, complete: bool = True) -> list[Cue]:
        """Find all cues, in order of place. In a text that still grows (`complete` false) a word at its very end is not
        yet a cue: "check" may become "checkerboard"."""
        cues = [
            Cue(found.group(), category, found.start(), found.end())
            for category, pattern in self._patterns.items()
            for found in pattern.finditer(text)
            if complete
            or self.match is Match.SUBSTRING
            or found.end() < len(text)
            or _ENDS_IN_CJK.search(found.group())
        ]
        return sorted(cues, key=lambda cue: (cue.start, -cue.end, cue.category is Category.AFFIRMATION))

    def sign(self, text: str) -> Category:
        """Classify a text by the majority of its cues; a tie is a reflection (authors' code).

        A word that only verifies counts as a reflection. Of cues that overlap, the first counts; of those that begin
        together, the longest.
        """
        negative = affirmative = end = 0
        if self.match is Match.SUBSTRING:  # the authors' code counts each word by itself, even inside another one
            negative, affirmative = self._substrings(text, *NEGATIVE), self._substrings(text, Category.AFFIRMATION)
        else:
            for cue in self.find(text):
                if cue.start >= end:
                    negative += cue.category is not Category.AFFIRMATION
                    affirmative += cue.category is Category.AFFIRMATION
                    end = cue.end
        if not negative and not affirmative:
            return Category.STATEMENT
        return Category.AFFIRMATION if affirmative > negative else Category.REFLECTION

    def _substrings(self, text: str, *categories: Category) -> int:
        words = {word.lower() for category in categories for word in self.cues.get(category, ())}
        return sum(map(text.lower().count, words))

    def one_cue(self) -> Lexicon:
        """Return the list with one cue per category: the paper's (`ONE_CUE`) if the list has it, else its first."""
        chosen = {
            category: next((word for word in words if word.lower() == ONE_CUE.get(category)), next(iter(words)))
            for category, words in self.cues.items()
            if words
        }
        return replace(self, cues={category: {word: self.cues[category][word]} for category, word in chosen.items()})


_Word = Annotated[str, StringConstraints(pattern=r"\S")]
_LISTS = TypeAdapter(
    Annotated[
        dict[Literal["reflection", "affirmation", "verification"], dict[_Word, tuple[_Word, ...]]], Field(min_length=1)
    ]
)


def parse_lexicon(text: str) -> Lexicon:
    """Parse a lexicon from JSON: `{"reflection": {"wait": ["waits", …], …}, …}`.

    Raises SettingsError, which names the place and the reason.
    """
    try:
        lists = _LISTS.validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        reason = ": ".join(map(str, (*fault["loc"], fault["msg"])))
        raise SettingsError(
            f"The cue list cannot be read: {reason}.",
            'It needs the form {"reflection": {"wait": ["waits"]}, "affirmation": {}, "verification": {}}.',
        ) from error
    return Lexicon({Category(name): words for name, words in lists.items()})


ONE_CUE = {Category.REFLECTION: "wait", Category.AFFIRMATION: "confident", Category.VERIFICATION: "verify"}
"""The paper's ablation with one cue per category."""


@cache
def english() -> Lexicon:
    """Load the paper's cues."""
    return parse_lexicon(resource_text("cues/english.json"))


_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*?(?:^[ \t]*(?:```|~~~)[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_CODE_OR_HEADING = re.compile(r"`[^`\n]*`?|^(?: {4}|\t)[^\n]*|^#{1,6} [^\n]*", re.MULTILINE)


def prose(text: str) -> str:
    """Blank out code and headings, character by character, so that positions stay the same."""

    def blank(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", found.group())

    return _CODE_OR_HEADING.sub(blank, _FENCE.sub(blank, text))


def inside_code(text: str) -> bool:
    """Tell whether the text ends inside a fenced block of code."""
    if "```" not in text and "~~~" not in text:  # called at each boundary of a text that may be very long
        return False
    return len(re.findall(r"^[ \t]*(?:```|~~~)", text, re.MULTILINE)) % 2 == 1
