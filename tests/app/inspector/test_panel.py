"""The inspector tells of a step what its trace knows."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from baton_reasoning.app.inspector.panel import NO_ANSWER, Tab
from baton_reasoning.app.inspector.run_page import card_facts, totals
from baton_reasoning.app.inspector.step_page import facts_of
from baton_reasoning.app.inspector.token_strip import TokenFlow, visible
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.base import Alternative
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.options import LocalFile
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.trace import Piece, Trace
from tests.app.chat.test_answers import endless
from tests.app.conftest import ScriptedLoader, answer_to, last_exchange
from tests.fakes.scripted import ScriptedEngine

Ask = Callable[[str], MainWindow]
Make = Callable[..., MainWindow]


def takeover(window: MainWindow) -> tuple[Exchange, Piece]:
    exchange = last_exchange(window)
    return exchange, next(piece for piece in exchange.trace.pieces if piece.author is Author.LARGE)


def texts(window: MainWindow) -> str:
    return " | ".join(label.text() for label in window.inspector.findChildren(QLabel) if label.isVisible())


def test_without_an_answer_each_page_says_what_it_is_for(ask: Ask, qtbot: QtBot) -> None:
    window = ask("2 + 2?")
    inspector, exchange = window.inspector, window.session.conversation.leaf
    window.session.new()
    window.show_inspector(True)
    for tab in Tab:
        inspector.tabs.setCurrentIndex(tab)
        assert inspector.empty.isVisible()
        assert texts(window) == f" | {NO_ANSWER[tab]}"
    assert exchange
    inspector.show_run(exchange)
    assert not inspector.empty.isVisible()
    qtbot.waitUntil(inspector.value.isVisible)


def test_a_takeover_tells_rule_cue_and_what_it_replaced(ask: Ask) -> None:
    window = ask("2 + 2?")
    exchange, piece = takeover(window)
    window.inspector.show_piece(exchange, piece)
    told = texts(window)
    assert "Written by the large model" in told
    assert "Reflection takeover" in told
    assert "“Wait”, word 1 (reflection)" in told
    assert "What the small model was writing" in told
    facts = dict(facts_of(exchange.trace, piece))
    assert piece.handoff
    assert f"{piece.handoff.prefilled} tokens read" in facts["Handoff"]


def test_drafted_tokens_are_counted_and_a_server_that_drafts_is_said_to() -> None:
    trace = Trace.of(
        [
            TokenWritten(0.0, Author.LARGE, 1, "So", drafted=True),
            TokenWritten(0.0, Author.LARGE, 2, " it", drafted=True),
            TokenWritten(0.0, Author.LARGE, 3, " is", rejected_drafts=2),
        ]
    )
    assert dict(facts_of(trace, trace.pieces[0]))["Drafted"] == "◇ 4 tokens, 2 accepted (50%)"
    assert dict(totals(trace, live=False))["Drafted"] == "◇ 4 tokens, 2 accepted (50%)"
    without = Trace.of([TokenWritten(0.0, Author.LARGE, 1, "So")])
    assert dict(totals(without, live=False))["Drafted"] == ""
    assert ("Drafting", "draft-mtp") in card_facts(ScriptedEngine().with_card(drafting="draft-mtp").card)
    assert "Drafting" not in dict(card_facts(ScriptedEngine().card))


def test_what_came_in_a_burst_has_no_speed() -> None:
    burst = Trace.of([TokenWritten(0.001, Author.SMALL, 1, "So"), TokenWritten(0.0013, Author.SMALL, 2, " it")])
    assert dict(facts_of(burst, burst.pieces[0]))["Speed"] == ""
    timed = Trace.of([TokenWritten(0.1 * n, Author.SMALL, n, " so") for n in range(1, 12)])
    assert dict(facts_of(timed, timed.pieces[0]))["Speed"] == f"{timed.pieces[0].tokens_per_second:.0f} tok/s"
    assert dict(totals(timed, live=False))["Decoding"].endswith("tok/s")


def test_until_a_step_is_chosen_the_newest_takeover_is_shown(ask: Ask) -> None:
    window = ask("2 + 2?")
    exchange, piece = takeover(window)
    assert "Written by the large model" in texts(window)
    assert window.inspector.tabs.tabText(Tab.STEP) == f"Step {piece.step + 1}"
    assert window.inspector.piece is None
    window.inspector.show_piece(exchange, exchange.trace.pieces[0])
    window.inspector.follow(exchange)
    assert "Written by the small model" in texts(window)


def test_keys_walk_from_step_to_step(ask: Ask) -> None:
    window = ask("2 + 2?")
    exchange, _ = takeover(window)
    for by, place in ((-1, -1), (-1, -2), (1, -1), (1, -1)):
        window.chat.step_through(by)
        assert window.inspector.piece is exchange.trace.pieces[place]


def test_an_answer_is_not_called_interrupted_while_it_is_written(make_window: Make, qtbot: QtBot) -> None:
    window = make_window(endless())
    qtbot.waitUntil(lambda: window.session.ready)
    window.inspector.tabs.setCurrentIndex(Tab.RUN)
    window.session.ask("2 + 2?")
    qtbot.waitUntil(lambda: bool(window.session.current and window.session.current.trace.tokens > 20))
    assert "Interrupted" not in texts(window)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: window.session.ready)
    assert "Ended" in texts(window)
    assert "Interrupted" not in texts(window)


def test_the_command_line_names_the_models_of_the_run_whatever_is_chosen_since(
    make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    loader = ScriptedLoader()
    loader.small = loader.small.with_card(source=LocalFile(Path("/small.gguf")))
    loader.large = loader.large.with_card(source=LocalFile(Path("/large.gguf")))
    window = make_window(loader)
    answer_to(window, qtbot, "How many fish?")
    window.preferences.change(models=ModelChoice(small=LocalFile(Path("/other.gguf"))))
    window.inspector.tabs.setCurrentIndex(Tab.RUN)
    command = window.inspector.run._command.toPlainText()
    assert "baton solve 'How many fish?'" in command
    assert "--small /small.gguf --large /large.gguf" in command
    assert "other" not in command


def test_a_click_in_the_timeline_chooses_the_step(ask: Ask, qtbot: QtBot) -> None:
    window = ask("2 + 2?")
    inspector = window.inspector
    inspector.tabs.setCurrentIndex(Tab.TIMELINE)
    timeline = inspector.timeline.timeline
    _, piece = takeover(window)
    with qtbot.waitSignal(timeline.piece_chosen):
        qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=timeline._place(piece).center().toPoint())
    assert inspector.piece is not None
    assert inspector.piece.author is Author.LARGE


def test_re_run_from_here_lets_the_other_model_write(ask: Ask, qtbot: QtBot) -> None:
    window = ask("2 + 2?")
    exchange, piece = takeover(window)
    window.inspector.show_piece(exchange, piece)
    window.inspector.step._again.click()
    qtbot.waitUntil(lambda: window.session.ready)
    again = last_exchange(window)
    assert again is not exchange
    assert again.trace.text[: piece.position] == exchange.trace.text[: piece.position]
    assert all(part.author is Author.SMALL for part in again.trace.pieces if part.position == piece.position)


def token(text: str, *chances: float) -> TokenWritten:
    alternatives = tuple(Alternative(n, f"t{n}", math.log(chance)) for n, chance in enumerate(chances))
    return TokenWritten(0.0, Author.SMALL, 0, text, None, alternatives)


def test_a_token_shows_its_entropy_and_its_blanks() -> None:
    assert token("a").entropy_or_estimate == 0
    assert str(token("a", 1.0).entropy_or_estimate) == "0.0"  # and not -0.0, which would be shown with its sign
    assert round(token("a", 0.25, 0.25).entropy_or_estimate, 6) == round(math.log(2), 6)
    assert visible(" a\n") == "·a↵"
    assert visible("") == "∅"


def test_arrow_keys_choose_tokens(qtbot: QtBot) -> None:
    flow = TokenFlow()
    qtbot.addWidget(flow)
    flow.resize(120, 40)
    flow.show_tokens([token(word) for word in ("one", " two", " three")])
    qtbot.keyClick(flow, Qt.Key.Key_Home)
    qtbot.keyClick(flow, Qt.Key.Key_Right)
    assert flow.chosen == 1
    assert flow.accessibleDescription() == "Token 2: ·two"
    qtbot.keyClick(flow, Qt.Key.Key_End)
    assert flow.chosen == 2


def test_the_timeline_marks_no_step_of_another_answer(ask: Ask) -> None:
    window = ask("2 + 2?")
    exchange, piece = takeover(window)
    window.inspector.show_piece(exchange, piece)
    assert window.inspector.timeline.timeline._selected is piece
    window.inspector.show_run(Exchange("3 + 3?", exchange.settings, trace=exchange.trace.until(piece.position)))
    assert window.inspector.timeline.timeline._selected is None
