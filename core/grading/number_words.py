"""Reads numbers in English words: `twenty-one`, `one hundred and five`, `two thirds`, `a dozen`."""

import re
from fractions import Fraction

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {word: 20 + 10 * at for at, word in enumerate(_TENS)}
SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}
"""Words that multiply the number before them."""
_PARTS = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "eleventh": 11,
    "twelfth": 12,
    "twentieth": 20,
    "hundredth": 100,
}


def read_number_words(text: str) -> Fraction | None:
    """Read a number in words, in any case and with or without hyphens; None if it is anything else."""
    mixed = re.fullmatch(r"(?P<whole>.+?) and (?P<part>(?:a|one|two|three) \w+)", text.lower().strip())
    if mixed is not None and (part := read_number_words(mixed["part"])) is not None and part < 1:
        whole = read_number_words(mixed["whole"])
        return None if whole is None else whole + part
    words = [word for word in text.lower().replace("-", " ").split() if word != "and"]
    if not words:
        return None
    last = words[-1] if words[-1] in _PARTS else words[-1].removesuffix("s")
    if last in _PARTS and len(words) > 1:
        top = 1 if words[:-1] == ["a"] else _cardinal(words[:-1])
        return None if top is None else Fraction(top, _PARTS[last])
    cardinal = _cardinal(words)
    return None if cardinal is None else Fraction(cardinal)


def _cardinal(words: list[str]) -> int | None:
    if words[0] in ("a", "an") and len(words) > 1:
        words = ["one", *words[1:]]
    total = group = 0
    previous = ""
    for word in words:
        if word in _SMALL:
            # "twenty one" is a number, "one twenty" and "two three" are not.
            if previous in _SMALL and not (_SMALL[previous] >= 20 and 0 < _SMALL[word] < 10):
                return None
            group += _SMALL[word]
        elif word in SCALES and previous:
            if SCALES[word] < 1_000:
                group *= SCALES[word]
            else:
                total, group = total + group * SCALES[word], 0
        else:
            return None
        previous = word
    return total + group
