"""The settings of a run: everything that decides how a problem is solved, except the models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.files import tolerant_value
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.thinking.cues import Lexicon, parse_lexicon
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.registry import DEFAULT_POLICY, POLICIES, AnyPolicySettings
from baton_reasoning.core.thinking.steps import Boundary

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
"""The paper's prompt, put after the problem (§4)."""


class RunSettings(BaseModel):
    """Everything that decides how a problem is solved, except the models. The defaults are the paper's (§4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: AnyPolicySettings = Field(
        default_factory=lambda: POLICIES[DEFAULT_POLICY].Settings(),
        title="Policy",
        description="When the large model takes over.",
    )
    seed: int = Field(0, ge=0, title="Seed", description="The same seed repeats an answer on the same local models.")
    exact: bool = Field(
        False,
        title="Repeat follow-ups exactly",
        description="Read earlier answers again, so that a seed repeats a follow-up answer, too (slower).",
    )
    temperature: float = Field(0.6, ge=0, le=5, title="Temperature", description="0 always takes the likeliest token.")
    top_p: float = Field(0.95, gt=0, le=1, title="Top-p", description="Sample from this share of the probability.")
    top_k: int = Field(50, ge=0, title="Top-k", description="Sample from the top k tokens (0 = off).")
    max_tokens: int = Field(32_768, ge=1, title="Longest answer", description="New tokens, the prompt not counted.")
    system: str = Field("", title="System prompt", description="Instructions before the conversation, for both models.")
    thinking: bool = Field(
        True,
        title="Thinking",
        description="Off: models whose chat template has a switch for it (Qwen3, SmolLM3, GLM) answer at once.",
    )
    instruction: str = Field(INSTRUCTION, title="Instruction", description="Put after every problem.")
    alternatives: int = Field(0, ge=0, le=20, title="Alternatives", description="Likeliest tokens to record.")
    small_alone: bool = Field(
        True, title="Continue alone", description="The small model finishes if the large one is lost."
    )
    limits: Limits = Field(default_factory=Limits, title="Limits")
    boundary: Boundary = Field(Boundary.BLANK_LINE, title="Step boundary", description="What ends a step.")
    cue_list: str = Field("", title="Cue list", description="Cues of another model family or language, as JSON.")

    @classmethod
    def stored(cls, data: dict[str, Any]) -> RunSettings:
        """Read the settings of a stored run. One that this version does not know or allow has its default."""
        return tolerant_value(cls, data)

    @property
    def lexicon(self) -> Lexicon | None:
        """Parse the run's own cue list; None means the paper's. Raises SettingsError if it cannot be read."""
        return parse_lexicon(self.cue_list) if self.cue_list else None

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, self.top_k)
