"""What a person sets for one model: sampling, thinking tags and cues that override the run's and the file's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn: paper §4 defaults. Temperature 0 is greedy, top_k 0 is no limit."""

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 50


@dataclass(frozen=True, slots=True)
class ThinkingTags:
    """The texts that open and close the thinking of a model: `<think>` and `</think>` for most."""

    opening: str
    closing: str


KNOWN_TAGS = (
    ThinkingTags("<think>", "</think>"),  # DeepSeek, Qwen, Phi, Nemotron and most others
    ThinkingTags("[THINK]", "[/THINK]"),  # Magistral
    ThinkingTags("<seed:think>", "</seed:think>"),  # Seed-OSS
    ThinkingTags("<|START_THINKING|>", "<|END_THINKING|>"),  # Command R7B and A
    ThinkingTags("<|channel>thought\n", "<channel|>"),  # Gemma 4
    ThinkingTags("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),  # gpt-oss
)


def tags_in(template: str) -> ThinkingTags | None:
    """Find the thinking tags that occur in a chat template, or in a prompt rendered with it."""
    return next((tags for tags in KNOWN_TAGS if tags.opening in template or tags.closing in template), None)


class TagSource(Enum):
    """Where the thinking tags of a model come from."""

    TEMPLATE = "its template's"
    OTHER = "others"
    NONE = "none"


_AS_THE_RUN: JsonDict = {"none": "Default"}
"""For a form: the name of a value that is not set."""


class ModelOverrides(BaseModel):
    """What a person set for one model. None and “” keep the run's settings and the tags of the chat template."""

    model_config = ConfigDict(frozen=True)

    temperature: float | None = Field(
        None, ge=0, le=5, title="Temperature", description="0 takes the likeliest token.", json_schema_extra=_AS_THE_RUN
    )
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        title="Top-p",
        description="Sample from this share of the probability.",
        json_schema_extra=_AS_THE_RUN,
    )
    top_k: int | None = Field(
        None,
        ge=0,
        le=1000,
        title="Top-k",
        description="Sample from the top k tokens (0 = off).",
        json_schema_extra=_AS_THE_RUN,
    )
    tags: TagSource = Field(
        TagSource.TEMPLATE, title="Thinking tags", description="What opens and closes its thinking."
    )
    opening: str = Field("", title="Opening tag")
    closing: str = Field("", title="Closing tag")
    cue_list: str = Field("", title="Cues", description="Of its family, as JSON; used while it is the small model.")

    def sampling(self, run: Sampling) -> Sampling:
        """Apply this model's own values to the sampling of a run."""
        return Sampling(
            run.temperature if self.temperature is None else self.temperature,
            run.top_p if self.top_p is None else self.top_p,
            run.top_k if self.top_k is None else self.top_k,
        )

    def thinking_tags(self, of_template: ThinkingTags | None) -> ThinkingTags | None:
        """Return the tags to use for a chat template with these tags. An incomplete pair of own tags does not count."""
        if self.tags is TagSource.NONE:
            return None
        if self.tags is TagSource.OTHER and self.opening and self.closing:
            return ThinkingTags(self.opening, self.closing)
        return of_template


NO_OVERRIDES = ModelOverrides()
