"""The policies by name. A new one is a file here, a settings class and a line in `POLICIES`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pydantic import ConfigDict, Field

from core.errors import SettingsError
from core.thinking.cues import Lexicon, english
from core.thinking.policies.always import Always
from core.thinking.policies.every_step import EveryStep
from core.thinking.policies.first_token_entropy import FirstTokenEntropy
from core.thinking.policies.keywords import Keywords
from core.thinking.policies.never import Never
from core.thinking.policies.random_takeover import RandomTakeover
from core.thinking.policies.step_score import StepScore
from core.thinking.policy import Policy
from core.thinking.presets import KeywordSettings


class PolicySettings(KeywordSettings):
    """Parameters of every policy: the keyword policy's, whose n1 and takeover end others share, and theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    one_cue: bool = Field(False, title="One cue a class", description="Only wait, yeah and verify count (ablation).")
    p: float = Field(0.2, ge=0, le=1, title="Chance", description="Of a takeover at a boundary (random).")
    tau: float = Field(0.95, ge=0, title="τ", description="First-token entropy for a takeover, in nats.")
    step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a step by the large model.")
    threshold: float = Field(7, ge=0, le=9, title="Least score", description="A step below is written again.")
    weighted: bool = Field(False, title="Weighted score", description="Mean over digits, not the likeliest.")


class PolicyKind(NamedTuple):
    """A registered policy: what it is called, what it needs, and how it is made for a run."""

    title: str
    make: Callable[[PolicySettings, Lexicon, int], Policy]
    needs_small: bool = True
    needs_large: bool = True
    needs_alternatives: bool = False
    needs_judge: bool = False


POLICIES: dict[str, PolicyKind] = {
    "keywords": PolicyKind("Keywords", lambda s, lexicon, _: Keywords(s, lexicon)),
    "first-token-entropy": PolicyKind(
        "First-token entropy", lambda s, *_: FirstTokenEntropy(s.tau, s.step_cap), needs_alternatives=True
    ),
    "step-score": PolicyKind(
        "Step score", lambda s, *_: StepScore(s.threshold, s.step_cap, s.weighted), needs_judge=True
    ),
    "every-step": PolicyKind("Every step", lambda s, *_: EveryStep(s.opening or 100, s.n1, s.until)),
    "random": PolicyKind("Random takeover", lambda s, _, seed: RandomTakeover(s.p, s.n1, s.until, seed)),
    "never": PolicyKind("Small only", lambda *_: Never(), needs_large=False),
    "always": PolicyKind("Large only", lambda *_: Always(), needs_small=False),
}


def make_policy(name: str, settings: PolicySettings, seed: int, lexicon: Lexicon | None = None) -> Policy:
    """A policy for one run. Raises SettingsError for a name that is not registered."""
    if name not in POLICIES:
        raise SettingsError(f"There is no policy called {name!r}.", f"Choose one of {', '.join(POLICIES)}.")
    return POLICIES[name].make(settings, lexicon or english(settings.match, settings.one_cue), seed)
