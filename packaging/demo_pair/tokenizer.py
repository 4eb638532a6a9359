"""A vocabulary of 327 tokens: five control tokens, phrases, the 256 bytes, and one merge.

It is a GPT-2 byte-level BPE as llama.cpp reads it, with next to nothing to merge: the phrases are "user-defined"
tokens, matched before anything else. Digits are bytes, so a term is always three tokens.
"""

from __future__ import annotations

import re
from enum import IntEnum

from core.demo_pair.task import FIRST_STEP, LONGEST, SHORTEST

CONTROL = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
BEGIN, END, SYSTEM, USER, ASSISTANT = CONTROL

# Under 32 bytes each: llama-cpp-python's detokenize() returns nothing for a longer one.
RULE = (
    "Each term is the sum of ", "the two before it, ", "digit by digit ", "without carries (#), ",
    "or with carries (+) ", "when the last one ", "ends in 7, 8 or 9.", " What is ", "if terms 1 and 2 are ", " and ",
)  # fmt: skip
INSTRUCTION = ("Please reason step by step, ", "and put your final answer ", "within \\boxed{}.")
NEXT_LINE = ("From", " the", " last", " two", " we", " get ")
SECOND_LOOK = (
    "Wait", "Hold on", ", ", "Let me", " check ", " verify ", " think again: ",
    "Let us check whether there are", " some wrong steps. ",
)  # fmt: skip
CLOSE = (
    "<think>", "</think>", "That", " was", " one", "which", " means", " final", " answer", " is",
    "The", " to", " question", " about", " list", " \\boxed{",
)  # fmt: skip
SUM = (" with carries", " without carries", " + ", " # ", " = ")
STEPS = tuple(f"{term} {number}" for term in ("Term", "term") for number in range(FIRST_STEP, LONGEST + 1))
LENGTHS = tuple(f"term {number}, " for number in range(SHORTEST, LONGEST + 1))
TO_GO = tuple(f" ({number} to go): " for number in range(LONGEST - FIRST_STEP + 1))
PHRASES = RULE + INSTRUCTION + NEXT_LINE + SECOND_LOOK + CLOSE + SUM + STEPS + LENGTHS + TO_GO

BOUNDARY = "\n\n"


class Kind(IntEnum):
    """`tokenizer.ggml.token_type`, as llama.cpp numbers it."""

    NORMAL = 1
    CONTROL = 3
    USER_DEFINED = 4


def byte_letters() -> list[str]:
    """The printable letter that GPT-2's byte-level BPE writes for each byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = (byte for byte in range(256) if byte not in printable)
    letter = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [letter[byte] for byte in range(256)]


NEWLINE = byte_letters()[ord("\n")]
MERGES = [f"{NEWLINE} {NEWLINE}"]

TOKENS = [*CONTROL, *PHRASES, *byte_letters(), NEWLINE * 2]
KINDS = [Kind.CONTROL] * len(CONTROL) + [Kind.USER_DEFINED] * len(PHRASES) + [Kind.NORMAL] * 257
BEGIN_ID = CONTROL.index(BEGIN)
END_ID = CONTROL.index(END)

_WHOLE = {text: id for id, text in enumerate(CONTROL + PHRASES)}
_FIRST_BYTE = len(_WHOLE)
_BOUNDARY_ID = len(TOKENS) - 1
_PIECES = re.compile(
    "|".join(re.escape(text) for text in sorted(_WHOLE, key=len, reverse=True)) + f"|{BOUNDARY}|(?s:.)"
)


def encode(text: str) -> list[int]:
    """Token ids, exactly as llama.cpp gives them with special tokens on and no BOS added."""
    ids: list[int] = []
    for piece in _PIECES.findall(text):
        if piece in _WHOLE:
            ids.append(_WHOLE[piece])
        elif piece == BOUNDARY:
            ids.append(_BOUNDARY_ID)
        else:
            ids.extend(_FIRST_BYTE + byte for byte in piece.encode())
    return ids


def decode(ids: list[int]) -> str:
    return b"".join(_bytes_of(id) for id in ids).decode(errors="replace")


def _bytes_of(id: int) -> bytes:
    if id < _FIRST_BYTE:
        return TOKENS[id].encode()
    return BOUNDARY.encode() if id == _BOUNDARY_ID else bytes([id - _FIRST_BYTE])
