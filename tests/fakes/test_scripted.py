"""The scripted engine keeps the promises of the protocol that the real ones make."""

import pytest

from baton_reasoning.core.engines.base import Engine, Handoff, Session, Stop
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.errors import EngineLost
from tests.fakes.scripted import DEFAULTS, QUESTION, Fault, Kind, ScriptedEngine, token_id


def part(text: str) -> Part:
    return Part(text, Author.SMALL, token_id(text.encode()), "scripted")


def test_it_speaks_the_protocol():
    engine: Engine = ScriptedEngine("One two.")
    session: Session = engine.open(QUESTION, DEFAULTS)
    first, *tokens, end = session.write((), limit=10, seed=0)
    assert isinstance(first, Handoff)
    assert b"".join(token.data for token in tokens) == b"One two."  # type: ignore[union-attr]
    assert end == (Stop.END_OF_TEXT,)


def test_each_write_takes_the_next_text_and_stops_at_its_limit():
    session = ScriptedEngine("One two three", "four").open()
    items = list(session.write((), limit=2, seed=0))
    assert [item.data for item in items[1:-1]] == [b"One", b" two"]  # type: ignore[union-attr]
    assert items[-1] == (Stop.LIMIT,)
    assert [item.data for item in list(session.write((), limit=2, seed=0))[1:-1]] == [b"four"]  # type: ignore[union-attr]


def test_what_it_wrote_is_not_read_again():
    session = ScriptedEngine("One two three").open()
    list(session.write((), limit=10, seed=0))
    handoff = session.read([part("One"), part(" two"), part(" more")])
    assert (handoff.reused, handoff.prefilled) == (session.prompt_tokens + 2, 1)
    assert [call.kind for call in session.calls] == [Kind.WRITE, Kind.READ]


def test_a_fault_comes_once_or_for_good():
    engine = ScriptedEngine("One two", "three", faults=[Fault(after=1)])
    session = engine.open()
    with pytest.raises(EngineLost):
        list(session.write((), 10, 0))
    assert len(list(session.write((), 10, 0))) == 3
    lost = ScriptedEngine("One", faults=[Fault(after=0, for_good=True)]).open()
    for _ in range(2):
        with pytest.raises(EngineLost):
            list(lost.write((), 10, 0))


def test_a_text_is_scored_token_by_token_from_its_start_on():
    engine = ScriptedEngine(scored=lambda before, token: -1.0 if before.endswith("one") and token == " two" else -0.5)
    session = engine.open()
    scores = session.score([Part("zero one two three", Author.LARGE)], start=len("zero"))
    assert [(token.text, token.logprob) for token in scores.tokens] == [
        (" one", -0.5),
        (" two", -1.0),
        (" three", -0.5),
    ]
    assert session.calls[-1].kind is Kind.SCORE
