"""A vocabulary of 325 tokens: five control tokens, phrases, the 256 bytes, and one merge.

It is a GPT-2 byte-level BPE as llama.cpp reads it, with next to nothing to merge: the phrases are "user-defined"
tokens, matched before anything else. Digits are bytes, so a number is always five tokens.
"""

from __future__ import annotations

import re
from enum import IntEnum

from baton_reasoning.core.demo_pair.task import STEPS

CONTROL = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
BEGIN, END, SYSTEM, USER, ASSISTANT = CONTROL

# Under 32 bytes each: llama-cpp-python's detokenize() returns nothing for a longer one.
RULE = (
    "If a number is even, ", "halve it; ", "if it is odd, ", "multiply it by 7, ", "add 1, and keep ",
    "the last five digits.", " Starting from ", ", what is", " the number after", f" {STEPS} steps?",
)  # fmt: skip
INSTRUCTION = ("Please reason step by step, ", "and put your final answer ", "within \\boxed{}.")
NEXT_LINE = ("With", " this", " number", " we", " can", " go", " on", " to ")
SECOND_LOOK = (
    "Wait", "Hold on", ", ", "Let me", " check ", " verify ", " think again: ",
    "Let us check whether there are", " some wrong steps. ",
)  # fmt: skip
CLOSE = (
    "<think>", "</think>", "That", " was", " the last", " step", ", so the", " final", " answer",
    "The", " after", " all", " steps", " is", " \\boxed{",
)  # fmt: skip
HOW = (" is odd, times 7 plus 1 is ", " is even, half of it is ")
NUMBERED = tuple(f"{step} {count}: " for step in ("Step", "step") for count in range(1, STEPS + 1))
PHRASES = RULE + INSTRUCTION + NEXT_LINE + SECOND_LOOK + CLOSE + HOW + NUMBERED

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
