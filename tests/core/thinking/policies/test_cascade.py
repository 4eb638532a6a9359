"""The small model answers alone, and the large one solves the problem afresh if that came to nothing sure."""

from __future__ import annotations

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.limits import Limits
from baton_reasoning.core.thinking.policies.cascade import Cascade
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.scripted import ScriptedEngine

LARGE = "Two and two.</think>Four."


def solved(*texts: str, limits: Limits = Limits(), sure_of: str = "", **card: object) -> Trace:  # noqa: B008 - immutable
    """The small model writes the texts, and is sure of each token after one that ends with `sure_of`."""
    given = RunSettings(policy=Cascade.Settings(), limits=limits)
    chances = {True: (1.0,), False: (0.5, 0.5)}
    small = ScriptedEngine(*texts, chances=lambda body: chances[sure_of in body]).with_card(**card)
    return Trace.of(run(Pair(small, ScriptedEngine(LARGE, name="large")), ask("2 + 2?", given), given))


def test_the_small_model_answers_alone_even_if_it_repeats_itself() -> None:
    assert solved("Two.\n\nTwo.\n\nTwo.</think>4").text == "Two.\n\nTwo.\n\nTwo.</think>4"


def test_a_problem_for_which_the_small_models_context_is_too_short_is_solved_afresh() -> None:
    trace = solved("One, two, three, four.</think>4", context=25)
    assert trace.totals[Author.SMALL].discarded
    assert trace.text == LARGE


def test_the_thinking_before_a_limit_counts_for_the_confidence() -> None:
    unsure = solved("One, two, three, four", "Four.", limits=Limits(max_thinking_tokens=6), sure_of="</think>")
    assert unsure.text == LARGE
    sure = solved("One, two, three, four", "Four.", limits=Limits(max_thinking_tokens=6))
    assert sure.text.endswith("</think>\n\nFour.")
