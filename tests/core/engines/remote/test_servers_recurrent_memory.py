"""Recurrent and hybrid models on a real llama-server: a handoff never reads the whole text again."""

from __future__ import annotations

from contextlib import closing

import pytest

from baton_reasoning.core.engines.base import Message, Session
from baton_reasoning.core.engines.body import Part
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions, settled
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.servers import try_connection
from baton_reasoning.core.models.options import Sampling
from tests.core.engines.local.test_cache import grow
from tests.core.engines.remote.writing import GREEDY, foreign, handoff, prefetched, text, token_count, tokens
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = pytest.mark.slow

QUESTION = (Message("user", "abcdefgh" * 12),)
STEP, LOOKAHEAD, OTHER = foreign("ijkl", "mnop", ".\n\n"), foreign("qrst", "uvw"), foreign("QRSTU", "VWX")
CHECKPOINT = 8
"""Tokens between the end of a prompt and the last checkpoint of it, at most (b11549 keeps one 4 before the end)."""


@pytest.fixture(scope="module", params=["mamba2", "lfm2"])
def recurrent_server(request, tmp_path_factory):
    path = grow(request.param, tmp_path_factory.mktemp("grown"))
    with LlamaServer(ServerOptions(str(path), context=1024)) as server:
        yield server


@pytest.fixture
def recurrent_engine(recurrent_server):
    engine = LlamaServerEngine(ServerAddress(recurrent_server.url, KEY), RemoteOptions(supports_prefetch=True))
    yield engine
    engine.close()


def fresh_text(engine: LlamaServerEngine, body: list[Part]) -> str:
    """What the model writes if it reads the whole text at once."""
    with closing(engine.open((Message("user", "zzzz"),), GREEDY)) as other:
        other.read([])
    with closing(engine.open(QUESTION, GREEDY)) as session:
        return text(session.write(body, 6, seed=1))


def size(engine: LlamaServerEngine, session: Session, body: list[Part]) -> int:
    return session.prompt_tokens + token_count(engine, "".join(part.text for part in body))


@pytest.mark.real_models
def test_a_model_whose_memory_can_be_cut_is_recognised(engine):
    assert engine.card.supports_truncation


def test_such_a_model_is_recognised_and_the_connection_test_says_what_it_costs(recurrent_server):
    report = try_connection(ServerAddress(recurrent_server.url, KEY))
    assert any("cannot undo tokens" in finding.text for finding in report.findings)


def test_a_lookahead_is_never_prefetched(recurrent_engine):
    with closing(recurrent_engine.open(QUESTION, GREEDY)) as session:
        for body in ([], STEP):
            prefetched(session, body)
        session.prefetch([*STEP, *LOOKAHEAD])
        items = list(session.write([*STEP, *OTHER], 4, seed=1))
        expected = size(recurrent_engine, session, STEP) - CHECKPOINT
    assert handoff(items).reused >= expected
    assert handoff(items).prefilled <= token_count(recurrent_engine, "QRSTUVWX") + CHECKPOINT


def test_before_the_first_step_is_finished_the_conversation_alone_is_prefetched(recurrent_engine):
    with closing(recurrent_engine.open(QUESTION, GREEDY)) as session:
        prefetched(session, LOOKAHEAD)
        first = handoff(session.write(OTHER, 1, seed=1))
        assert first.reused >= session.prompt_tokens - CHECKPOINT


def test_a_judgement_costs_its_question_and_what_is_new(recurrent_engine):
    question = "y?" * 30
    asked = token_count(recurrent_engine, question)
    with closing(recurrent_engine.open(QUESTION, GREEDY)) as session:
        session.judge(STEP, question, ("a", "b"))
        again = session.judge([*STEP, *LOOKAHEAD], question, ("a", "b")).handoff
        assert again.prefilled <= asked + token_count(recurrent_engine, "qrstuvw") + 2 * CHECKPOINT
        items = list(session.write([*STEP, *LOOKAHEAD], 6, seed=1))
    assert handoff(items).prefilled <= CHECKPOINT, "the question was dropped by going back to where it began"
    assert text(items) == fresh_text(recurrent_engine, [*STEP, *LOOKAHEAD])


def test_a_takeover_that_is_cut_short_is_read_again_and_no_more(recurrent_engine):
    with closing(recurrent_engine.open(QUESTION, Sampling(temperature=0.0))) as session:
        session.read(STEP)
        written = tokens(session.write(STEP, 20, seed=1))
        kept = [*STEP, *foreign("".join(token.data.decode() for token in written[:5]), ".\n\n")]
        after = handoff(session.write(kept, 6, seed=1))
        assert (
            after.prefilled
            <= size(recurrent_engine, session, kept) - size(recurrent_engine, session, STEP) + CHECKPOINT
        )
        assert after.reused >= size(recurrent_engine, session, STEP) - CHECKPOINT


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ((), 0),
        (("so",), 0),
        (("so", "\n", "\n", "and"), 3),
        (("so", ".\n\n", "and"), 2),
        (("so", ".\n\n"), 2),
        (("so", ".\n \n", "and", "\n\n\n", "on"), 4),
        (("so", ".\n\nThen", " it"), 1),
        (("so", ".\n"), 0),
    ],
)
def test_the_settled_text_ends_at_the_last_step_boundary(words, kept):
    assert list(settled(foreign(*words))) == foreign(*words)[:kept]
