"""The small model answers alone, and the large one solves the problem afresh if that came to nothing sure."""

from __future__ import annotations

from core.engines.body import Author
from core.run import Pair, RunSettings, ask, run
from core.thinking.policies.cascade import Cascade
from core.thinking.trace import Trace
from tests.fakes.scripted import ScriptedEngine

LARGE = "Two and two.</think>Four."


def solved(text: str, **card: object) -> Trace:
    """The small model writes the text, and is sure of each token."""
    given = RunSettings(policy=Cascade.Settings())
    small = ScriptedEngine(text, chances=lambda _: (1.0,)).with_card(**card)
    return Trace.of(run(Pair(small, ScriptedEngine(LARGE, name="large")), ask("2 + 2?", given), given))


def test_the_small_model_answers_alone_even_if_it_repeats_itself() -> None:
    assert solved("Two.\n\nTwo.\n\nTwo.</think>4").text == "Two.\n\nTwo.\n\nTwo.</think>4"


def test_a_problem_for_which_the_small_models_context_is_too_short_is_solved_afresh() -> None:
    trace = solved("One, two, three, four.</think>4", context=25)
    assert trace.totals[Author.SMALL].discarded
    assert trace.text == LARGE
