"""Profiles a model's cues: counts how its sentences open after a boundary.

The keyword policy depends on a model's habit of saying “Wait”, “Let me check” or “Yes” when it looks back (paper §3).
Other families have other habits, and some have none. The profile counts them and proposes a cue list for the family.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from baton_reasoning.core.thinking.cues import Category, Lexicon, english
from baton_reasoning.core.thinking.steps import split

PROBLEMS = (
    "How many positive whole numbers below 100 are divisible by 3 or by 7?",
    "A train goes 60 km at 40 km/h and 60 km back at 60 km/h. What is its mean speed?",
    "Find all real x with |x - 2| + |x + 3| = 9.",
    "Two dice are thrown. How likely is it that the larger number is 5?",
)
"""Short problems, each with a place where one looks twice."""

LEAST_COUNT = 3
"""Times that an opening is seen before it counts as a habit."""
FEW_CUES, MANY_CUES = 0.02, 0.6
"""Shares of boundaries with a cue: below the first, the large model would hardly ever write; above the second, nearly
always."""
FEWEST_BOUNDARIES = 20
"""With fewer, nothing can be said."""

_HESITATIONS = {
    Category.REFLECTION: {"hmm", "hm", "but", "actually", "however", "oh", "no", "maybe", "let me"},
    Category.AFFIRMATION: {"great", "correct", "right", "indeed", "exactly"},
    Category.VERIFICATION: {"to confirm", "to verify", "to double", "let's confirm", "let's verify", "let's double"},
}
"""Other English words that look back; they are proposed only if the model opens sentences with them."""

_SENTENCE = re.compile(r"[^.?!\n]+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@dataclass(frozen=True)
class CueProfile:
    boundaries: int
    openings: tuple[tuple[str, int], ...]
    """The first word and the first two of sentences after boundaries, in lower case, the most frequent first."""
    cues: tuple[tuple[Category, str, int], ...]
    """Known cues in the sentences after boundaries, as written but in lower case, the most frequent first."""
    with_cue: int
    """Number of boundaries after which the sentence has a known cue."""
    proposed: Lexicon

    @property
    def cue_share(self) -> float:
        return self.with_cue / self.boundaries if self.boundaries else 0.0

    @property
    def advice(self) -> str:
        """Say in one or two sentences whether the keyword policy suits this model, and what else does."""
        if self.boundaries < FEWEST_BOUNDARIES:
            return (
                f"Only {self.boundaries} step boundaries were seen: too few to judge. "
                "Give more problems or tokens; if it writes few steps at all, let the large model open (every-step)."
            )
        share = f"{self.cue_share:.0%} of its steps open with a known cue"
        if self.cue_share < FEW_CUES:
            return (
                f"There are no cues to hold on to: {share}. Use the policy token-entropy, which needs no words, "
                "or every-step, where the large model opens."
            )
        if self.cue_share > MANY_CUES:
            return f"{share}: the large model would write nearly everything. Use fewer cues, or token-entropy."
        return f"{share}: the keyword policy suits it."


def profile(texts: Iterable[str]) -> CueProfile:
    """Count openings and English cues after the boundaries of finished texts."""
    known = english()
    seen: Counter[str] = Counter()
    cues: Counter[tuple[Category, str]] = Counter()
    boundaries = with_cue = 0
    for text in texts:
        for step in split(text)[1:]:
            boundaries += 1
            found = {(cue.category, " ".join(cue.word.lower().split())) for cue in known.find(first_sentence(step))}
            with_cue += bool(found)
            cues.update(found)
            seen.update(openings_of(step))
    openings = tuple(seen.most_common())
    return CueProfile(
        boundaries,
        openings,
        tuple((category, word, count) for (category, word), count in cues.most_common()),
        with_cue,
        _propose(openings, {word for _, word in cues}, known),
    )


def first_sentence(step: str) -> str:
    """Return the sentence that a policy would read as the lookahead, without its full stop."""
    found = _SENTENCE.search(step)
    return found.group() if found else ""


def openings_of(step: str) -> Sequence[str]:
    """Return the first word of a step, and the first two."""
    words = _WORD.findall(first_sentence(step).lower())[:2]
    return [" ".join(words[:length]) for length in range(1, len(words) + 1)]


def lexicon_json(lexicon: Lexicon) -> str:
    """Write a lexicon in the format of `resources/cues/*.json`, which `parse_lexicon` reads."""
    return json.dumps({category.value: words for category, words in lexicon.cues.items()}, indent=2, ensure_ascii=False)


def _propose(openings: Sequence[tuple[str, int]], used: set[str], known: Lexicon) -> Lexicon:
    """Propose known cues that the model uses, and other openings of its that look back."""
    proposed: dict[Category, dict[str, tuple[str, ...]]] = {
        category: {base: forms for base, forms in words.items() if used & {base, *forms}}
        for category, words in known.cues.items()
    }
    covered = {form for words in proposed.values() for base, forms in words.items() for form in (base, *forms)}
    for category, hesitations in _HESITATIONS.items():
        for words, count in openings:
            if words in hesitations - covered and count >= LEAST_COUNT:
                proposed[category][words] = ()
    return Lexicon(proposed, known.match)
