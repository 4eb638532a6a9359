"""The demo pair: two tiny models that come with the program, and the problems that they were made for.

Its settings are the paper's method, with lengths that suit its short steps.
"""

from __future__ import annotations

from collections.abc import Collection

from baton_reasoning.core.demo_pair.task import STEPS, DemoProblem, held_out_problems
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.source import DEMO_FOLDER, DemoModel
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.automatic import is_automatic
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.registry import with_advice

__all__ = ["DemoProblem", "held_out_problems"]

DEMO_SETTINGS = RunSettings(
    # n1 is the 16 tokens of a second look or of the last sentence, n2 a line, n3 one after the auxiliary prompt.
    policy=Keywords.Settings(n1=16, n2=22, n3=14, n3_step=0),
    max_tokens=500,
)

PROMPT = {"system": "", "instruction": RunSettings().instruction}
"""The only prompt that the models know. With a system prompt or another instruction they solve 0 of 12 problems."""


def demo_settings(chosen: RunSettings) -> RunSettings:
    """Return the settings for the demo pair: its own prompt, and its lengths where a person chose none. They replace
    what was left at a preset or a default, and the automatic policy."""
    own, is_usual = DEMO_SETTINGS, chosen.max_tokens == RunSettings().max_tokens
    policy = own.policy if is_automatic(chosen) else with_advice(chosen.policy, own.policy)
    lengths = {"policy": policy, "max_tokens": own.max_tokens if is_usual else chosen.max_tokens}
    return chosen.model_copy(update=PROMPT | lengths)


MEASURED_COST = 13
"""Cost of the large model over that of the small one, in the experiment of `MEASURED_RATIO`."""
MEASURED_RATIO = 0.35
"""Seconds of an answer by the pair (arm `baton`) over those of the large model alone, one answer at a time, on a demo
pair made to cost as a real one: `baton evidence --cost 13 --all --limit 100`, docs/evidence.md."""

SMALL_MODEL = DemoModel.SMALL.path
LARGE_MODEL = DemoModel.LARGE.path
READY_PROBLEMS = DEMO_FOLDER / "problems.jsonl"
"""Twenty problems to try."""
BATCH_PROBLEMS = DEMO_FOLDER / "batch.jsonl"
"""Three hundred held-out problems for batches, none of them among the twenty."""

WHAT_IT_SOLVES = f"The demo pair solves number puzzles of {STEPS} steps, worded as its examples are, and nothing else."


class BeyondDemo(SettingsError):
    """The demo pair was asked something that it was not trained for: it would write gibberish."""

    def __init__(self, advice: str = "") -> None:
        super().__init__(WHAT_IT_SOLVES, advice)


def check_problem(text: str, advice: str = "") -> None:
    """Raise BeyondDemo, with this advice, unless the demo pair solves the problem."""
    if DemoProblem.of(text) is None:
        raise BeyondDemo(advice)


def only_demo_models(cards: Collection[ModelCard]) -> bool:
    """Tell whether all of these are models of the demo pair, so that only its problems can be asked."""
    return bool(cards) and all(card.chosen_file in (SMALL_MODEL, LARGE_MODEL) for card in cards)
