"""What one can do with an answer, from the first key to the last event, on scripted models."""

import threading
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QInputDialog, QLabel

from baton_reasoning.app.chat.next_answer import SystemPromptDialog
from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.run_queue import Activity
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Message, PrefillProgress
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.models.source import LocalFile
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.registry import POLICIES
from tests.app.conftest import LARGE, OWN_MODELS, ScriptedLoader, answer_to, last_answer, last_exchange, offered, press
from tests.fakes.held import Gate
from tests.fakes.scripted import Fault, ScriptedEngine

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
PLAIN = "One.\n\nTwo.\n\nThree.\n\nFour.</think>\n\nThe answer is 4."
NEVER = threading.Event()


def with_small(*texts, **options):
    return ScriptedLoader(ScriptedEngine(*texts, **options))


def plain(**options):
    """The small model goes on with one text, which has no cue."""
    return with_small(continue_with=lambda _, body: PLAIN.removeprefix(body), **options)


def endless():
    """Both models write, a token a millisecond, for longer than any test takes, and never the same step again."""

    def steps(_, body):
        first = body.count("step")
        return "".join(f"This is step {number} of very many.\n\n" for number in range(first, first + 600))

    def pace(_):
        NEVER.wait(0.001)

    small = ScriptedEngine(continue_with=steps, before_token=pace)
    return ScriptedLoader(small, ScriptedEngine(continue_with=steps, before_token=pace, name="large"))


# Asking


def test_enter_sends_what_one_writes_and_shift_enter_begins_a_line(window, qtbot):
    edit = window.chat.composer.edit
    qtbot.keyClicks(edit, "What is")
    qtbot.keyClick(edit, Qt.Key.Key_Return, SHIFT)
    qtbot.keyClicks(edit, "2 + 2?")
    assert window.session.current is None
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.activity is Activity.IDLE)
    first = last_exchange(window)
    assert (first.problem, first.trace.finish) == ("What is\n2 + 2?", Finish.END_OF_TEXT)
    assert edit.toPlainText() == ""
    window.chat.copy_answer(first)
    assert last_answer(window).answer.markdown == QGuiApplication.clipboard().text() == "The answer is \\boxed{4}."
    qtbot.keyClick(edit, Qt.Key.Key_Return, CONTROL)
    assert window.notice.text == "", "there is nothing to send"
    qtbot.keyClick(edit, Qt.Key.Key_Return, CONTROL | SHIFT)
    assert window.session.ready
    assert window.notice.text.startswith("This answer is complete.")
    qtbot.keyClicks(edit, "3 + 3?")
    qtbot.keyClick(edit, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window).problem == "3 + 3?")


def test_an_earlier_problem_is_edited_in_the_composer_and_asked_in_its_place(ask, qtbot):
    window = ask("2 + 2?")
    composer, first = window.chat.composer, last_exchange(window)
    composer.edit.setPlainText("a draft")
    qtbot.keyClick(composer.edit, Qt.Key.Key_E, CONTROL)
    assert composer.edit.toPlainText() == "2 + 2?"
    assert any(label.text().startswith("Editing “2 + 2?”") for label in composer.findChildren(QLabel))
    qtbot.keyClick(composer.edit, Qt.Key.Key_Escape)
    assert (composer.edited, composer.edit.toPlainText()) == (None, "a draft")
    composer.begin_edit(first)
    press(composer, "Cancel")
    assert not composer.edited
    composer.begin_edit(first)
    composer.edit.setPlainText("3 + 3?")
    qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    assert composer.edit.toPlainText() == "a draft"
    qtbot.waitUntil(lambda: window.session.ready)
    assert last_exchange(window).problem == "3 + 3?"
    assert window.session.conversation.siblings(first) == [first, last_exchange(window)]


# While it is written


def test_the_focus_stays_with_the_work_when_its_button_goes_and_a_chosen_step_stays_in_view(make_window, qtbot):
    gate = Gate(after=len("First step.\n\nSecond step.\n\n"))
    whole = "First step.\n\nSecond step.\n\nEnd.</think>\n\nFour."
    window = make_window(with_small(continue_with=lambda _, body: whole.removeprefix(body), before_token=gate.wait_at))
    qtbot.waitUntil(lambda: window.session.ready and window.isActiveWindow())
    composer = window.chat.composer
    composer.edit.setPlainText("2 + 2?")
    composer._send_button.setFocus()
    qtbot.keyClick(composer._send_button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: bool(last_answer(window).steps.pieces))
    assert QApplication.focusWidget() is composer.edit
    steps = last_answer(window).steps
    place = steps.place_of(steps.pieces[0])
    qtbot.mouseClick(steps.viewport(), Qt.MouseButton.LeftButton, pos=place.center().toPoint())
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert not last_answer(window).folded
    assert steps.selected is steps.pieces[0]
    gate.clear()
    window.session.ask("3 + 3?")
    composer._stop_button.setFocus()
    qtbot.keyClick(composer._stop_button, Qt.Key.Key_Space)
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert QApplication.focusWidget() is composer.edit


def test_it_is_shown_how_far_a_model_has_read(make_window, qtbot):
    gate, loader = Gate(), ScriptedLoader()

    def prefill():
        yield PrefillProgress(64, 1673)
        gate.wait_at("")

    loader.large.prefill = prefill
    window = make_window(loader)
    window.session.ask("What is 2 + 2?")
    brief = last_answer(window).brief
    qtbot.waitUntil(lambda: brief.text() == "Reading 64 of 1,673 tokens")
    assert brief.isVisible()
    gate.set()
    qtbot.waitUntil(lambda: window.session.activity is Activity.IDLE)
    assert "steps" in brief.text()


def run_facts(window):
    return "\n".join(each.text() for each in window.inspector.run.findChildren(QLabel))


def test_the_baton_is_passed_and_what_is_stopped_goes_on_from_its_text(make_window, qtbot):
    window = make_window(endless())
    window.session.ask("2 + 2?")
    session = window.session
    qtbot.waitUntil(lambda: bool(session.current and session.current.trace.tokens > 20))
    window.show_inspector(True)
    window.inspector.tabs.setCurrentIndex(Tab.RUN)
    wide = window.chat.composer._baton.width()
    session.pass_baton()
    qtbot.waitUntil(lambda: bool(session.answering and session.answering.author is Author.LARGE))
    qtbot.waitUntil(lambda: "Give back" in window.chat.composer._baton.text())
    QApplication.processEvents()  # which lays it out
    assert window.chat.composer._baton.width() == wide
    qtbot.waitUntil(lambda: "tok/s" in run_facts(window))
    assert "Interrupted" not in run_facts(window)
    session.pass_baton()
    qtbot.waitUntil(lambda: bool(session.answering and session.answering.author is Author.SMALL))
    session.rewrite_step()
    session.take_over_at_next_step()
    qtbot.waitUntil(lambda: bool(session.answering and session.answering.author is Author.LARGE))
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: session.ready)
    exchange = last_exchange(window)
    tokens = exchange.trace.tokens
    assert exchange.trace.finish is Finish.STOPPED
    assert {piece.author for piece in exchange.trace.pieces} >= {Author.SMALL, Author.LARGE}
    exchange.settings = exchange.settings.model_copy(update={"max_tokens": tokens + 50})
    session.go_on(exchange)
    qtbot.waitUntil(lambda: session.ready)
    assert exchange.trace.tokens > tokens
    assert exchange.trace.text.startswith("This is step 0")


@pytest.mark.parametrize("policy", ["never", "always"])
def test_no_takeover_is_offered_where_the_policy_lets_one_model_write(make_window, qtbot, policy):
    window = make_window(endless())
    session, composer = window.session, window.chat.composer
    session.preferences.change_run(policy=POLICIES[policy].Settings())
    session.ask("2 + 2?")
    qtbot.waitUntil(lambda: bool(session.answering and session.current.trace.tokens > 20))
    assert composer._stop_button.isVisible()
    assert not composer._baton.isVisible()
    session.pass_baton()
    session.rewrite_step()
    written = session.current.trace.tokens
    qtbot.waitUntil(lambda: session.current.trace.tokens > written + 20)
    session.stop()
    qtbot.waitUntil(lambda: session.ready)
    assert len({piece.author for piece in session.current.trace.pieces}) == 1


def thinking_on(**options):
    """Both models think without end, and answer in a sentence where the thinking is closed."""
    loader = endless()
    for engine in (loader.small, loader.large):
        write = engine.continue_with
        engine.continue_with = lambda conversation, body, write=write: (
            "The answer is 4."[len(body.partition("</think>")[2].lstrip()) :]
            if "</think>" in body
            else write(conversation, body)
        )
        engine.with_card(**options)
    return loader


@pytest.mark.parametrize("takes_over", [False, True])
def test_answer_now_ends_the_thinking_and_is_offered_only_while_it_is_open(make_window, qtbot, takes_over):
    window = make_window(thinking_on())
    session, composer = window.session, window.chat.composer
    assert not composer._answer_now.isVisible()
    session.answer_now()
    session.ask("2 + 2?")
    qtbot.waitUntil(lambda: composer._answer_now.isVisible() and session.current.trace.tokens > 20)
    assert "Ctrl+G" in composer._answer_now.toolTip()
    if takes_over:
        session.pass_baton()
        qtbot.waitUntil(lambda: session.answering.author is Author.LARGE)
    composer._answer_now.setFocus()
    qtbot.keyClick(composer._answer_now, Qt.Key.Key_Space)
    qtbot.keyClick(window, Qt.Key.Key_G, CONTROL)
    qtbot.waitUntil(lambda: session.ready)
    trace = last_exchange(window).trace
    assert (trace.answer.strip(), trace.finish) == ("The answer is 4.", Finish.END_OF_TEXT)
    assert trace.text.count("</think>") == 1
    assert not composer._answer_now.isVisible()
    assert "Reasoning closed: a person wanted the answer." in last_answer(window).steps.toPlainText()
    window.show_inspector(True)
    window.inspector.tabs.setCurrentIndex(Tab.RUN)
    assert window.inspector.run.no_command.text() == "No command repeats this answer: a person steered it."
    session.answer_now()
    assert answer_to(window, qtbot, "3 + 3?").trace.finish is Finish.MAX_TOKENS, "it was of no other answer"


def test_answer_now_is_not_offered_for_models_that_do_not_think(make_window, qtbot):
    window, seen = make_window(thinking_on(thinking=None)), []
    window.preferences.change_run(max_tokens=50)
    window.session.progressed.connect(lambda _: seen.append(window.chat.composer._answer_now.isVisible()))
    trace = answer_to(window, qtbot, "2 + 2?").trace
    assert (any(seen), trace.closed, bool(trace.tokens)) == (False, None, True)


# Once it is written


def test_what_happened_without_stopping_the_answer_is_told_below_it(answered_by):
    answer = last_answer(answered_by(with_small("One. Two.</think>", notices={2: "The model was started again."})))
    assert "The model was started again." in answer.ending.text().splitlines()
    assert not answer.folded, "there is no answer without the reasoning"


@pytest.mark.parametrize("text", ["</think>\n\nFour.", "\n\n</think>\n\nThe answer is \\boxed{4}."])
def test_nothing_is_offered_to_be_shown_where_all_text_is_the_answer(answered_by, text):
    answer = last_answer(answered_by(with_small(text)))
    assert not answer._fold.isVisible()
    assert not answer.steps.isVisible()


def test_an_answer_goes_on_with_more_tokens_or_context_and_another_policy_is_one_click_away(answered_by, qtbot):
    loader = plain(context=41)  # 24 are those of the problem
    window = answered_by(loader, max_tokens=8)
    window.preferences.change(models=OWN_MODELS)
    answer, trace = last_answer(window), last_exchange(window).trace
    assert last_exchange(window).trace.finish is Finish.MAX_TOKENS
    press(answer, "Continue up to 16 tokens")
    qtbot.waitUntil(lambda: window.session.ready)
    assert trace.tokens == 16
    press(answer, "Continue up to 32 tokens")
    qtbot.waitUntil(lambda: window.session.ready)
    assert last_exchange(window).trace.finish is Finish.CONTEXT_FULL
    loader.small = plain(context=82).small
    press(answer, "Continue with a context of 82")
    qtbot.waitUntil(lambda: window.session.ready and trace.finish is Finish.END_OF_TEXT)
    assert loader.choices[-1].context == 82
    assert trace.text == PLAIN
    press(answer, "Answer again with “Token entropy”")
    qtbot.waitUntil(lambda: window.session.ready)
    assert len(window.session.conversation.roots) == 2
    assert last_exchange(window).settings.policy.policy == "token-entropy"
    assert window.preferences.value.run.policy.policy == "automatic", "an attempt, not another setting"


# Other models than those that wrote it


def model(name, **card):
    """Writes the rest of one text, which has no cue."""
    source = LocalFile(Path(f"{name}.gguf"))
    return ScriptedEngine(continue_with=lambda _, body: PLAIN.removeprefix(body), name=name, source=source, **card)


def chosen(name):
    return OWN_MODELS.model_copy(update={"small": LocalFile(Path(f"{name}.gguf"))})


@pytest.fixture
def begun(answered_by, qtbot):
    """A window in which SmolLM2 wrote eight tokens of an answer, and gemma has been loaded since."""
    loader = ScriptedLoader(model("SmolLM2"))
    window = answered_by(loader, max_tokens=8)
    loader.small = model("gemma")
    window.page_actions.use_models(chosen("gemma"))
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    return window, loader


def small_writers(exchange):
    return {each.card.name: each.tokens for each in exchange.trace.writers if each.author is Author.SMALL}


QUESTION = "● SmolLM2 wrote this answer. ● gemma and ◆ large would go on with it under the policy “Keywords”."


def test_other_models_go_on_after_a_question_and_each_keeps_what_it_wrote(begun, qtbot):
    window, _ = begun
    exchange, answer = last_exchange(window), last_answer(window)
    assert "Examine" in offered(answer)
    press(answer, "Continue up to 16 tokens")
    assert window.notice.text == QUESTION
    assert window.session.ready, "nothing is written"
    press(window.notice, "Leave it")
    assert not window.notice.isVisible()
    assert (exchange.trace.tokens, exchange.settings.max_tokens) == (8, 8)
    press(answer, "Continue up to 16 tokens")
    press(window.notice, "Continue")
    qtbot.waitUntil(lambda: window.session.ready and exchange.trace.tokens == 16)
    assert small_writers(exchange) == {"SmolLM2": 8, "gemma": 8}
    press(answer, "Continue up to 32 tokens")
    qtbot.waitUntil(lambda: window.session.ready and exchange.trace.finish is Finish.END_OF_TEXT)
    assert exchange.trace.text == PLAIN, "whom they agreed to goes on without another question"
    assert "Examine" not in offered(answer), "which of the two would they be about?"
    answer.review.opinion.toggle()
    assert "Several models wrote as the small model (SmolLM2, gemma)" in answer.review.opinion.note.text()


def test_before_models_are_loaded_the_chosen_ones_are_compared_and_those_that_wrote_go_on_unasked(begun, qtbot):
    window, loader = begun
    exchange = last_exchange(window)
    window.models.unload()
    qtbot.waitUntil(lambda: window.models.state is LoadState.NONE)
    window.session.go_on(exchange)
    assert window.notice.text.startswith("● SmolLM2 wrote this answer. ● gemma.gguf and ◆ large.gguf would go on")
    assert (loader.choices[-1], window.models.state) == (chosen("gemma"), LoadState.NONE), "not even loaded"
    loader.small = model("SmolLM2")
    window.preferences.change(models=chosen("SmolLM2"))
    window.session.go_on(exchange, more_tokens=True)
    qtbot.waitUntil(lambda: window.session.ready and exchange.trace.tokens == 16)
    assert small_writers(exchange) == {"SmolLM2": 16}


def test_what_waits_to_be_continued_asks_again_when_other_models_come_meanwhile(begun, qtbot):
    window, loader = begun
    exchange, conversation = last_exchange(window), window.session.conversation
    loader.gate, loader.small = Gate(), model("SmolLM2")
    window.page_actions.use_models(chosen("SmolLM2"))
    window.session.go_on(exchange, more_tokens=True)
    assert window.session.waiting_text(exchange) == "Waiting for the models…"
    loader.small = model("gemma")
    window.page_actions.use_models(chosen("gemma"))
    window.session.new()
    loader.gate.set()
    qtbot.waitUntil(lambda: window.notice.text == QUESTION)
    assert (exchange.trace.tokens, window.session.runs.is_idle) == (8, True)
    press(window.notice, "Continue")
    assert window.session.conversation is conversation, "it is in view again"
    qtbot.waitUntil(lambda: window.session.ready and exchange.trace.tokens == 16)
    assert small_writers(exchange) == {"SmolLM2": 8, "gemma": 8}


def test_with_more_context_other_models_are_not_even_loaded_before_the_answer_to_the_question(begun, qtbot):
    window, loader = begun
    exchange, loaded = last_exchange(window), len(loader.choices)
    window.session.go_on(exchange, prepare=lambda: window.page_actions.use_context(200_000))
    assert (window.notice.text, len(loader.choices)) == (QUESTION, loaded)
    exchange.settings = exchange.settings.model_copy(update={"max_tokens": 16})
    press(window.notice, "Continue")
    qtbot.waitUntil(lambda: window.session.ready and exchange.trace.tokens == 16)
    assert loader.choices[-1].context == 200_000


def test_a_fork_and_an_edit_begin_new_answers_unasked_in_which_each_keeps_what_it_wrote(begun, qtbot):
    window, _ = begun
    first = last_exchange(window)
    window.preferences.change_run(max_tokens=100)
    window.session.fork(first, first.trace.length)
    qtbot.waitUntil(lambda: window.session.ready)
    fork = last_exchange(window)
    assert (fork.trace.text, small_writers(fork)) == (PLAIN, {"SmolLM2": 8, "gemma": fork.trace.tokens - 8})
    assert window.session.edit(first, first.trace.pieces[1].position, "Mine.\n\n")
    qtbot.waitUntil(lambda: window.session.ready)
    told = [(each.author.value, each.card and each.card.name) for each in last_exchange(window).trace.pieces]
    assert list(dict.fromkeys(told)) == [("small", "SmolLM2"), ("person", None), ("small", "gemma")]
    assert window.notice.text == ""
    assert small_writers(first) == {"SmolLM2": 8}


class MortalEngine(ScriptedEngine):
    """A model on this machine, whose process may die."""

    @property
    def is_lost(self) -> bool:
        return self._gone is not None


def test_models_that_died_are_shown_in_the_header_and_loaded_again(answered_by, qtbot):
    fault = Fault(4, EngineLost("The process was killed.", "Load the model again, or choose another one."), True)
    loader = ScriptedLoader(large=MortalEngine(*LARGE, name="large", faults=[fault]))
    window = answered_by(loader)
    assert last_exchange(window).trace.finish is Finish.END_OF_TEXT
    assert "The small model goes on alone." in last_answer(window).ending.text()
    loader.small = MortalEngine("One.\n\nTwo and more.", faults=[fault])
    loader.large = ScriptedEngine(*LARGE, name="large")
    press(last_answer(window), "Load again")
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.large is loader.large)
    pair, trace = window.topbar.pair, answer_to(window, qtbot, "3 + 3?").trace
    assert trace.finish is Finish.FAILED
    assert trace.text.startswith("One.")
    assert "was killed" in last_answer(window).ending.text()
    assert last_answer(window)._continue.isVisible()
    assert "✗ small" in [part.text() for part in pair.findChildren(QLabel)]
    assert "has ended" in pair.accessibleName()
    loader.small = plain().small
    press(last_answer(window), "Load again")
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is loader.small)
    assert "✗ small" not in [part.text() for part in pair.findChildren(QLabel)]


# What holds for the next answer

WORDS = "Answer in one sentence."


def edit_prompt(window, qtbot, words):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Y, CONTROL | SHIFT)
    dialog = window.findChildren(SystemPromptDialog)[-1]
    dialog.edit.setPlainText(words)
    qtbot.mouseClick(dialog.save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.isVisible())


def test_a_system_prompt_is_of_its_conversation_from_the_next_answer_on(ask, make_window, window, qtbot):
    window.preferences.change(models=OWN_MODELS)  # the demo pair takes none
    ask("2 + 2?")
    edit_prompt(window, qtbot, WORDS)
    assert window.chat.composer.unusual.text() == f"System prompt: {WORDS}"
    ask("And 3 + 3?")
    first, second = (each.trace.started for each in window.session.conversation.path)
    assert "system" not in [message.role for message in first.conversation]
    assert second.conversation[0] == Message("system", WORDS)
    kept = window.session.conversation.id
    window.session.new()
    assert not window.chat.composer.unusual.text()
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.session.ready)
    again.session.open(kept)
    assert again.session.system == WORDS
    assert WORDS in again.chat.composer.unusual.text()
    again.preferences.change_run(system=WORDS)
    again.session.new()
    assert again.session.system == WORDS, "new conversations begin with that of the settings"
    edit_prompt(again, qtbot, "")
    assert not again.chat.composer.unusual.text()
    assert again.preferences.value.run.system == WORDS


def choose(window, qtbot, title):
    """By keyboard, as far down as the choice stands."""
    menu = window.chat.composer.menu
    window.chat.composer.show_menu()
    choice = action(window, title)
    for _ in range(1 + [each for each in menu.actions() if each.isEnabled() and not each.isSeparator()].index(choice)):
        qtbot.keyClick(menu, Qt.Key.Key_Down)
    qtbot.keyClick(menu, Qt.Key.Key_Return)


def action(window, title):
    return next(each for each in window.chat.composer.menu.actions() if each.text().startswith(title))


def test_off_lets_the_models_answer_at_once(make_window, qtbot):
    models = (ScriptedEngine("It is \\boxed{4}.", name=name) for name in ("small", "large"))
    window = make_window(ScriptedLoader(*(each.with_ability(Ability.THINKING_SWITCH) for each in models)))
    qtbot.waitUntil(window.isActiveWindow)
    assert not window.chat.composer.unusual.text()
    choose(window, qtbot, "Thinking off")
    assert window.chat.composer.unusual.text() == "Thinking: off"
    exchange = answer_to(window, qtbot, "2 + 2?")
    assert exchange.settings.thinking is False
    assert not exchange.trace.thinks
    assert last_answer(window).heading.text() == "Answer"


def test_thinking_has_the_budget_that_is_chosen_and_off_is_disabled_where_a_model_always_thinks(make_window, qtbot):
    window = make_window()
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY and window.isActiveWindow())
    composer, preferences = window.chat.composer, window.preferences
    composer.show_menu()
    off = action(window, "Thinking off")
    assert not off.isEnabled()
    assert "small always thinks" in off.text()
    assert "Limit its thinking" in off.toolTip()
    composer.menu.close()
    choose(window, qtbot, "At most 500 tokens")
    assert composer.unusual.text() == "Thinking: at most 500 tokens"
    assert window.session.settings.limits.max_thinking_tokens == 500
    choose(window, qtbot, "Thinking on")
    limits = window.session.settings.limits
    assert limits.max_thinking_tokens == 0
    preferences.change_run(limits=limits.model_copy(update={"max_thinking_tokens": 1234}))
    composer.show_menu()
    assert action(window, "At most 1,234 tokens").isChecked()
    composer.menu.close()
    preferences.change_run(thinking=False, limits=limits)
    qtbot.waitUntil(lambda: not composer.unusual.text())
    assert answer_to(window, qtbot, "2 + 2?").trace.thinks
    assert preferences.value.run.thinking is False, "kept for models that can"


def test_the_seed_is_chosen_in_the_menu_and_another_try_takes_the_next(window, qtbot, monkeypatch):
    monkeypatch.setattr(QInputDialog, "getInt", lambda *_: (7, True))
    qtbot.waitUntil(lambda: window.session.ready and window.isActiveWindow())
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_H, CONTROL | SHIFT)
    qtbot.waitUntil(window.chat.composer.menu.isVisible)
    action(window, "Seed: 0").trigger()
    window.chat.composer.menu.close()
    first = answer_to(window, qtbot, "2 + 2?")
    assert first.trace.started.seed == first.settings.seed == 7
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_R, CONTROL)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not first)
    assert last_exchange(window).settings.seed == 8
    assert window.preferences.value.run.seed == 7, "it is that of the next problem"
