"""Tokens of an answer in the window: how sure each was, what each model might have written, and going on with that."""

from itertools import pairwise

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton

from baton_reasoning.app.inspector.token_card import names_of
from baton_reasoning.core.analysis.token_choices import placed_tokens
from baton_reasoning.core.engines.body import Author
from tests.app.conftest import ScriptedLoader, last_answer, last_exchange
from tests.fakes.held import Gate
from tests.fakes.scripted import ScriptedEngine

ANSWER = "Add the units first.\n\n**Then** it is 14.\n\n```\nx = the + y\n```\n"


def expecting(instead):
    return lambda _, token: instead if token == " the" else token


@pytest.fixture
def loader():
    small = ScriptedEngine(ANSWER, thinking=None, chances=lambda _: [0.5, 0.3, 0.2], expects=expecting(" its"))
    return ScriptedLoader(small, ScriptedEngine(name="large", thinking=None, expects=expecting(" both")))


def with_tokens(window):
    """Shows the tokens of the last answer; returns the window, the answer and its text."""
    window.chat.toggle_tokens()
    answer = last_answer(window)
    return window, answer, answer.steps if answer.steps.isVisible() else answer.answer


@pytest.fixture
def shown(answered_by, loader):
    return with_tokens(answered_by(loader))


def token_of(view, text):
    return next(each for piece in view.pieces for each in placed_tokens(piece) if each.token.text == text)


def point_at(view, text):
    QTest.mouseMove(view.viewport(), view.viewport().rect().bottomRight())  # else it may be there already
    QTest.mouseMove(view.viewport(), view.tokens.rect_of(token_of(view, text)).center().toPoint())


def card_of(answer, qtbot):
    qtbot.waitUntil(lambda: answer.token_view.card is not None and answer.token_view.card.isVisible())
    return answer.token_view.card


def told(card):
    return " ".join(label.text() for label in card.findChildren(QLabel))


def presses(card):
    return {each.text(): each for each in card.findChildren(QPushButton)}


def test_a_shade_says_how_unsure_each_token_was(shown):
    window, _, view = shown
    place = view.tokens.rect_of(token_of(view, " units"))
    ground, shaded = view.viewport().grab().toImage(), place.topLeft().toPoint()
    window.chat.toggle_tokens()
    plain = view.viewport().grab().toImage()
    x, y = shaded.x() + 1, round(place.top() + 3)
    assert ground.pixelColor(x, y) != plain.pixelColor(x, y)


def test_under_the_mouse_stands_what_was_recorded_and_both_models_read_when_they_are_asked(shown, qtbot, loader):
    window, answer, view = shown
    point_at(view, " the")
    card = card_of(answer, qtbot)
    assert ("● small" in told(card), "◆ large" in told(card)) == (True, False)
    assert loader.large.written == 0
    presses(card)["Let both models read the answer"].click()
    qtbot.waitUntil(lambda: "◆ large" in told(card_of(answer, qtbot)))
    card = card_of(answer, qtbot)
    assert {"its ↵", "both ↵"} <= set(presses(card))
    assert presses(card)["both ↵"].accessibleName() == "Continue with “both”: the large model 90%"
    assert last_exchange(window).trace.text == ANSWER, "nothing has changed in it"


@pytest.mark.parametrize("reader", ["small", "large"])
def test_the_card_tells_how_far_each_model_is_while_they_read(shown, qtbot, loader, reader):
    window, answer, view = shown
    gate = Gate()
    getattr(loader, reader).before_token = gate.wait_at
    point_at(view, " the")
    presses(card_of(answer, qtbot))["Let both models read the answer"].click()
    qtbot.waitUntil(lambda: f"The {reader} model has read 0 of " in told(card_of(answer, qtbot)))
    gate.set()
    qtbot.waitUntil(lambda: window.session.tokens.exchange is None)
    assert "has read" not in told(card_of(answer, qtbot))


def test_an_answer_goes_on_from_another_token_as_a_new_attempt(shown, qtbot):
    window, answer, view = shown
    before = last_exchange(window)
    window.session.tokens.read(before)
    qtbot.waitUntil(lambda: window.session.tokens.exchange is None)
    point_at(view, " the")
    presses(card_of(answer, qtbot))["both ↵"].click()
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window) is not before)
    now = last_exchange(window).trace
    assert [(piece.author, piece.text) for piece in now.pieces[:2]] == [(Author.SMALL, "Add"), (Author.PERSON, " both")]
    assert now.text == "Add both" + ANSWER
    assert before.trace.text == ANSWER


def test_by_keys_one_goes_from_token_to_token_into_the_card_and_back(shown, qtbot):
    window, answer, view = shown
    view.setFocus()
    for _ in range(3):
        QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert view.pointed.token.text == " the"
    QTest.keyClick(view, Qt.Key.Key_Return)
    card = card_of(answer, qtbot)
    assert card.isAncestorOf(window.focusWidget())
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Down)
    assert card.isAncestorOf(window.focusWidget())
    window.escape()
    assert answer.token_view.card is None
    assert window.focusWidget() is view


def test_arrow_keys_stay_in_the_card(shown, qtbot):
    window, answer, view = shown
    place = window.chat.conversation.verticalScrollBar()
    view.setFocus()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down):
        QTest.keyClick(view, key)
    scrolled = place.value()
    for key, text in ((Qt.Key.Key_Left, "Add"), (Qt.Key.Key_Right, " the"), (Qt.Key.Key_Right, " units")):
        QTest.keyClick(window.focusWidget(), key)
        assert view.pointed.token.text == text
        assert card_of(answer, qtbot).has_focus
    card = card_of(answer, qtbot)
    first, *_, last = presses(card).values()
    for key, expected in ((Qt.Key.Key_Down, last), (Qt.Key.Key_Up, first)):
        for _ in range(9):
            QTest.keyClick(window.focusWidget(), key)
        assert window.focusWidget() is expected
    assert place.value() == scrolled


def test_the_rows_of_the_card_are_even(shown, qtbot):
    window, answer, view = shown
    window.session.tokens.read(last_exchange(window))
    qtbot.waitUntil(lambda: window.session.tokens.exchange is None)
    point_at(view, " the")
    card = card_of(answer, qtbot)
    cells = [each for each in card.findChildren(QLabel) if each.text() == "–" or each.text().endswith("%")]
    middles = sorted({each.geometry().center().y() for each in cells})
    assert [below - above for above, below in pairwise(middles)] == [middles[1] - middles[0]] * 2
    assert len({each.geometry().right() for each in cells}) == 2, "as there are columns"
    (press, *_), standing = presses(card).values(), next(e for e in card.findChildren(QLabel) if e.text() == "the")
    assert press.fontMetrics().horizontalAdvance(press.text()) + 2 * standing.indent() == press.width()


def test_the_marks_of_markdown_have_no_place_and_code_has(shown):
    _, _, view = shown
    assert view.tokens.rect_of(token_of(view, "```")).width() < 1
    code = next(each for piece in view.pieces for each in placed_tokens(piece) if each.token.text == " +")
    assert view.tokens.rect_of(code).width() > 1


def test_the_tokens_of_a_formula_stand_where_it_does(answered_by, loader, qtbot):
    loader.small.texts = ("So $x = a + b$ holds.",)
    _, _, view = with_tokens(answered_by(loader))
    qtbot.waitUntil(lambda: not view.writer.waits)
    inside = [view.tokens.rect_of(token_of(view, text)) for text in (" =", " +")]
    assert inside[0] == inside[1]
    assert inside[0].width() > view.tokens.rect_of(token_of(view, "So")).width()
    assert not inside[0].intersects(view.tokens.rect_of(token_of(view, " holds")))


def test_the_card_goes_when_the_mouse_has_left_and_when_tokens_are_hidden(shown, qtbot):
    window, answer, view = shown
    point_at(view, " the")
    card = card_of(answer, qtbot)
    QTest.mouseMove(window.chat.composer)
    qtbot.waitUntil(card.isHidden)
    point_at(view, " units")
    card_of(answer, qtbot)
    window.chat.toggle_tokens()
    assert answer.token_view.card is None


def test_while_something_is_written_the_models_do_not_read(make_window, loader, qtbot):
    gate = Gate(after=len("14"))
    loader.small.before_token = gate.wait_at
    window = make_window(loader)
    window.session.ask("7 + 7?")
    qtbot.waitUntil(lambda: bool(last_exchange(window) and last_exchange(window).trace.text))
    assert window.session.tokens.unavailable_reason(last_exchange(window)) == "Wait until nothing is written."
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert window.session.tokens.unavailable_reason(last_exchange(window)) == ""
    assert window.session.tokens.seconds(last_exchange(window)) is None, "nothing is known of a scripted model"


def test_tokens_that_differ_by_a_blank_are_told_apart():
    assert names_of([" ones", "last", "\n"]) == ["ones", "last", "¶"]
    assert names_of([" ones", "ones"]) == ["·ones", "ones"]
