"""Random numbers by position: the number that draws a token is a function of the seed, the writer and the position.

How often something was drawn before does not matter. So a text that is begun again after a crash, or that another model
drafts, is the text that it would have been otherwise.
"""

from __future__ import annotations

from hashlib import blake2b

_GOLDEN = 0x9E3779B97F4A7C15
_64_BITS = (1 << 64) - 1


def stream_of(seed: int, writer: str, discards: int) -> int:
    """The stream of numbers (64 bits) for one writer. `discards`: how often text was discarded before, so that a
    lookahead that is sampled again does not come back word for word."""
    return int.from_bytes(blake2b(f"{seed} {writer} {discards}".encode(), digest_size=8).digest())


def number_at(stream: int, position: int) -> int:
    """The number (31 bits, which no sampler takes for “at random”) of the token after `position` tokens of the text.

    The function is SplitMix64 (Steele, Lea and Flood 2014), whose state after n steps is known without the steps.
    """
    mixed = (stream + (position + 1) * _GOLDEN) & _64_BITS
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _64_BITS
    return (mixed ^ (mixed >> 31)) >> 33
