"""The inspector tells of a step and of a run what its trace knows."""

import math
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from baton_reasoning.app.inspector.panel import NO_ANSWER, NOTHING_CHOSEN, Inspector, Tab
from baton_reasoning.app.inspector.run_page import card_facts, model_facts, settings_facts, totals
from baton_reasoning.app.inspector.step_page import StepPage, facts_of, quoted
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.base import Alternative
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.source import LocalFile
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish, RunEnded, TokenWritten
from baton_reasoning.core.thinking.policies.first_token_entropy import FirstTokenEntropy
from baton_reasoning.core.thinking.trace import Trace
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange, offered
from tests.core.thinking.running import HERE
from tests.fakes import mixed
from tests.fakes.scripted import CERTAIN, TORN, ScriptedEngine

TOKENS_AS_READ = ["“ to”", "“.¶”", "“¶¶”", "“¶ x”", "a blank", "nothing"]


def takeover(window):
    exchange = last_exchange(window)
    return exchange, next(piece for piece in exchange.trace.pieces if piece.author is Author.LARGE)


def texts(window):
    return " | ".join(label.text() for label in window.inspector.findChildren(QLabel) if label.isVisible())


def test_a_takeover_begins_with_a_sentence_and_the_other_model_goes_on_from_there(ask, qtbot):
    window = ask("2 + 2?")
    exchange, piece = takeover(window)
    last_answer(window).ribbon.chosen.emit(exchange.trace.pieces.index(piece))
    assert window.inspector.piece is last_answer(window).steps.selected is piece
    assert last_answer(window).steps.isVisible()
    page = window.inspector.step
    rows = [each for each in page.findChildren(QPushButton) if each.text() in (page.again.text(), "Fork here", "Copy")]

    def top(each):
        return each.mapTo(page, each.rect().topLeft()).y()

    qtbot.waitUntil(lambda: len({top(each) for each in rows}) == 1)
    assert 0 < top(page.details_button) - top(page.again) < 2 * page.again.height(), "they follow each other"
    told = texts(window)
    assert f"Step {piece.step + 1}, by ◆ large | Handed over at “Wait”: reflection | What the small" in told
    assert "Length" not in told
    window.inspector.step.details_button.click()
    assert "Length" in texts(window)
    assert f"{piece.handoff.prefilled} tokens read" in dict(facts_of(piece))["Handoff"]
    assert f"tokens (the policy asked for {piece.takeover.tokens})" in dict(facts_of(piece))["Length"]
    assert [quoted(token) for token in (" to", ".\n", "\n\n", "\r\n x", " ", "")] == TOKENS_AS_READ
    facts = dict(facts_of(exchange.trace.pieces[0]))
    assert "Handoff" not in facts
    assert "tokens read" in facts["Prompt"], "what is read before the first step"
    window.inspector.step.details_button.click()
    assert "Length" not in texts(window)
    page.again.click()
    assert page.again.accessibleName() == "Continue here with the small model"
    qtbot.waitUntil(lambda: window.session.ready)
    again = last_exchange(window)
    assert again is not exchange
    assert again.trace.text[: piece.position] == exchange.trace.text[: piece.position]
    assert all(part.author is Author.SMALL for part in again.trace.pieces if part.position == piece.position)
    for by, place in ((-1, -1), (-1, -2), (1, -1), (1, -1)):
        window.chat.step_through(by)
        assert window.inspector.piece is again.trace.pieces[place]
    window.session.new()
    window.show_inspector(True)
    for tab, text in ((Tab.STEP, NOTHING_CHOSEN), (Tab.RUN, NO_ANSWER)):
        window.inspector.tabs.setCurrentIndex(tab)
        assert texts(window) == text, "what the page is for, without an answer"
    window.inspector.show_run(exchange)
    assert not window.inspector.empty.isVisible()
    inspector = Inspector()
    qtbot.addWidget(inspector)
    inspector.show()
    inspector.show_piece(exchange, piece)
    assert offered(inspector.step) == ["Copy", "▸ Details"], "where answers are only read"


def test_the_first_line_of_a_step_says_the_value_that_handed_it_over_and_its_limit(answered_by):
    loader = ScriptedLoader()
    loader.small.chances = lambda body: TORN if body.endswith("\n\n") else CERTAIN
    window = answered_by(loader, policy=FirstTokenEntropy.Settings(tau=1.25))
    exchange, piece = takeover(window)
    last_answer(window).ribbon.chosen.emit(exchange.trace.pieces.index(piece))
    assert window.inspector.step.sentence.text() == "Handed over: unsure how to begin. Entropy 1.39, limit 1.25"


def test_in_the_timeline_a_piece_is_as_wide_as_its_time_and_leads_to_its_step(ask, qtbot):
    window = ask("2 + 2?")
    exchange, piece = takeover(window)
    inspector, timeline = window.inspector, window.inspector.run.timeline
    window.show_inspector(True)
    inspector.tabs.setCurrentIndex(Tab.RUN)
    assert [width for _, width in timeline.segments] == [round(1000 * p.seconds) for p in exchange.trace.pieces]
    index = exchange.trace.pieces.index(piece)
    timeline.setFocus()
    qtbot.keyClick(timeline, Qt.Key.Key_Home)
    for _ in range(index):
        qtbot.keyClick(timeline, Qt.Key.Key_Right)
    assert f"Piece {index + 1}: ◆ the large model" in timeline.accessibleDescription()
    assert "Handed over at “Wait”: reflection" in timeline.accessibleDescription(), "as in the step's first line"
    qtbot.keyClick(timeline, Qt.Key.Key_Return)
    assert inspector.piece is piece
    assert inspector.step.isVisible()
    inspector.tabs.setCurrentIndex(Tab.RUN)
    inspector.show_run(Exchange("3 + 3?", exchange.settings))
    assert timeline.segments == [], "nothing is written yet"
    inspector.show_run(Exchange("3 + 3?", exchange.settings, trace=exchange.trace.until(piece.position)))
    assert timeline.selected == -1, "no piece of another answer"


def test_drafted_tokens_are_counted_and_each_model_has_a_speed():
    drafted = [TokenWritten(0.0, Author.LARGE, number, " so", drafted=True) for number in (1, 2)]
    trace = Trace.of([*drafted, TokenWritten(0.0, Author.LARGE, 3, " is", rejected_drafts=2)])
    assert dict(facts_of(trace.pieces[0]))["Drafted"] == "◇ 4 tokens, 2 accepted (50%)"
    assert dict(totals(trace, live=False))["Drafted"] == "◇ 4 tokens, 2 accepted (50%)"
    timed = Trace.of([TokenWritten(0.1 * n, Author.SMALL, n, " so") for n in range(1, 12)])
    assert dict(totals(timed, live=False))["Drafted"] == ""
    assert dict(totals(timed, live=False))["● writing"].endswith("tok/s")
    drafting = ScriptedEngine().with_card(drafting="draft-mtp")
    assert [dict(card_facts(engine.card))["Drafting"] for engine in (drafting, ScriptedEngine())] == ["draft-mtp", ""]


def token(text, *chances):
    alternatives = tuple(Alternative(n, f"t{n}", math.log(chance)) for n, chance in enumerate(chances))
    return TokenWritten(0.0, Author.SMALL, 0, text, None, alternatives)


@pytest.mark.parametrize(
    ("first", "shown"),
    [
        (token("one", 0.996, 0.004), ["t0", "100%, written"]),
        (token("one", 0.004, 0.996), ["t0", "<1%, written", "t1", "100%"]),
        (token(" two\n", 0.6, 0.4), ["t0", "60%, written", "t1", "40%"]),
        (token(""), []),
    ],
)
def test_how_else_a_step_might_have_begun_is_shown_without_what_was_hardly_possible(qtbot, first, shown):
    trace = Trace.of([first, token(" and on", 0.5, 0.5)])
    page = StepPage()
    qtbot.addWidget(page)
    page.show()
    page.show_piece(trace, trace.pieces[0])
    assert [each.text() for each in page.alternatives.findChildren(QLabel)] == shown
    assert page.alternatives.isVisible() is bool(shown)
    assert bool(dict(facts_of(trace.pieces[0]))["Entropy"]) is bool(shown)


# The command line of a run gives, read by the terminal, the same settings

FILES = ModelChoice(small="small.gguf", large="http://host:8080")


def test_a_run_is_repeated_with_the_models_and_the_context_that_it_used_whatever_is_chosen_since(answered_by, qtbot):
    loader = ScriptedLoader()
    loader.large.with_card(source=LocalFile(Path("used.gguf")), context=3000, placement=HERE)
    window = answered_by(loader, "How many fish?")
    window.preferences.change(models=FILES)
    window.show_inspector(True)
    window.inspector.tabs.setCurrentIndex(Tab.RUN)
    page = window.inspector.run
    command = page.command.toPlainText()
    assert command.startswith(("baton solve 'How many fish?'", 'baton solve "How many fish?"')), "each system's quotes"
    assert "--small small.gguf --large used.gguf --context 3000 " in command
    assert (page.command.isVisible(), page.no_command.isVisible()) == (True, False)
    answer_to(window, qtbot, "And birds?")
    assert page.no_command.text() == "No command repeats this answer: it follows an earlier answer."
    assert (page.command.isVisible(), page.no_command.isVisible()) == (False, True)


def test_where_two_small_models_wrote_both_are_shown_with_their_tokens_and_the_policy_of_each_run():
    trace = Trace.of(mixed.by_two_pairs())
    wrote = [value for name, value in model_facts(trace, Author.SMALL) if name in ("Name", "Wrote")]
    assert wrote == ["SmolLM2-135M", "4 tokens", "gemma-3-270m", "3 tokens"]
    assert model_facts(trace, Author.LARGE) == card_facts(mixed.QWEN), "as ever, where there is one"
    facts = settings_facts(trace.runs)
    assert facts[0] == ("Policy", "Keywords, then Every step")
    assert ("Seed", "8") in facts, "of the last run"
    assert ("Other before", "Policy, Seed") in facts
    assert dict(totals(trace, live=False))["Context"] == "14 of 2,048 tokens", "of the models that go on"
    one = settings_facts(Trace.of(mixed.by_one_pair()).runs)
    assert (one[0], dict(one)["Other before"]) == (("Policy", "Keywords"), "")


def test_models_that_were_to_go_on_and_wrote_nothing_repeat_nothing(qtbot):
    trace = Trace.of([*mixed.by_one_pair(), mixed.begun(mixed.GEMMA), RunEnded(0.1, Finish.STOPPED)])
    inspector = Inspector()
    qtbot.addWidget(inspector)
    inspector.tabs.setCurrentIndex(Tab.RUN)
    inspector.show_run(Exchange("2 + 2?", RunSettings(), trace=trace))
    assert "--small SmolLM2-135M.gguf --large Qwen2.5-0.5B.gguf" in inspector.run.command.toPlainText()
    assert ("Wrote", "0 tokens") in model_facts(trace, Author.SMALL)


def test_a_step_names_who_wrote_it(qtbot):
    page = StepPage()
    qtbot.addWidget(page)
    trace, names = mixed.with_a_person(), list[str]()
    for piece in trace.pieces:
        page.show_piece(trace, piece)
        names.append(page.number.text())
    writers = ["● SmolLM2-135M Q8_0", "◆ Qwen2.5-0.5B Q8_0", "● SmolLM2-135M Q8_0", "✎ a person", "● gemma-3-270m Q8_0"]
    assert [name.partition(", by ")[2] for name in names] == writers
