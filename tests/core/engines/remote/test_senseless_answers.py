"""Whatever JSON a server sends: it is understood, or an error of the tree; nothing else happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engines.base import Alternative
from core.engines.llama_server import LlamaServerAnswer, server_properties
from core.engines.model_card import ModelCard
from core.engines.openai_completions import CompletionsAnswer, choose_model
from core.engines.remote.fields import Fields, parsed
from core.engines.remote.protocol import AnswerParser, choice_probabilities
from core.errors import EngineError

CARD = ModelCard("any", "", 100)
NAMES = (
    "error message code type content tokens stop stop_type tokens_predicted tokens_evaluated truncated prompt_progress "
    "cache processed total completion_probabilities top_logprobs top_probs id token logprob prob piece choices text "
    "token_ids finish_reason usage prompt_tokens total_tokens completion_tokens prompt_tokens_details cached_tokens "
    "logprobs token_logprobs data owned_by meta n_params ftype default_generation_settings n_ctx total_slots"
).split()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["eos", "stop", "length"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=10)


def always(answer: object) -> Callable[[str, Mapping[str, Any] | None], Fields]:
    return lambda path, payload: Fields(answer)  # noqa: ARG005  every question has this answer


@given(st.lists(OBJECTS, max_size=4), OBJECTS)
def test_any_events_are_understood_or_refused(events: list[dict[str, Any]], other: dict[str, Any]) -> None:
    readers: list[AnswerParser] = [LlamaServerAnswer(CARD, always(other)), CompletionsAnswer(CARD, True)]
    for reader in readers:
        try:
            for event in events:
                list(reader.parse(Fields(event)))
            reader.finish()
        except EngineError:
            continue


@given(OBJECTS)
def test_any_description_of_a_server_is_understood_or_refused(answer: dict[str, Any]) -> None:
    choose_model(always(answer), "")
    try:
        server_properties(always(answer))
    except EngineError:
        return


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", "[" * 100_000, ""])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not JSON|nested|Expecting"):
        parsed(text)


@given(st.lists(st.tuples(st.text(), st.floats(allow_nan=False)), max_size=5))
def test_a_judgement_of_any_alternatives_sums_to_one(listed: list[tuple[str, float]]) -> None:
    alternatives = [Alternative(None, text, logprob) for text, logprob in listed]
    chances = choice_probabilities(alternatives, ("yes", "no"))
    assert sum(chances) == pytest.approx(1)
