"""The parameters of the method that suit the demo pair's short steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoSettings:
    """Names as in the method: lengths in tokens, c in reflective sentences."""

    n1: int = 20
    n2: int = 7
    n3: int = 10
    c: int = 15
    temperature: float = 0.6
    max_tokens: int = 400


DEMO_SETTINGS = DemoSettings()
