"""Whatever JSON a server sends: it is understood, or an error of the tree; nothing else happens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Alternative, Message, ModelCard, Token
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.remote.answers import Fields, from_report, parsed
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerAnswer, LlamaServerProtocol, server_properties
from baton_reasoning.core.engines.remote.openai import CompletionsAnswer, CompletionsProtocol
from baton_reasoning.core.engines.remote.protocol import (
    AnswerEvent,
    AnswerParser,
    CompletionRequest,
    PromptProgress,
    ServerProtocol,
    StreamEnd,
    find_model,
    judgement_of,
    served_models,
)
from baton_reasoning.core.errors import EngineError, EngineRefused
from baton_reasoning.core.models.options import Sampling
from tests.fakes.faulty_server import about

CARD = ModelCard("any", "", 100)
NAMES = (
    "error message code type content tokens stop stop_type tokens_predicted tokens_evaluated truncated prompt_progress "
    "cache processed total completion_probabilities top_logprobs top_probs id token logprob prob piece choices text "
    "token_ids finish_reason usage prompt_tokens total_tokens completion_tokens prompt_tokens_details cached_tokens "
    "logprobs token_logprobs data owned_by meta n_params ftype default_generation_settings n_ctx total_slots"
).split()
ODD_TEXTS = st.sampled_from(["eos", "stop", "length", "\ud800", "\x1b]52;c;x\x07", "x" * 5000])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ODD_TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=10)


def always(answer: object) -> Callable[[str, Mapping[str, Any] | None], Fields]:
    return lambda path, payload: Fields(answer)  # noqa: ARG005  every question has this answer


@pytest.mark.slow
@given(st.lists(OBJECTS, max_size=4), OBJECTS)
@example([{"content": "\ud800", "tokens": [1], "tokens_predicted": 1}], {})
@example([{"choices": [{"text": "\ud800"}]}], {})
@example([{"choices": [{"text": "a", "logprobs": {"token_logprobs": ["x"], "top_logprobs": [{"a": 1}]}}]}], {})
@example([{"choices": [{"text": "a", "logprobs": {"top_logprobs": [{"a": "much", "b": None, "c": math.nan}]}}]}], {})
@example([{"content": "a", "completion_probabilities": [{"top_probs": [{"prob": "x"}, {"prob": math.inf}]}]}], {})
@example([{"content": "a", "completion_probabilities": [{"logprob": [], "top_logprobs": [{"logprob": {}}]}]}], {})
@example([{"prompt_progress": {"processed": "x", "total": math.inf}}], {})
@example([{"usage": {"prompt_tokens": "many", "prompt_tokens_details": 5}, "choices": 5}], {})
def test_any_events_are_understood_or_refused(events, other):
    parsers: list[AnswerParser] = [LlamaServerAnswer(CARD, always(other), 100), CompletionsAnswer(CARD, True)]
    for parser in parsers:
        try:
            for event in events:
                for item in parser.parse(Fields(event)):
                    check(item)
            parser.finish()
        except EngineError as error:
            check_words(error)


def check(item: AnswerEvent) -> None:
    """Nothing that the driver, the trace or a local model could not take."""
    match item:
        case PromptProgress(reused, done, total):
            assert (reused or 0) >= 0
            assert 0 <= done <= total
        case Token(id, data, _, alternatives):
            data.decode(errors="strict" if id is None else "ignore")
            assert id is None or 0 <= id < 2**31
            for other in alternatives:
                other.text.encode()
                assert math.isfinite(math.exp(other.logprob))
        case StreamEnd(written=written):
            assert written is None or 0 <= written <= 2**53


def check_words(error: EngineError) -> None:
    assert len(str(error)) < 1000
    assert str(error).isprintable()


@pytest.mark.slow
@given(OBJECTS, OBJECTS, st.sampled_from(["llama-server", "completions"]))
def test_any_server_can_be_connected_to_or_is_refused(answer, tokens, kind):
    """Every short question gets an odd answer: while connecting, rendering, tokenising, judging and checking."""

    def ask(path: str, payload: Mapping[str, Any] | None) -> Fields:
        return Fields(tokens if path in ("/tokenize", "/detokenize") else ROUTES.get(path, {}) | answer)

    address = ServerAddress("http://server:1")
    try:
        protocol: ServerProtocol = (
            LlamaServerProtocol(address, ask, None)
            if kind == "llama-server"
            else CompletionsProtocol(address, ask, RemoteOptions(template="x"))
        )
        prompt = protocol.prompt_builder(CONVERSATION, ask).with_body((Part("so", Author.SMALL),), ask)
        protocol.payload(prompt, CompletionRequest(1, 0, Sampling(), choices=("yes", "no")), ask)
        protocol.check_model(ask)
    except EngineError as error:
        check_words(error)
    else:
        assert protocol.card.name.isprintable()
        assert all(0 <= id < 2**31 for id in prompt if isinstance(id, int))


ROUTES: dict[str, Any] = about() | {"/v1/models": {"data": [{"id": "m", "owned_by": "vllm"}]}}


def test_a_token_outside_the_vocabulary_is_refused_in_every_answer():
    """In streams, in what a split character is tokenised to, and in what a server tokenises of a text."""
    size = 100
    for sent in (size, -1, 10**4000):
        event = {"content": "x", "tokens": [sent], "tokens_predicted": 1}
        with pytest.raises(EngineRefused, match=r"sent token [-\d…]+, which is not in its vocabulary of 100"):
            list(LlamaServerAnswer(CARD, always({}), size).parse(Fields(event)))
    (last,) = LlamaServerAnswer(CARD, always({}), size).parse(
        Fields({"content": "x", "tokens": [size - 1], "tokens_predicted": 1})
    )
    assert isinstance(last, Token)
    assert last.id == size - 1
    pieces = {"tokens": [{"id": 999, "piece": "€"}]}
    with pytest.raises(EngineRefused, match="token 999"):
        list(LlamaServerAnswer(CARD, always(pieces), size).parse(Fields({"content": "€", "tokens_predicted": 3})))
    with pytest.raises(EngineRefused, match="token -7"):
        list(CompletionsAnswer(CARD, False).parse(Fields({"choices": [{"text": "a", "token_ids": [-7]}]})))
    for protocol in connected():
        builder = protocol.prompt_builder(CONVERSATION, making_bytes({}))
        with pytest.raises(EngineRefused, match="token -7"):
            builder.with_body((Part("so", Author.SMALL),), making_bytes({"so": [-7]}))
        with pytest.raises(EngineRefused, match="token -7"):
            protocol.prompt_builder(CONVERSATION, making_bytes({text: [-7] for text in QUESTIONS}))


def test_no_tokens_of_a_question_or_a_choice_are_refused():
    for protocol in connected():
        with pytest.raises(EngineRefused, match="no tokens of the question"):
            protocol.prompt_builder(CONVERSATION, making_bytes({text: [] for text in QUESTIONS}))
    llama_server, _ = connected()
    request = CompletionRequest(1, 0, Sampling(), choices=("yes", "no"))
    with pytest.raises(EngineRefused, match="no tokens of a choice"):
        llama_server.payload((1,), request, making_bytes({"yes": [], " yes": []}))


def test_the_blank_that_a_tokenizer_puts_before_every_text_is_cut_off():
    def ask(path: str, payload: Mapping[str, Any] | None) -> Fields:
        text = (payload or {}).get("content")
        return Fields({"tokens": list(f" {text}".encode() if text else b"")} if path == "/tokenize" else about()[path])

    protocol = LlamaServerProtocol(ServerAddress("http://server:1"), ask, None)
    prompt = protocol.prompt_builder(CONVERSATION, ask).with_body((Part("so it", Author.SMALL),), ask)
    assert bytes(id for id in prompt if isinstance(id, int)) == b"Q\n\nso it"


CONVERSATION = (Message("user", "Q"),)
QUESTIONS = ("Q", "Q\n\n", "messages")


def connected() -> list[ServerProtocol]:
    """One protocol of each kind, both of which take token ids."""
    address = ServerAddress("http://server:1")
    vllm = {"choices": [{"token_ids": [1]}], "prompt": "<think>", "data": [{"id": "m", "owned_by": "vllm"}]}
    return [
        LlamaServerProtocol(address, making_bytes({}, about()), None),
        CompletionsProtocol(address, making_bytes({}, dict.fromkeys(COMPLETIONS, vllm)), RemoteOptions()),
    ]


COMPLETIONS = ("/v1/models", "/v1/completions", "/detokenize")


def making_bytes(
    instead: Mapping[str, list[int]], routes: Mapping[str, Any] = MappingProxyType({})
) -> Callable[[str, Mapping[str, Any] | None], Fields]:
    """A server whose tokens are bytes, but for these texts; “messages” is a conversation that it renders itself."""

    def ask(path: str, payload: Mapping[str, Any] | None) -> Fields:
        if path != "/tokenize":
            return Fields(routes.get(path, {}))
        question = payload or {}
        text = "messages" if "messages" in question else str(question.get("content", question.get("prompt", "")))
        return Fields({"tokens": instead.get(text, list(text.encode()))})

    return ask


def test_half_a_character_is_replaced_and_odd_alternatives_are_left_out():
    (item,) = LlamaServerAnswer(CARD, always({})).parse(Fields({"content": "a\ud800", "tokens_predicted": 1}))
    assert isinstance(item, Token)
    assert item.data == b"a?"
    logprobs = {"token_logprobs": ["x"], "top_logprobs": [{"a": "much", "b": -1, "c": None, "d": 7}]}
    (item,) = CompletionsAnswer(CARD, False).parse(Fields({"choices": [{"text": "b", "logprobs": logprobs}]}))
    assert isinstance(item, Token)
    assert [(other.text, other.logprob) for other in item.alternatives] == [("b", -1.0), ("d", 0.0)]


def test_a_long_report_becomes_a_short_printable_sentence():
    error = from_report(Fields({"error": {"message": "\x1b[2Jno\nmemory " * 10**6}}), "server:1")
    assert "no memory" in error.message
    check_words(error)


@given(OBJECTS)
def test_any_description_of_a_server_is_understood_or_refused(answer):
    find_model(always(answer), "")
    try:
        server_properties(always(answer), "")
        served_models(always(answer))
    except EngineError:
        return


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", "[" * 100_000, ""])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match=r"invalid literal|nested|Expecting"):
        parsed(text)


@given(st.lists(st.tuples(st.text(), st.floats(allow_nan=False)), max_size=5))
def test_a_judgement_of_any_alternatives_sums_to_one(listed):
    alternatives = [Alternative(None, text, logprob) for text, logprob in listed]
    judgement = judgement_of(alternatives, ("yes", "no"))
    assert sum(judgement.probabilities) == pytest.approx(1)
    assert judgement.mass is not None
    assert 0 <= judgement.mass <= 1
