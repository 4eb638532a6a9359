"""Renders the shown branch of a conversation as one HTML file with the authors' colours and signs, and no script."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from baton_reasoning.core.conversation import Conversation
from baton_reasoning.core.export.html_text import text_html
from baton_reasoning.core.export.markdown import described, left_out, notices_of
from baton_reasoning.core.export.value_curve import captioned_curve
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.trace import Trace, thinking_pieces
from baton_reasoning.core.words.authors import own_names
from baton_reasoning.core.words.step_rows import TracePart
from baton_reasoning.resources import FOLDER, resource_table

if TYPE_CHECKING:
    from jinja2 import Environment

_COLOURS = {"background", "text", "muted", "panel", "border", "small", "large", "inserted", "person", "success"}
_SHOWN = [row for row in resource_table("tables/colours.txt") if row[0] in _COLOURS]


def render(template: str, **values: Any) -> str:
    """Render a template of resources/templates. Values are escaped, and a missing one is an error."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(FOLDER / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def to_html(conversation: Conversation) -> str:
    return render(
        "conversation.html",
        title=" ".join(conversation.name.split()),
        left_out=left_out(conversation),
        path=conversation.path,
        light={name: light for name, light, _ in _SHOWN},
        dark={name: dark for name, _, dark in _SHOWN},
        described=described,
        notices_of=notices_of,
        thinking_html=thinking_html,
        answer_html=answer_html,
        steps=steps,
        captioned_curve=captioned_curve,
    )


def thinking_html(trace: Trace) -> str:
    """Render the thinking; "" of a model without thinking tags."""
    return text_html(trace, TracePart.THINKING, own_names(trace)) if trace.thinks else ""


def answer_html(trace: Trace) -> str:
    """Render the answer; the whole text if the model has no thinking tags."""
    return text_html(trace, TracePart.ANSWER if trace.thinks else TracePart.THINKING, own_names(trace))


def steps(trace: Trace) -> str:
    """Count the steps of the thinking: "3 steps"."""
    return counted(len({piece.step for piece in thinking_pieces(trace)}), "step")
