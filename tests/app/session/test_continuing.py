"""Other models go on with an answer only after a question, wherever they come from."""

from dataclasses import replace
from pathlib import Path

import pytest

from baton_reasoning.app.session.continuing import changed_models
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.source import LocalFile, ServerUrls
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.policies.alone import Always, Never
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.mixed import GEMMA, QWEN, SMOL, begun, by, by_one_pair, by_two_pairs

SMALL, LARGE = Author.SMALL, Author.LARGE
BOTH = "● SmolLM2-135M Q8_0 and ◆ Qwen2.5-0.5B Q8_0 wrote this answer. "
CHOSEN = {SMALL: LocalFile(Path("models", "gemma.gguf")), LARGE: LocalFile(Path("Qwen2.5-0.5B.gguf"))}


@pytest.mark.parametrize(
    ("policy", "models", "question"),
    [
        (None, {SMALL: SMOL, LARGE: QWEN}, ""),
        (None, {SMALL: replace(SMOL, context=99), LARGE: QWEN}, ""),
        (None, {SMALL: SMOL.source, LARGE: QWEN.source}, ""),
        (
            None,
            {SMALL: GEMMA, LARGE: QWEN},
            "● gemma-3-270m Q8_0 and ◆ Qwen2.5-0.5B Q8_0 would go on with it under the policy “Keywords”.",
        ),
        (None, CHOSEN, "● gemma.gguf and ◆ Qwen2.5-0.5B.gguf would go on with it under the policy “Keywords”."),
        (None, {SMALL: SMOL, LARGE: ServerUrls(("http://a:1",))}, "● SmolLM2-135M Q8_0 and ◆ http://a:1 would go on"),
        (Always, {SMALL: GEMMA, LARGE: QWEN}, ""),
        (Never, {SMALL: GEMMA, LARGE: SMOL}, "● gemma-3-270m Q8_0 would go on with it under the policy “Small only”."),
        (None, {LARGE: QWEN}, ""),
    ],
)
def test_a_person_is_asked_where_a_needed_model_is_not_the_one_that_wrote(policy, models, question):
    settings = RunSettings(policy=policy.Settings()) if policy else RunSettings()
    asked = changed_models(Trace.of(by_one_pair()), settings, models)
    assert bool(asked) is bool(question)
    assert asked is None or asked.question.startswith(BOTH + question)


def test_whoever_wrote_last_goes_on_unasked_and_what_is_not_known_is_no_question():
    trace, settings = Trace.of(by_two_pairs()), RunSettings()
    assert changed_models(trace, settings, {SMALL: GEMMA, LARGE: QWEN}) is None
    again = changed_models(trace, settings, {SMALL: SMOL, LARGE: QWEN})
    assert again
    assert again.question.startswith(
        "● SmolLM2-135M Q8_0, ◆ Qwen2.5-0.5B Q8_0 and ● gemma-3-270m Q8_0 wrote this answer."
    )
    assert again.sources == (SMOL.source, QWEN.source), "what is agreed to"
    small_alone = Trace.of([begun(), *by(SMALL, "Two")])
    assert changed_models(small_alone, settings, {SMALL: SMOL, LARGE: GEMMA}) is None, "no large one has written"
    unknown = Trace.of([begun(replace(SMOL, source=None)), *by(SMALL, "Two")])
    assert changed_models(unknown, settings, CHOSEN) is None
    assert changed_models(Trace.of(by(SMALL, "Two")), settings, CHOSEN) is None
