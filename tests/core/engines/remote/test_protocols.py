"""OpenAI-style servers, real and scripted; and whatever JSON a server sends: it is understood, or refused."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Message, ModelCard, Passing, Stop, Token
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.remote.answers import Fields, from_report, parsed
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerAnswer, LlamaServerProtocol
from baton_reasoning.core.engines.remote.openai import CompletionsAnswer, CompletionsProtocol, OpenAICompletionsEngine
from baton_reasoning.core.engines.remote.protocol import CompletionRequest, PromptProgress, StreamEnd, served_models
from baton_reasoning.core.errors import ContextFull, EngineError, EngineLost, EngineRefused
from baton_reasoning.core.models.sampling import Sampling
from tests.core.engines.local.conftest import handoff
from tests.core.engines.remote.conftest import OPTIONS, QUESTION, as_parts, foreign, opened, stop, text, tokens
from tests.fakes.faulty_server import Answer, FaultyServer, Wire, about, error, event, json_error, raw, stream

TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: <think>\n"
TEMPLATED = replace(OPTIONS, template=TEMPLATE)
RENDERED = f"user: {QUESTION[0].content}\nassistant: <think>"


def completions(url: str, options: RemoteOptions = OPTIONS) -> Any:
    return opened(url, options, OpenAICompletionsEngine)


def connect(url: str, options: RemoteOptions = OPTIONS) -> OpenAICompletionsEngine:
    return OpenAICompletionsEngine(ServerAddress(url), options)


@pytest.mark.real_models
def test_a_server_that_takes_and_gives_text_alone(server):
    with completions(server.url, RemoteOptions(template=TEMPLATE)) as (engine, session):
        card = engine.card
        assert card.abilities == {Ability.TRUNCATION}
        items = list(session.write([], 12, seed=1))
        assert len(text(items)) > 12
        assert stop(items) is Stop.LIMIT
        assert handoff(items).passing is Passing.TEXT
        assert all(token.id is None for token in tokens(items))
        assert session.usage.cost.written == 12
        with pytest.raises(EngineRefused, match="gives no log-probabilities of an answer"):
            session.judge([], "?", ("a", "b"))
        with pytest.raises(EngineRefused, match="no log-probabilities of a text"):
            session.score([], 0)
        longer = list(session.write(as_parts(session, items), 4, seed=1))
        assert text(longer)
        session.read([])


# Scripted servers


def chunk(text: str, ids: list[int], finish: str | None = None, total: int = 9, **more: Any) -> Answer:
    """With the counts so far, which do not tell what was reused."""
    choice = {"index": 0, "text": text, "token_ids": ids, "finish_reason": finish} | more
    usage = {"prompt_tokens": 9, "total_tokens": total}
    return event({"object": "text_completion", "choices": [choice], "usage": usage})


def listing(model: str, owner: str, **more: Any) -> dict[str, Any]:
    return {"/v1/models": {"data": [{"id": model, "owned_by": owner} | more]}}


DONE = raw(b"data: [DONE]\n\n")
COUNTS = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 6}}
COMPLETION = stream(
    chunk("a", [97], logprobs={"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": [{"a": -0.1, "b": -2.5}]}),
    chunk("", [195]),
    chunk("é", [169]),
    chunk("", [2], finish="stop", matched_stop=2),
    event({"choices": [], "usage": COUNTS}),
    DONE,
)
ROUTES: dict[str, Any] = listing("big", "vllm", max_model_len=500) | {
    "/detokenize": {"prompt": "User: 1\nAssistant: <think>\n"},
    "/tokenize": {"tokens": [1, 2, 3]},
}
SGLANG: dict[str, Any] = listing("big", "sglang", max_model_len=500) | {"/tokenize": {"tokens": [1, 2, 3]}}
"""Its `/tokenize` renders no conversations."""


def TRIAL(wire: Wire) -> None:
    """Returns ids, as the newer ones do."""
    wire.json({"choices": [{"index": 0, "text": "2", "token_ids": [50]}]})


@pytest.fixture
def vllm():
    with FaultyServer(TRIAL, COMPLETION, routes=ROUTES) as server:
        yield server


@pytest.fixture
def session(vllm):
    with completions(vllm.url) as (_, session):
        yield session


@pytest.mark.parametrize(
    ("routes", "options", "no_top_k"), [(ROUTES, OPTIONS, 0), (SGLANG, TEMPLATED, -1)], ids=["vLLM", "SGLang"]
)
def test_vllm_and_sglang_take_and_give_ids(routes, options, no_top_k):
    with FaultyServer(TRIAL, COMPLETION, routes=routes) as server:
        engine = connect(server.url, options)
        card = engine.card
        assert (card.name, card.context) == ("big", 500)
        assert card.abilities >= {Ability.TOKEN_IDS, Ability.ALTERNATIVES, Ability.JUDGEMENTS}
        assert card.thinking
        assert card.vocabulary
        with closing(engine):
            for sampling in (Sampling(), Sampling(top_k=0)):
                with closing(engine.open(QUESTION, sampling)) as session:
                    assert session.prompt_tokens == 3
                    began = time.perf_counter()
                    items = list(session.write([], 9, seed=1, alternatives=1, entropy=2))
                    elapsed = time.perf_counter() - began
        default, limitless = server.completions[-2:]
        rendered = [asked.body for asked in server.requests if RENDERED in str(asked.body.get("prompt"))]
    assert (text(items), stop(items)) == ("aé", Stop.END_OF_TEXT)
    assert [token.id for token in tokens(items)] == [97, 195, 169]
    assert [other.text for other in tokens(items)[0].alternatives] == ["a", "b"]
    assert handoff(items)[:2] == (0, 9), "what was reused is told at the end only"
    assert 0 <= handoff(items).seconds <= elapsed
    cost = session.usage.cost
    assert (cost.reused, cost.read, cost.written, cost.estimated) == (6, 3, 4, False)
    assert all(asked["add_special_tokens"] for asked in rendered)
    assert bool(rendered) is (routes is SGLANG)
    assert default["prompt"] == [1, 2, 3]
    assert default["logprobs"] == 2, "of which the entropy is estimated"
    assert (default["top_k"], default["top_p"], default["temperature"]) == (50, 0.95, 0.6)
    assert limitless["top_k"] == no_top_k, "its word for no limit"


@pytest.mark.parametrize(
    ("owner", "kind"), [("sglang", "SGLang"), ("organization_owner", "LM Studio"), ("somebody", "an OpenAI-style")]
)
def test_a_server_that_gives_no_ids_is_asked_in_text_and_needs_a_template(owner, kind):
    written = stream(event({"choices": [{"text": "!", "finish_reason": "length"}]}))
    answers = [lambda wire: wire.json({"choices": [{"text": "2"}]})] * (2 if owner == "sglang" else 0)
    with FaultyServer(*answers, written, routes=SGLANG | listing("big", owner)) as server:
        with pytest.raises(EngineRefused, match=f"{kind}.* does not reveal the chat template"):
            connect(server.url)
        with completions(server.url, TEMPLATED) as (engine, session):
            assert Ability.TOKEN_IDS not in engine.card.abilities
            assert (Ability.ALTERNATIVES in engine.card.abilities) is (owner == "sglang")
            assert engine.card.thinking
            assert text(session.write(foreign("so", " far"), 1, seed=1)) == "!"
            assert session.usage.cost.estimated
            assert session.usage.cost.read == len(f"{RENDERED}so far") // 4
        assert server.completions[-1]["prompt"] == f"{RENDERED}so far"


def test_no_more_is_asked_for_than_the_context_holds_and_a_judgement_is_made_of_the_alternatives(vllm, session):
    list(session.write([], 30_000, seed=1))
    session.read([])
    likely = 1 / (1 + math.exp(-2.4))
    assert session.judge(foreign("x"), "?", ("a", "b")).probabilities == pytest.approx((likely, 1 - likely))
    assert [asked["max_tokens"] for asked in vllm.completions[-3:]] == [500 - 3, 1, 1]


@pytest.mark.parametrize(("total", "end_of_it"), [(499, Stop.LIMIT), (500, Stop.CONTEXT_FULL)])
def test_an_answer_without_the_counts_that_were_promised_is_complete_all_the_same(vllm, session, total, end_of_it):
    """It may have filled the context."""
    vllm.routes["/v1/completions"] = stream(chunk("a", [97]), chunk("b", [98], "length", total), DONE)
    items = list(session.write([], 2, seed=1))
    cost = session.usage.cost
    assert (text(items), stop(items)) == ("ab", end_of_it)
    assert (cost.reused, cost.read, cost.written, cost.estimated) == (0, 9, 2, True)


TOO_LONG = {"object": "error", "message": "The input is longer than the model's context length", "code": 400}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        # SGLang's reports stand alone in the body, and within an "error" in a stream.
        (json_error(401, {"message": "Unauthorized", "code": 401}), EngineRefused, "does not accept the key"),
        (json_error(400, TOO_LONG), ContextFull, "no longer"),
        (stream(event({"error": {"message": "Out of memory", "code": 500}}), DONE), EngineLost, "Out of memory"),
        (stream(chunk("", [], finish="abort"), DONE), EngineLost, "stopped the answer: “abort”"),
        (stream(DONE), EngineLost, "broke off"),
        # vLLM and LM Studio name the kind of an error where others have a number.
        (error(400, "This model's maximum context length is 9"), ContextFull, "no longer"),
        (json_error(401, {"error": {"message": "No key", "code": "invalid_api_key"}}), EngineRefused, "the key"),
    ],
)
def test_each_fault_has_its_words(vllm, session, answer, kind, words):
    vllm.routes["/v1/completions"] = answer
    with pytest.raises(kind, match=words):
        list(session.write([], 9, seed=1))


def test_what_cannot_be_used_is_refused_with_the_reason(vllm):
    with pytest.raises(EngineRefused, match="but not small"):
        connect(f"{vllm.url}#small")


def test_a_file_is_called_by_its_name_and_asked_for_by_its_path_and_another_after_a_restart_is_refused(vllm):
    def restart(wire: Wire) -> None:
        vllm.routes |= listing("other", "vllm")
        stream(chunk("a", [97]))(wire)

    path = r"C:\models\Large-7B.Q4_K_M.gguf"
    vllm.routes |= listing(path, "vllm")
    with completions(vllm.url) as (engine, session):
        list(session.write([], 1, seed=1))
        assert engine.card.name == "Large-7B.Q4_K_M"
        assert vllm.completions[-1]["model"] == path
        vllm.routes["/v1/completions"] = restart
        with pytest.raises(EngineRefused, match=r"no longer serves C:.*\.gguf"):
            list(session.write([], 9, seed=1))


# The tokens of an answer


def parsed_tokens(*choices: dict[str, Any]) -> list[Token]:
    parser = CompletionsAnswer(ModelCard("big", "", 500), counts_at_end=False)
    events = [event for choice in choices for event in parser.parse(Fields({"choices": [choice]}))]
    return [event for event in events if isinstance(event, Token)]


def parse(*choices: dict[str, Any]) -> list[tuple[int | None, str, float | None]]:
    """Id, text and log-probability of each token of a stream."""
    return [(token.id, token.data.decode(), token.logprob) for token in parsed_tokens(*choices)]


def spelled(*texts: str) -> dict[str, Any]:
    return {"tokens": [*texts], "token_logprobs": [-0.5] * len(texts), "top_logprobs": [{text: -0.5} for text in texts]}


@given(st.lists(st.lists(st.text(min_size=1), min_size=1), max_size=5), st.booleans())
def test_an_event_with_several_tokens_is_split_by_their_texts(events, has_ids):
    ids = iter(range(100_000))
    choices = []
    for texts in events:
        numbers = [next(ids) for _ in texts] if has_ids else []
        choices.append({"text": "".join(texts), "token_ids": numbers, "logprobs": spelled(*texts)})
    written = [text for texts in events for text in texts]
    assert parse(*choices) == [(n if has_ids else None, text, -0.5) for n, text in enumerate(written)]


@given(st.lists(st.tuples(st.text(), st.lists(st.text(), min_size=1)), max_size=5))
def test_no_character_of_a_stream_is_lost_or_told_twice(events):
    choices = [
        {"text": text, "token_ids": list(range(len(texts))), "logprobs": spelled(*texts)} for text, texts in events
    ]
    assert "".join(text for _, text, _ in parse(*choices)) == "".join(text for text, _ in events)


def test_text_that_the_tokens_do_not_spell_is_on_the_last_one_that_may_complete_it():
    so_it_is = {"text": "So it is", "token_ids": [1, 2, 3]}
    assert parse(so_it_is) == [(1, "", None), (2, "", None), (3, "So it is", None)]
    assert [token.held for token in parsed_tokens(so_it_is)] == [True, True, False]
    first = {"text": "a", "token_ids": [1, 2], "logprobs": spelled("a", "\ufffd")}
    second = {"text": "€ b", "token_ids": [3, 4], "logprobs": spelled("\ufffd", " b")}
    assert [(id, text) for id, text, _ in parse(first, second)] == [(1, "a"), (2, ""), (3, "€"), (4, " b")]


@pytest.mark.parametrize("end", [{"matched_stop": 2}, {"stop_reason": None}], ids=["SGLang", "vLLM"])
def test_the_end_of_the_text_is_no_token_of_it(end):
    last = {"text": " is", "token_ids": [3, 2], "finish_reason": "stop"} | end
    assert [id for id, _, _ in parse({"text": "So", "token_ids": [1]}, last)] == [1, 3]


# Scores


def table(id: int, logprob: float, word: str, **others: float) -> dict[str, Any]:
    """One entry of vLLM's `prompt_logprobs`; `others` by their ids as `t7`."""
    more = {name[1:]: {"logprob": chance, "decoded_token": name} for name, chance in others.items()}
    return {str(id): {"logprob": logprob, "decoded_token": word}} | more


def scored_answer(*tables: Any) -> Answer:
    return lambda wire: wire.json({"choices": [{"text": "!", "prompt_logprobs": list(tables)}]})


def own_body(session: Any) -> list[Part]:
    return [Part(word, Author.SMALL, id, session.card.vocabulary) for word, id in (("so", 7), ("far", 9))]


def test_vllm_scores_a_text_by_the_log_probabilities_of_its_prompt(vllm, session):
    answer = (None, table(2, -9.0, "?"), table(3, -9.0, "?"), table(7, -0.5, "so", t8=-0.1), table(9, -2.0, "far"))
    vllm.routes["/v1/completions"] = scored_answer(*answer)
    scores = session.score(own_body(session), start=0, alternatives=2)
    assert [(token.id, token.text, token.logprob) for token in scores.tokens] == [(7, "so", -0.5), (9, "far", -2.0)]
    assert [other.id for other in scores.tokens[0].alternatives] == [8, 7]
    assert (scores.handoff.reused, scores.handoff.prefilled) == (0, 5)
    later = session.score(own_body(session), start=3).tokens
    assert [token.text for token in later] == ["far"], "a token that lies across the start is scored too"
    cost = session.usage.cost
    assert (cost.sent, cost.read, cost.written) == (10, 10, 2)
    assert min(cost.bytes_sent, cost.bytes_received) > 100
    assert vllm.completions[-1]["prompt_logprobs"] == 1


def test_odd_scores_are_understood_or_refused(vllm, session):
    vllm.routes["/v1/completions"] = scored_answer("x", 7, [], {}, {"7": {"logprob": "much"}})
    assert [token.logprob for token in session.score(own_body(session), 0).tokens] == [0.0, 0.0]
    for tables in ((), (None,)):
        vllm.routes["/v1/completions"] = scored_answer(*tables)
        with pytest.raises(EngineRefused, match="of 5 tokens"):
            session.score(own_body(session), 0)


# Whatever JSON a server sends

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
@example([{"content": "a", "completion_probabilities": [{"top_probs": [{"prob": "x"}, {"prob": math.inf}]}]}], {})
@example([{"content": "a", "completion_probabilities": [{"logprob": [], "top_logprobs": [{"logprob": {}}]}]}], {})
@example([{"prompt_progress": {"processed": "x", "total": math.inf}}], {})
@example([{"stop": True, "stop_type": 7, "tokens_predicted": -1, "timings": {"draft_n": "x"}}], {})
@example([{"usage": {"prompt_tokens": "many", "prompt_tokens_details": 5}, "choices": 5}], {})
def test_any_events_are_understood_or_refused(events, other):
    parsers = [LlamaServerAnswer(CARD, always(other), 100), CompletionsAnswer(CARD, True)]
    for parser in parsers:
        try:
            for event in events:
                for item in parser.parse(Fields(event)):
                    check(item)
            parser.finish()
        except EngineError as error:
            check_words(error)


def check(item):
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
@given(OBJECTS, OBJECTS, st.sampled_from([(LlamaServerProtocol, None), (CompletionsProtocol, "x")]))
def test_any_server_can_be_connected_to_or_is_refused(answer, tokens, spoken):
    """Every short question gets an odd answer: while connecting, rendering, tokenising, judging and checking."""

    def ask(path: str, payload: Mapping[str, Any] | None) -> Fields:
        return Fields(tokens if path in ("/tokenize", "/detokenize") else KNOWN_ROUTES.get(path, {}) | answer)

    kind, template = spoken
    try:
        served_models(ask)
        protocol = kind(ServerAddress("http://server:1"), ask, RemoteOptions(template=template))
        prompt = protocol.prompt_builder(CONVERSATION, ask).with_body((Part("so", Author.SMALL),), ask)
        protocol.payload(prompt, CompletionRequest(1, 0, Sampling(), choices=("yes", "no")), ask)
        protocol.check_model(ask)
    except EngineError as error:
        check_words(error)
    else:
        assert protocol.card.name.isprintable()
        assert all(0 <= id < 2**31 for id in prompt if isinstance(id, int))


KNOWN_ROUTES: dict[str, Any] = about() | {"/v1/models": {"data": [{"id": "m", "owned_by": "vllm"}]}}


def test_a_token_outside_the_vocabulary_is_refused_in_every_answer():
    """In streams, in what a split character is tokenised to, and in what a server tokenises of a text."""

    def streamed(text: str, *ids: int) -> list[object]:
        pieces = always({"tokens": [{"id": 999, "piece": "€"}]})
        event = {"content": text, "tokens": [*ids], "tokens_predicted": len(text.encode())}
        return list(LlamaServerAnswer(CARD, pieces, 100).parse(Fields(event)))

    for sent in (100, -1, 10**4000):
        with pytest.raises(EngineRefused, match=r"sent token [-\d…]+, which is not in its vocabulary of 100"):
            streamed("x", sent)
    with pytest.raises(EngineRefused, match="token 999"):
        streamed("€")
    (last,) = streamed("x", 99)
    assert isinstance(last, Token)
    assert last.id == 99
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

    protocol = LlamaServerProtocol(ServerAddress("http://server:1"), ask, RemoteOptions())
    prompt = protocol.prompt_builder(CONVERSATION, ask).with_body((Part("so it", Author.SMALL),), ask)
    assert bytes(id for id in prompt if isinstance(id, int)) == b" Q\n\nso it"


CONVERSATION = (Message("user", "Q"),)
QUESTIONS = ("Q", "Q\n\n", "messages")


def connected():
    """One protocol of each kind, both of which take token ids."""
    address = ServerAddress("http://server:1")
    vllm = {"choices": [{"token_ids": [1]}], "prompt": "<think>", "data": [{"id": "m", "owned_by": "vllm"}]}
    return [
        LlamaServerProtocol(address, making_bytes({}, about()), RemoteOptions()),
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


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", "[" * 100_000, ""])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match=r"invalid literal|nested|Expecting"):
        parsed(text)
