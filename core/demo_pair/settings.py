"""How the program should run the demo pair: the paper's method, with lengths that suit its short steps."""

from __future__ import annotations

from core.run import RunSettings
from core.thinking.policies import PolicySettings

DEMO_SETTINGS = RunSettings(
    # A second look is 22 tokens, so n1 = 20 covers it; n2 and n3 each cover one line of 15 tokens.
    parameters=PolicySettings(n1=20, n2=7, n3=10, n3_step=0),
    max_tokens=400,
)

FEW_REFLECTIONS = 3
"""A value of c at which the excessive-reflection rule is seen at work; these short texts never reach 15."""
