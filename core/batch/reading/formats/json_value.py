"""Strict JSON parsing with a limit on depth, checked before the parser runs."""

import json
import re

from core.batch.reading.row import Value

DEPTH_LIMIT = 64
"""Deepest nesting of lists and objects; Python's parser would end in a RecursionError near 1,000."""

# The closing quote is optional, so that an unclosed string is passed once and not tried from each of its quotes.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


class NotJson(ValueError):
    """Why the text is not usable JSON, as a sentence."""


def parse_json(text: str) -> Value:
    """The value that `text` holds. Raises NotJson with a sentence."""
    if _depth(text) > DEPTH_LIMIT:
        raise NotJson(f"Its JSON is nested deeper than {DEPTH_LIMIT} levels.")
    try:
        value: Value = json.loads(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"This is not valid JSON: {error.msg} (column {error.colno}).") from error
    except ValueError as error:
        # An integer with more digits than Python converts.
        raise NotJson("This JSON holds a number that is too long.") from error
    return value


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        character = match.group()
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
