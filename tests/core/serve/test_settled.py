"""Text is sent once no policy can discard it any more."""

from __future__ import annotations

from core.engines.body import Author
from core.serve.settled import SettledText, TextSettler
from core.thinking.events import Event, TextDiscarded, ThinkingClosed, TokenWritten


def token(text: str) -> TokenWritten:
    return TokenWritten(0.0, Author.SMALL, None, text, ends_step=text.endswith("\n\n"))


def settle(*events: Event, at_once: bool = False) -> list[SettledText]:
    settler = TextSettler(at_once)
    sent: list[SettledText] = []
    for event in events:
        settler.apply(event)
        sent.append(settler.take(thinks=True))
    sent.append(settler.take(thinks=True, over=True))
    return [text for text in sent if any(text)]


def test_a_step_is_sent_when_the_next_one_has_ended() -> None:
    sent = settle(token("One.\n\n"), token("Two"), token(".\n\n"), token("Three."))
    assert sent == [SettledText("One.\n\n", ""), SettledText("Two.\n\nThree.", "")]


def test_a_discarded_lookahead_is_never_sent() -> None:
    sent = settle(token("One.\n\n"), token("Wait"), TextDiscarded(0.0, 6, "Wait", 1), token("So."))
    assert sent == [SettledText("One.\n\nSo.", "")]


def test_a_rewritten_step_is_never_sent() -> None:
    sent = settle(token("One.\n\n"), token("Two.\n\n"), TextDiscarded(0.0, 6, "Two.\n\n", 1), token("2.\n\n"))
    assert "".join(text.reasoning for text in sent) == "One.\n\n2.\n\n"


def test_a_single_model_is_sent_token_by_token() -> None:
    sent = settle(token("One"), token(" two"), at_once=True)
    assert sent == [SettledText("One", ""), SettledText(" two", "")]


def test_the_closing_tag_parts_reasoning_from_content_and_is_sent_in_neither() -> None:
    closed = ThinkingClosed(0.0, Author.SMALL, position=16, tag="</think>")
    sent = settle(token("It is 4."), token("</"), token("think>"), closed, token("Four."), at_once=True)
    assert [text.reasoning for text in sent if text.reasoning] == ["It is 4."]
    assert "".join(text.content for text in sent) == "Four."
