r"""Finding the answer in what a model wrote, and in a data set's worked solution.

Models are asked for `\boxed{…}`; those that forget usually say "the final answer is …".
"""

import re

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""The labels of the options of a multiple-choice problem, in order."""
THINKING_END = "</think>"
_LONGEST_BARE_ANSWER = 60
"""A solution of one short line is an answer; a longer text without a mark is not."""

_BOXED = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\(?:boxed|fbox)\s*(?P<bare>[^\s{\\])|\\.|[{}]", re.DOTALL)
_HASHES = re.compile(r"^####[ \t]*(?P<answer>.+)$", re.MULTILINE)
# What stands before an answer; the answer is the rest of the line.
_PHRASE = re.compile(
    r"(?:final\s+answer|correct\s+answer|\bthe\s+answer|\banswer)\W{0,6}?(?:\bis\b|=|:)[\s*:]*(?=\S)"
    r"|^[^\w\n]*final\s+answer[^\w\n]*\n\s*(?=\S)",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|$")
_WRAPPING = " \t*_`:,;"
_MATH = re.compile(r"(?P<open>\$\$?|\\\(|\\\[)(?P<inside>.+?)(?:\$\$?|\\\)|\\\])")
_LETTER = re.compile(r"[\s(\[*$]*(?P<letter>[A-Z])(?=$|[\s)\].:,*$])")
_LETTER_IN_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")


def extract_answer(text: str) -> str | None:
    r"""The answer in a model's text: the last `\boxed{…}` after thinking, else "final answer is …", else None."""
    text = text.rsplit(THINKING_END, 1)[-1]
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed
    hashes = _HASHES.findall(text)
    if hashes:
        return _bare(hashes[-1])
    phrases = list(_PHRASE.finditer(text))
    return _bare(text[phrases[-1].end() :].split("\n", 1)[0]) if phrases else None


def last_boxed(text: str) -> str | None:
    r"""What the last complete, non-empty `\boxed{…}` holds, its braces balanced; None without one."""
    last_start, last = -1, None
    # Where the content of each open \boxed{ starts; None for another open brace. One pass, however many open.
    opened: list[int | None] = []
    for mark in _BOXED.finditer(text):
        start, inside = -1, ""
        if mark["box"]:
            opened.append(mark.end())
        elif mark["bare"]:
            start, inside = mark.start(), mark["bare"]
        elif mark.group() == "{":
            opened.append(None)
        elif mark.group() == "}" and opened:
            start = opened.pop() or -1
            inside = text[start : mark.start()] if start > last_start else ""
        if inside.strip() and start > last_start:
            last_start, last = start, inside.strip()
    return last


def extract_choice(text: str, letters: str = LETTERS[:10]) -> str | None:
    """The letter that a model chose, among `letters`: boxed, after "answer is", or alone on the last line."""
    answer = extract_answer(text)
    if answer is None:
        lines = text.rsplit(THINKING_END, 1)[-1].strip().splitlines()
        answer = lines[-1] if lines else ""
    return choice_letter(answer, letters)


def choice_letter(answer: str, letters: str = LETTERS[:10]) -> str | None:
    r"""The letter in an answer such as `B`, `(B)`, `B) 12`, `\text{B}` or `Option B`; None if it is not one."""
    answer = _LETTER_IN_TEXT.sub(r"\1", answer).strip()
    answer = re.sub(r"^(?:option|choice)\s+", "", answer, flags=re.IGNORECASE)
    if len(answer) == 1:
        answer = answer.upper()
    match = _LETTER.match(answer)
    # "A triangle" starts with an article, not with a choice.
    if match is None or (answer[match.end() : match.end() + 1] == " " and not answer[match.end() :].isspace()):
        return None
    return match["letter"] if match["letter"] in letters else None


def expected_answer(value: str, *, worked: bool = False) -> str | None:
    r"""The answer in a data set's field: after GSM8K's `####`, in the last `\boxed{…}`, or the field itself.

    A worked solution without such a mark gives an answer only if it is one short line.
    """
    value = value.strip()
    hashes = _HASHES.findall(value)
    if hashes:
        return str(hashes[-1]).strip() or None
    boxed = last_boxed(value)
    if boxed is not None:
        return boxed
    if worked and (len(value) > _LONGEST_BARE_ANSWER or "\n" in value):
        return None
    return value or None


def _bare(answer: str) -> str | None:
    """The answer without the sentence around it, or None if nothing is left."""
    formula = _MATH.match(answer.strip(_WRAPPING))
    if formula:
        return formula["inside"].strip() or None
    end = _SENTENCE_END.search(answer)
    return answer[: end.start() if end else None].strip(_WRAPPING) or None
