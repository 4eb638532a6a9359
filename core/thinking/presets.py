"""The parameters of the keyword policy, and the three presets of docs/method.md: paper, reference and baton."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field

from core.thinking.cues import Match
from core.thinking.policy import Until


class Scope(Enum):
    """Where the policy decides."""

    THINKING = "thinking"
    """Until the thinking is closed; its closer then writes to the end."""
    ALL = "all"


class KeywordSettings(BaseModel):
    """What METHOD's table varies. Lengths are tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n1: int = Field(20, ge=1, title="Takeover at a cue", description="Tokens at a reflection or affirmation (n1).")
    n2: int = Field(125, ge=1, title="Verification", description="Tokens more where a sentence verifies (n2).")
    n3: int = Field(125, ge=1, title="Excessive reflection", description="Tokens after the auxiliary prompt (n3).")
    n3_step: int = Field(25, ge=0, title="n3 grows by", description="Tokens added to n3 at each firing.")
    n3_most: int = Field(200, ge=1, title="n3 at most", description="Ceiling of n3.")
    c: int = Field(15, ge=1, title="Reflections allowed", description="Negative sentences before rule 3 fires (c).")
    c_step: int = Field(5, ge=0, title="c grows by", description="Added to c at each firing.")
    c_most: int = Field(30, ge=1, title="c at most", description="Ceiling of c.")
    opening: int = Field(0, ge=0, title="Opening", description="First tokens written by the large model.")
    auxiliary_prompt: str = Field(
        "Let us check whether there are some wrong steps. ",
        title="Auxiliary prompt",
        description="Inserted by rule 3.",
    )
    match: Match = Field(Match.INFLECTED, title="Cue match", description="How a cue is looked for.")
    keep_lookahead: bool = Field(
        True, title="Keep a statement", description="The small model goes on from its lookahead."
    )
    stop_at_first_cue: bool = Field(
        True,
        title="Short lookahead",
        description="Decide at the first cue or the sentence's end, not after n1 tokens.",
    )
    until: Until = Field(Until.SENTENCE, title="Takeover ends", description="Where, once it has its tokens.")
    scope: Scope = Field(Scope.THINKING, title="Scope", description="Thinking only, or the answer as well.")


BATON = KeywordSettings()
PAPER = KeywordSettings(
    c_step=0,
    c_most=15,
    n3_step=0,
    n3_most=125,
    auxiliary_prompt="Let us check whether there are some wrong steps.",
    match=Match.WORD,
    stop_at_first_cue=False,
    until=Until.TOKENS,
    scope=Scope.ALL,
)
REFERENCE = KeywordSettings(
    auxiliary_prompt="Let me check whether there are some wrong steps:",
    match=Match.SUBSTRING,
    keep_lookahead=False,
    stop_at_first_cue=False,
    until=Until.TOKENS,
    scope=Scope.ALL,
)

PRESETS = {"baton": BATON, "paper": PAPER, "reference": REFERENCE}
