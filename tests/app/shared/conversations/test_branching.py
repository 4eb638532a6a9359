"""A fork begins with exactly the text that stood before the step."""

import pytest

from app.shared.conversations.branching import move_of, trace_before
from core.engines.body import Author
from core.engines.usage import RequestUsage, Usage
from core.thinking.events import UsageReported
from core.thinking.policies.keywords import Keywords
from core.thinking.policy import Until, Write, keep
from core.thinking.reasons import PERSON
from core.thinking.trace import Trace
from tests.core.thinking.running import run

SETTINGS = Keywords.Settings(n1=6, n2=4, c=1, c_step=0)


@pytest.fixture
def trace() -> Trace:
    """Small, large in place of a lookahead, small, the auxiliary prompt, large, small."""
    return run(
        Keywords(SETTINGS),
        ["One.\n\nWait, no", " Two.\n\nThree", " Four.\n\nEnd.</think>\n\n4"],
        ["Wait, I see it now.", "All is well."],
    ).trace


def test_the_text_before_any_piece_is_kept_to_the_letter(trace: Trace) -> None:
    assert {piece.author for piece in trace.pieces} == set(Author)
    for piece in trace.pieces:
        assert trace_before(trace, piece).text == trace.text[: piece.position]


def test_the_pieces_before_are_the_same(trace: Trace) -> None:
    for index, piece in enumerate(trace.pieces):
        kept = trace_before(trace, piece).pieces
        assert [(p.author, p.text) for p in kept] == [(p.author, p.text) for p in trace.pieces[:index]]


def test_a_takeover_that_is_not_to_happen_is_not_counted(trace: Trace) -> None:
    first = next(piece for piece in trace.pieces if piece.author is Author.LARGE)
    assert trace_before(trace, first).totals[Author.LARGE].takeovers == 0


def test_what_was_paid_for_a_takeover_that_is_not_to_happen_stays_on_the_bill(trace: Trace) -> None:
    first = next(piece for piece in trace.pieces if piece.author is Author.LARGE)
    begins = next(i for i, event in enumerate(trace.events) if event is first.tokens[0])
    billed = UsageReported(first.start, Author.LARGE, Usage(RequestUsage(1, read=9), 0.5, "EUR"))
    fork = trace_before(Trace.of([*trace.events[:begins], billed, *trace.events[begins:]]), first)
    assert fork.usage == {Author.LARGE: billed.usage}
    assert fork.totals[Author.LARGE].takeovers == 0


def test_the_large_model_is_let_write_one_step_and_the_small_one_as_the_policy_says() -> None:
    asked = move_of(Author.LARGE)
    assert isinstance(asked, Write)
    assert (asked.reason, asked.until) == (PERSON, Until.STEP)
    assert move_of(Author.SMALL) == keep()
