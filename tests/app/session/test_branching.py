"""A fork begins with exactly the text that stood before the step."""

import pytest

from baton_reasoning.app.session.chat_session import wish_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.events import TextDiscarded
from baton_reasoning.core.thinking.interruptions import Wish
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.requests import Step, TakeOver, Until
from tests.core.thinking.running import run

SETTINGS = Keywords.Settings(n1=6, n2=4, c=1, c_step=0)


@pytest.fixture
def trace():
    """Small, large in place of a lookahead, small, the auxiliary prompt, large, small."""
    return run(
        Keywords(SETTINGS),
        ["One.\n\nWait, no", " Two.\n\nThree", " Four.\n\nEnd.</think>\n\n4"],
        ["Wait, I see it now.", "All is well."],
    ).trace


def test_the_text_and_the_pieces_before_are_kept_to_the_letter(trace):
    for index, piece in enumerate(trace.pieces):
        kept = trace.until(piece.position).pieces
        assert [(p.author, p.text) for p in kept] == [(p.author, p.text) for p in trace.pieces[:index]]
    assert {piece.author for piece in trace.pieces} == set(Author) - {Author.PERSON}
    for piece in trace.pieces:
        assert trace.until(piece.position).text == trace.text[: piece.position]


def test_what_was_decided_at_the_place_is_decided_again_and_not_counted(trace):
    first = next(piece for piece in trace.pieces if piece.author is Author.LARGE)
    fork = trace.until(first.position)
    assert not any(isinstance(event, TextDiscarded) for event in fork.events), "the lookahead is not written yet"
    assert [piece.replaced for piece in fork.pieces] == [""]
    assert fork.totals[Author.LARGE].takeovers == 0


def test_the_large_model_is_let_write_one_step_and_the_small_one_as_the_policy_says():
    settings = RunSettings(policy=SETTINGS)
    wish = wish_of(Author.LARGE, settings)
    assert wish
    assert isinstance(wish.request, TakeOver)
    assert (wish.request.reason, wish.request.until) == (PERSON, Until.STEP)
    assert wish_of(Author.SMALL, settings) == Wish(Step())
