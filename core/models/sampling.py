"""How the next token of a model is drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn: paper §4 defaults. Temperature 0 is greedy, top_k 0 is no limit."""

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 50
