"""How the models write in a soak: the demo pair's lengths, the likeliest tokens, so that texts can be compared."""

from __future__ import annotations

from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.policies.keywords import Keywords

_LENGTHS = {"n1": 18, "n2": 22, "n3": 16, "n3_step": 0}
RUN = RunSettings(
    policy=Keywords.Settings(**_LENGTHS), max_tokens=500, temperature=0, small_alone=False, alternatives=0
)
CONTEXT = ["--context", "1024"]
PACE = 150
"""Tokens a second in the window, so that a fault meets an answer while it is written."""
BATCH_OPTIONS = [
    *("--policy", "keywords", "--max-tokens", "500", "--set", "temperature=0", "--set", "small_alone=false"),
    *(word for name, value in _LENGTHS.items() for word in ("--set", f"{name}={value}")),
]
