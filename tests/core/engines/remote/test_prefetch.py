"""Reading along on a real llama-server."""

from contextlib import closing

import pytest

from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.state import ServerState
from tests.core.engines.remote.writing import GREEDY, QUESTION, foreign, handoff, token_count, tokens

pytestmark = pytest.mark.real_models

STEP = foreign(*"We have to find the days of the week in their order. Monday comes first, then Tuesday.".split(" "))


def test_at_a_boundary_little_is_left_to_read(eager_engine: LlamaServerEngine) -> None:
    with closing(eager_engine.open(QUESTION, GREEDY)) as session:
        session.read([])
        without = token_count(eager_engine, "".join(part.text for part in STEP))
        session.prefetch(STEP)
        session.wait_for_prefetch()
        items = list(session.write(STEP, 2, seed=1))
    assert without > 10
    assert handoff(items).prefilled <= 2


def test_the_newest_text_wins(eager_engine: LlamaServerEngine) -> None:
    with closing(eager_engine.open(QUESTION, GREEDY)) as session:
        session.read([])
        for end in range(1, len(STEP) + 1):
            session.prefetch(STEP[:end])
        session.wait_for_prefetch()
        assert session.usage.cost.requests < len(STEP)
        assert handoff(session.write(STEP, 1, seed=1)).prefilled <= 2


def test_a_real_request_does_not_wait_for_it(eager_engine: LlamaServerEngine) -> None:
    with closing(eager_engine.open(QUESTION, GREEDY)) as session:
        session.read([])
        session.prefetch(foreign("word " * 900))  # seconds of reading
        items = list(session.write([], 2, seed=1))
    assert len(tokens(items)) == 2
    assert session.usage.cost.read < 900, "the reading was cut short"


def test_a_discarded_text_is_rolled_back(eager_engine: LlamaServerEngine) -> None:
    with closing(eager_engine.open(QUESTION, GREEDY)) as session:
        session.read([])
        session.prefetch(STEP)
        session.wait_for_prefetch()
        assert handoff(session.write([], 1, seed=1)).reused >= session.prompt_tokens - 1


def test_it_is_off_where_the_server_is_on_the_same_machine(engine: LlamaServerEngine) -> None:
    assert not engine.card.supports_prefetch
    with closing(engine.open(QUESTION, GREEDY)) as session:
        session.prefetch(STEP)
        session.wait_for_prefetch()
        assert session.usage.cost.requests == 0


def test_what_was_read_along_is_on_the_bill(eager_engine: LlamaServerEngine) -> None:
    with closing(eager_engine.open(QUESTION, GREEDY)) as session:
        session.prefetch(STEP)
        session.wait_for_prefetch()
        assert session.usage.cost.read > 10
        assert eager_engine.status.state is ServerState.CONNECTED
