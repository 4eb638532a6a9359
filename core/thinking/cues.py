"""Keywords that show a sentence to be a reflection, an affirmation or a verification (paper §3, appendix).

A lexicon is data (`resources/cues/*.json`): a cue with its inflections, so that a model family or a language can
have its own. How a cue is looked for is the preset's choice: the authors' code takes substrings, so that "Bayes"
holds "yes"; the paper's words stand alone; ours also match their inflections.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from itertools import islice
from pathlib import Path

from core.errors import SettingsError


class Category(Enum):
    REFLECTION = "reflection"
    AFFIRMATION = "affirmation"
    VERIFICATION = "verification"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class Cue:
    """A cue as it stands in a text: characters `start` to `end`."""

    word: str
    category: Category
    start: int
    end: int


class Match(Enum):
    """How a cue is looked for in a text; always without regard to case."""

    SUBSTRING = "substring"
    WORD = "word"
    INFLECTED = "inflected"


@dataclass(frozen=True)
class Lexicon:
    """Cues by category: each base form with its inflections. A word may stand in several categories."""

    cues: Mapping[Category, Mapping[str, tuple[str, ...]]]
    match: Match = Match.INFLECTED
    _patterns: Mapping[Category, re.Pattern[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_patterns", {c: self._pattern(words) for c, words in self.cues.items() if words})

    def _pattern(self, words: Mapping[str, tuple[str, ...]]) -> re.Pattern[str]:
        forms = {form for base, inflections in words.items() for form in (base, *inflections)}
        chosen = sorted(forms if self.match is Match.INFLECTED else words, key=len, reverse=True)
        either = "|".join(re.escape(form).replace(r"\ ", r"\s+") for form in chosen)
        return re.compile(either if self.match is Match.SUBSTRING else rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)

    def find(self, text: str, complete: bool = True) -> list[Cue]:
        """All cues in order of place. In a text that is still growing (`complete` false) a word at its very end
        is not yet a cue: "check" may become "checkerboard"."""
        cues = [
            Cue(found.group(), category, found.start(), found.end())
            for category, pattern in self._patterns.items()
            for found in pattern.finditer(text)
            if complete or self.match is Match.SUBSTRING or found.end() < len(text)
        ]
        return sorted(cues, key=lambda cue: (cue.start, -cue.end))

    def sign(self, text: str) -> Category:
        """Reflection, Affirmation or Statement by the majority of cues; a tie is Reflection (authors' code)."""
        counts = [cue.category for cue in self.find(text)]
        reflections, affirmations = counts.count(Category.REFLECTION), counts.count(Category.AFFIRMATION)
        if not reflections and not affirmations:
            return Category.STATEMENT
        return Category.AFFIRMATION if affirmations > reflections else Category.REFLECTION


def parse_lexicon(text: str, match: Match = Match.INFLECTED) -> Lexicon:
    """A lexicon from JSON `{"reflection": {"wait": ["waits", …], …}, …}`. Raises SettingsError."""
    try:
        data = json.loads(text)
        cues = {
            Category(category): {str(base): tuple(map(str, forms)) for base, forms in words.items()}
            for category, words in data.items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise SettingsError(
            "The cue list cannot be read.",
            'It needs the form {"reflection": {"wait": ["waits"]}, "affirmation": {}, "verification": {}}.',
        ) from error
    return Lexicon(cues, match)


@cache
def english(match: Match = Match.INFLECTED, one_cue: bool = False) -> Lexicon:
    """The paper's cues; `one_cue`: only the first of each category, as in its ablation."""
    path = Path(__file__).parents[2] / "resources" / "cues" / "english.json"
    lexicon = parse_lexicon(path.read_text(encoding="utf-8"), match)
    if not one_cue:
        return lexicon
    return Lexicon({category: dict(islice(words.items(), 1)) for category, words in lexicon.cues.items()}, match)
