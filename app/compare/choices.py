"""What may stand in a column: an arm that is to be written, or an answer that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.chat.conversation import Exchange
from app.chat.wording import count
from app.compare.wording import title_of
from core.batch.recipes import ABLATIONS, ARMS
from core.run import RunSettings
from core.thinking.events import Finish
from core.thinking.trace import Trace

USUAL = ("small", "baton", "large")
PLACE_OF = {"never": 0, "always": 2}
"""Where an answer stands among the usual three; one by both models stands in the middle."""


class Choice(NamedTuple):
    name: str
    """Short, and the same next time."""
    title: str
    settings: RunSettings
    exchange: Exchange | None = None
    """The answer that is there; None: it is to be written."""


def arms(settings: RunSettings) -> list[Choice]:
    """Every arm that the recipes make of the chosen settings, but those that need a whole batch or other models."""
    choices: list[Choice] = []
    for recipe in (ARMS | ABLATIONS).values():
        made = recipe.make(settings)
        for arm in made:
            title = recipe.title if len(made) == 1 else arm.name
            needs_more = arm.equal_share_of or arm.drafted or arm.large
            if not needs_more and arm.name not in {choice.name for choice in choices}:
                choices.append(Choice(arm.name, title[0].upper() + title[1:], arm.settings))
    return choices


def recorded(tries: Sequence[Exchange]) -> list[Choice]:
    """Answers to one problem, in the order in which they were written."""
    return [
        Choice(
            f"try {number}",
            f"Try {number}: {title_of(each.settings)}, seed {each.settings.seed}, {count(each.trace.tokens, 'token')}",
            each.settings,
            each,
        )
        for number, each in enumerate(tries, 1)
        if each.trace.tokens
    ]


def proposed(
    names: Sequence[str], written: Sequence[Choice], to_write: Sequence[Choice], answer: Exchange | None, pace: float
) -> list[Choice]:
    """Two or three columns: the arms of these names, but whole answers that are there instead of writing them again.

    `answer`: the one that a person looks at; it is one of the columns. Answers that were held back by the demo's
    `pace` are not proposed: beside others their times would be wrong.
    """
    fit = [choice for choice in written if choice.exchange and _is_fit(choice.exchange.trace, pace)]
    by_name = {choice.name: choice for choice in to_write}
    columns = [by_name[name] for name in names if name in by_name]
    columns = [next((known for known in fit if known.settings == each.settings), each) for each in columns]
    in_front = next((choice for choice in fit if choice.exchange is answer), None)
    if in_front and in_front not in columns and columns:
        columns[min(PLACE_OF.get(in_front.settings.policy, 1), len(columns) - 1)] = in_front
    return columns


def held_back(trace: Trace, pace: float) -> bool:
    """Whether the demo's pace (tokens a second, 0 for none) may have made this answer slower than it is."""
    return bool(pace) and trace.seconds > 0 and trace.tokens / trace.seconds <= pace


def _is_fit(trace: Trace, pace: float) -> bool:
    return trace.finish is Finish.END_OF_TEXT and not held_back(trace, pace)
