"""What a person set for one model: its sampling, its thinking tags, its cues."""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.thinking_tags import ThinkingTags


class Effort(Enum):
    """How much a model is to think, in the words of gpt-oss's chat template."""

    DEFAULT = "default"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class TagSource(Enum):
    """Where the thinking tags of a model come from."""

    TEMPLATE = "its template's"
    OTHER = "others"
    NONE = "none"


def _unset(title: str, description: str, **bounds: Any) -> Any:
    """Make the field of a value that the run decides while it is not set; a form names that “Default”."""
    return Field(None, title=title, description=description, json_schema_extra={"none": "Default"}, **bounds)


class ModelOverrides(BaseModel):
    """What a person set for one model. None and “” keep the run's settings and the tags of the chat template."""

    model_config = ConfigDict(frozen=True)

    temperature: float | None = _unset("Temperature", "0 takes the likeliest token.", ge=0, le=5)
    top_p: float | None = _unset("Top-p", "Sample from this share of the probability.", gt=0, le=1)
    top_k: int | None = _unset("Top-k", "Sample from the top k tokens (0 = off).", ge=0, le=1000)
    tags: TagSource = Field(
        TagSource.TEMPLATE, title="Thinking tags", description="What opens and closes its thinking."
    )
    effort: Effort = Field(
        Effort.DEFAULT, title="Reasoning effort", description="Of models whose chat template has one, as gpt-oss."
    )
    opening: str = Field("", title="Opening tag", description="Exactly as it writes it; \\n is a newline.")
    closing: str = Field("", title="Closing tag")
    cue_list: str = Field("", title="Cues", description="Of its family, as JSON; used while it is the small model.")

    def sampling(self, run: Sampling) -> Sampling:
        """Apply this model's own values to the sampling of a run."""
        return Sampling(
            run.temperature if self.temperature is None else self.temperature,
            run.top_p if self.top_p is None else self.top_p,
            run.top_k if self.top_k is None else self.top_k,
        )

    @property
    def reasoning_effort(self) -> str:
        """The value of the template's variable of this name; empty: the template's own."""
        return "" if self.effort is Effort.DEFAULT else self.effort.value

    def thinking_tags(self, of_template: ThinkingTags | None) -> ThinkingTags | None:
        """Return the tags to use for a chat template with these tags. An incomplete pair of own tags does not count."""
        if self.tags is TagSource.NONE:
            return None
        if self.tags is TagSource.OTHER and self.opening and self.closing:
            return ThinkingTags(self.opening.replace("\\n", "\n"), self.closing.replace("\\n", "\n"))
        return of_template


NO_OVERRIDES = ModelOverrides()
