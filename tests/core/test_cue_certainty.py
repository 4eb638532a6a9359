"""What stands before a cue, how sure a model is after it, and the bounds that follow, on tokens that are known."""

from __future__ import annotations

import math

import pytest

from baton_reasoning.core.cue_certainty import LEAST_COUNT, agreements, certainty, quantile
from baton_reasoning.core.engines.base import Alternative
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.cues import Category
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.scripted import ScriptedEngine, words


def token(text: str, p1: float = 0.9, p2: float = 0.1, *, ends_step: bool = False) -> TokenWritten:
    others = (Alternative(1, text, math.log(p1)), Alternative(2, "x", math.log(p2)))
    return TokenWritten(0.0, Author.SMALL, 1, text, math.log(p1), others, ends_step)


def tokens(text: str, sure_after: str = "", p1: float = 0.9) -> list[TokenWritten]:
    """The words of a text; those after a certain word have p1, all others 0.6 and 0.4."""
    found, is_sure = [], False
    for data in words(text):
        piece = data.decode()
        chances = (p1, 1 - p1) if is_sure else (0.6, 0.4)
        found.append(token(piece, *chances, ends_step="\n\n" in piece))
        is_sure = is_sure and not piece.endswith((".", "\n"))
        is_sure |= piece.strip() == sure_after
    return found


TEXT = "So it is. " + "One.\n\nWait so it is. Then we check it.\n\n" * LEAST_COUNT


def test_tokens_before_cues_are_counted_and_how_many_cues_begin_a_step() -> None:
    found = certainty([tokens(TEXT)])
    assert (found.cues, found.after_boundary) == (2 * LEAST_COUNT, LEAST_COUNT)
    assert dict(found.before) == {"\n\n": LEAST_COUNT, " we": LEAST_COUNT}


def test_a_cue_in_the_token_of_a_boundary_follows_that_boundary() -> None:
    found = certainty([[token("One."), token("\n\nWait", ends_step=True), token(" no.")]])
    assert (found.after_boundary, found.before) == (1, (("\n\n", 1),))


def test_the_margin_after_a_cue_is_measured_to_the_end_of_its_sentence() -> None:
    found = certainty([tokens(TEXT, sure_after="Wait", p1=0.95)])
    margins = {each.words: each for each in found.margins}
    assert margins["wait"].margin == pytest.approx(0.9)
    assert margins["wait"].times == LEAST_COUNT
    assert margins["check"].margin == pytest.approx(0.2)


def test_relay_gets_the_words_after_which_the_model_is_surer_than_on_average() -> None:
    found = certainty([tokens(TEXT, sure_after="Wait", p1=0.95)])
    assert found.margin is not None
    assert 0.2 < found.margin < 0.9
    assert "wait" in found.relay.cues[Category.REFLECTION]
    assert "check" not in found.relay.cues[Category.REFLECTION]


def test_rare_words_have_no_margin() -> None:
    assert certainty([tokens("One.\n\nWait, no.")]).margins == ()


def test_the_confidence_of_triggers_is_a_quantile_of_the_steps() -> None:
    steps = [[token(f"Step {n}.\n\n", n / 100, 0.001, ends_step=True)] for n in range(1, 101)]
    found = certainty(steps)
    assert found.confidence is not None
    assert found.confidence == pytest.approx(math.log(0.95))


def test_a_model_without_probabilities_has_counts_and_no_bounds() -> None:
    plain = [TokenWritten(0.0, Author.SMALL, 1, each.text, ends_step=each.ends_step) for each in tokens(TEXT)]
    found = certainty([plain])
    assert found.cues == 2 * LEAST_COUNT
    assert (found.margin, found.confidence, found.margins) == (None, None, ())
    assert not found.relay.cues[Category.REFLECTION]


def test_the_reader_scores_each_step_of_a_text() -> None:
    settings = RunSettings(policy=Never.Settings())
    conversation = ask("What is 2 + 2?", settings)
    trace = Trace.of(run(Pair(ScriptedEngine("One.\n\nTwo.\n\nFour.</think>4")), conversation, settings))
    reader = ScriptedEngine(name="large", scored=lambda _, token: -3.0 if "Two" in token else -1.0)
    found = list(agreements(reader, conversation, trace))
    assert found[0] == -1.0
    assert found[1] == pytest.approx(-5 / 3)
    assert reader.sessions[0].closed


def test_a_quantile_is_one_of_the_values() -> None:
    values = [-5.0, -4.0, -3.0, -2.0, -1.0]
    assert (quantile(values, 0.05), quantile(values, 0.5), quantile(values, 1.0)) == (-5.0, -3.0, -1.0)
    assert quantile([], 0.5) is None
