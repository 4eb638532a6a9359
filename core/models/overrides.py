"""What a user may set for one model: sampling, thinking tags, cues."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn: paper §4 defaults. Temperature 0 is greedy, top_k 0 is no limit."""

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 50


@dataclass(frozen=True, slots=True)
class ThinkingTags:
    """What opens and closes the thinking of a model, as text: `<think>` and `</think>` for most."""

    opening: str
    closing: str


NO_TAGS = ThinkingTags("", "")
"""Of a model that does not think, whatever its chat template speaks of."""


@dataclass(frozen=True, slots=True)
class ModelOverrides:
    """What a person set for one model, in place of the run's settings and of what its file says. None leaves them."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    thinking: ThinkingTags | None = None
    """Other tags than its chat template speaks of, or NO_TAGS."""
    cue_list: str = ""
    """The cues of its family, as JSON (`resources/cues`), for when it is the small model."""

    def sampling(self, run: Sampling) -> Sampling:
        """The run's sampling, with this model's own values in their places."""
        return Sampling(
            run.temperature if self.temperature is None else self.temperature,
            run.top_p if self.top_p is None else self.top_p,
            run.top_k if self.top_k is None else self.top_k,
        )

    def tags(self, guessed: ThinkingTags | None) -> ThinkingTags | None:
        """The tags that hold, where `guessed` are those of the chat template."""
        if self.thinking is None:
            return guessed
        return self.thinking if self.thinking != NO_TAGS else None
