"""Reviews of an answer, a second opinion and what each step is worth: asked for, stopped, shown, walked through."""

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QColor, QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.inspector.answer_review import PARTLY_READ, AnswerReview
from baton_reasoning.app.inspector.values_section import ABOUT, CHOOSE
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.reviews import Reviewer, answer_of
from baton_reasoning.app.toolkit.theme import LIGHT
from baton_reasoning.core.analysis.opinion import SecondOpinion
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost, EngineRefused
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish, OpinionGiven
from baton_reasoning.core.thinking.policies.alone import Always, Never
from tests.app.conftest import OWN_MODELS, ScriptedLoader, answer_to, last_answer, last_exchange, press
from tests.core.thinking.running import run
from tests.fakes.held import Gate
from tests.fakes.scripted import ABLE, Fault, ScriptedEngine
from tests.fakes.valued import a_valued_run

CONTROL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


def tip(widget, at, sender=None):
    """What is told of a place in a widget."""
    QApplication.sendEvent(sender or widget, QHelpEvent(QEvent.Type.ToolTip, at, widget.mapToGlobal(at)))
    return QToolTip.text() if QToolTip.isVisible() else ""


class NoActions:
    def choose(self, exchange, piece): ...

    def open_menu(self, pane, piece, where): ...


def pane_of(qtbot, exchange, models):
    """A pane that shows one answer after another, as in a batch, and their reviews."""
    pane = AnswerPane(exchange, Typesetter(), NoActions())
    qtbot.addWidget(pane)
    pane.resize(500, 600)
    pane.show()
    return pane, AnswerReview(pane, Reviewer(models, ModelChoice, lambda: True, pane), answer_of)


def reopened(window, qtbot):
    """The review of the last answer, once the conversation was left and opened again."""
    conversation = window.session.conversation.id
    window.session.new()
    window.session.open(conversation)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.id == conversation)
    trace = last_exchange(window).trace
    qtbot.waitUntil(lambda: trace.opinion is not None or bool(trace.values))
    return last_answer(window).review


# A second opinion

SLIP = "So 2 + 2 is 5.\n\nAnd 2 + 3 is 5, of course 🎉, is 5.</think>\n\nIt is 5."


def opinion_loader(gate=None):
    """A small model that slips, and a large one that does not."""
    large = ScriptedEngine(
        "4.</think>\n\nIt is 4.",
        name="large",
        expects=lambda before, token: " 4" if token == " 5" and not before.endswith("2 + 3 is") else token,
        before_token=gate.wait_at if gate else lambda _: None,
    )
    return ScriptedLoader(ScriptedEngine(SLIP), large)


@pytest.fixture
def asked(answered_by):
    """A window, and the second opinion that was asked for on an answer that the small model wrote alone."""

    def asked(loader=None):
        window = answered_by(loader or opinion_loader(), policy=Never.Settings())
        last_answer(window).keep_open()
        window.activateWindow()
        QTest.keyClick(window, Qt.Key.Key_S, CONTROL_SHIFT)
        section = last_answer(window).review.opinion
        section.start.click()
        return window, section

    return asked


@pytest.fixture
def given(asked, qtbot):
    window, section = asked()
    qtbot.waitUntil(lambda: section.opinion is not None)
    return window, section


def rows(section):
    return [section.list.item(row).text() for row in range(section.list.count())]


def marked(section):
    laid = section.pane.steps.extraSelections()
    return [each.cursor.selectedText() for each in laid if each.format.underlineColor() == QColor(LIGHT.danger)]


def test_an_opinion_lists_the_slips_and_marks_them_in_the_text(given, qtbot):
    window, section = given
    steps = section.pane.steps
    assert rows(section) == [f"Step {step}: “ 5” → ◆ “ 4” (90%) · not handed over" for step in (1, 2, 3)]
    assert section.line.text() == "large: 3 strong disagreements, 3 of them not handed over."
    assert marked(section) == [" 5", " 5"], "the third is in the answer"
    mark = steps._text_marks[1]

    def told():
        return tip(steps, steps.mark_place(mark).center().toPoint(), steps.viewport())

    qtbot.waitUntil(lambda: "It would have written:" in told())
    assert "“ 4”  90%" in QToolTip.text()
    assert section.list.item(1).toolTip().replace("&lt;", "<").find("“ 5” (1% to the large model)") >= 0
    section.head.click()
    assert not section.list.isVisible()
    assert section.line.isVisible(), "a line says what was found"
    assert marked(section) == []
    section = reopened(window, qtbot).opinion
    qtbot.waitUntil(section.line.isVisible)
    assert not section.list.isVisible()
    section.head.click()
    qtbot.waitUntil(section.list.isVisible)
    assert len(rows(section)) == 3


def test_the_large_model_goes_on_from_the_place_that_is_chosen(given, qtbot):
    window, section = given
    before = window.session.conversation.leaf
    section.list.setFocus()
    qtbot.keyClick(section.list, Qt.Key.Key_Down)
    chosen = section.places[1]
    assert section.pane.steps._chosen_mark.start == chosen.start
    assert section.pane.steps.selected is chosen.piece
    window.session.reviews.changed.emit()
    assert section.list.currentRow() == 1, "whatever else goes on"
    qtbot.keyClick(section.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not before)
    fork = last_exchange(window)
    assert fork.trace.text.startswith(SLIP[: SLIP.index("🎉, is 5") + 5] + "4.")
    assert fork.trace.pieces[-1].author is Author.LARGE
    assert window.session.conversation.siblings(fork) == [before, fork]
    window.session.show(before)
    section = last_answer(window).review.opinion
    qtbot.waitUntil(lambda: bool(section.places))
    section.head.click()
    press(section, "Fork here with ◆")
    assert len(window.session.conversation.siblings(fork)) == 3


def test_an_answer_goes_before_an_opinion_which_can_also_be_stopped(asked, qtbot):
    gate = Gate()
    window, section = asked(opinion_loader(gate))
    qtbot.waitUntil(section.stop.isVisible)
    assert section.bar.isVisible()
    window.session.ask("And 3 + 3?")
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready and window.session.reviews.kind is None)
    assert window.session.conversation.path[0].trace.opinion is None
    gate.clear()
    section = last_answer(window).review.opinion
    section.toggle()
    section.start.click()
    qtbot.waitUntil(section.stop.isVisible)
    qtbot.mouseClick(section.stop, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(lambda: not section.stop.isVisible())
    assert section.opinion is None
    window.models.pair.large.with_card(location="gpu.example").with_ability(Ability.SCORES, False)
    section.follow()
    assert "gives no log-probabilities" in section.note.text()
    assert "serve it with vLLM" in section.note.text()


def test_it_can_be_begun_as_soon_as_there_is_a_text(asked, qtbot):
    loader = opinion_loader()
    loader.small = ScriptedEngine(SLIP, faults=[Fault(0, EngineRefused("The key is wrong.", "Enter another one."))])
    window, section = asked(loader)
    assert section.isVisible()
    assert "There is no text to read." in section.note.text()
    window.session.go_on(last_exchange(window))
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window).trace.finish is Finish.END_OF_TEXT)
    assert section.note.text() == "27 tokens to read."
    press(section, "Start")
    qtbot.waitUntil(lambda: section.opinion is not None)
    assert section.body.isVisible()


def test_an_opinion_on_the_beginning_says_so_and_an_earlier_answer_is_asked_about_by_its_button(given, qtbot):
    window, section = given
    exchange, read = section.pane.exchange, section._given
    exchange.trace.apply(OpinionGiven(read.at, read.model, 20, read.tokens[:5], read.handoff))
    section.follow()
    qtbot.waitUntil(lambda: section.note.text() == PARTLY_READ)
    answer_to(window, qtbot, "And again?")
    earlier = window.chat.conversation.answer_of(exchange)
    earlier.review.opinion.begin()
    qtbot.waitUntil(lambda: section.opinion is not None and section.opinion.is_whole)
    assert last_exchange(window).trace.opinion is None


class TwoPairs(ScriptedLoader):
    """The pair of `opinion_loader`, or another one of the same names for each other choice."""

    def __call__(self, choice, watcher):
        self.choices.append(choice)
        slips = opinion_loader()
        yield Pair(slips.small.with_card(source=choice.small), slips.large.with_card(source=choice.large))


def test_the_pair_that_wrote_is_loaded_for_it_and_then_the_chats_again(make_window, qtbot):
    loader = TwoPairs()
    window = make_window(loader, models=OWN_MODELS)
    window.preferences.change_run(policy=Never.Settings())
    answer_to(window, qtbot, "2 + 2?")
    window.page_actions.use_models(ModelChoice(small="other.gguf", large="large.gguf"))
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY and len(loader.choices) == 2)
    section = last_answer(window).review.opinion
    section.toggle()
    assert section.note.text() == "27 tokens to read. ● small wrote this, and will be loaded first."
    section.start.click()
    qtbot.waitUntil(lambda: section.opinion is not None and window.models.state is LoadState.READY)
    qtbot.waitUntil(lambda: len(loader.choices) == 4 and window.models.state is LoadState.READY)
    smalls = [str(choice.small) for choice in loader.choices]
    assert smalls == ["small.gguf", "other.gguf", "small.gguf", "other.gguf"]


def test_the_menu_says_what_it_takes_and_offers_nothing_that_can_say_nothing(answered_by, qtbot):
    window = answered_by(opinion_loader(), policy=Never.Settings())
    review = last_answer(window).review

    def offered():
        review.examine.menu().aboutToShow.emit()
        return [action.text().split("\t")[0] for action in review.offers.values() if action.isVisible()]

    assert offered()[0] == "Second opinion: 27 tokens to read."
    assert offered()[1].startswith("Values: ")
    assert " continuations" in offered()[1]
    window.preferences.change_run(policy=Always.Settings())
    answer_to(window, qtbot, "And 3 + 3?")
    review = last_answer(window).review
    assert [text.split(":")[0] for text in offered()] == ["Values"], "the large model wrote it itself"


# Values

LATE = "So 2 + 2 is 4.\n\nOr rather 5.\n\nIt stays 5.</think>\n\n\\boxed{5}"
LOST = "Lost at step 2: Or rather 5."


@pytest.fixture
def opened(answered_by, qtbot):
    """A window, and the form below the ribbon of an answer; its small model goes on rightly from a right text."""

    def opened(is_right=lambda body: "5" not in body, small=LATE, **options):
        loader = ScriptedLoader(ScriptedEngine(small, **options) if small else None)
        window = answered_by(loader, **({"policy": Never.Settings()} if small else {}))

        def goes_on(_, body):
            close = "" if "</think>" in body else "\n\nSo.</think>\n\n"
            return close + ("\\boxed{4}" if is_right(body) else "\\boxed{5}")

        loader.small.continue_with = goes_on
        window.activateWindow()
        QTest.keyClick(window, Qt.Key.Key_V, CONTROL_SHIFT)
        section = last_answer(window).review.values
        qtbot.waitUntil(section.start.isVisible)
        section.expected.selectAll()
        qtbot.keyClicks(section.expected, "4")
        qtbot.waitUntil(section.start.isEnabled)
        return window, section, loader.small

    return opened


def value(section, qtbot):
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not section.is_running and section.values is not None and section.source.isVisible())


def shown_values(section):
    return [place.value.value for place in section.values.places]


def test_a_wrong_answer_is_lost_at_its_slip(opened, qtbot):
    window, section, _ = opened()
    assert section.note.text().startswith(ABOUT)
    assert not section.curve.isVisible()
    assert not section.source.isVisible()
    value(section, qtbot)
    assert shown_values(section) == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert section.words.text() == section.curve.accessibleDescription() == LOST
    assert section.source.text() == "Share of continuations that end in 4: 16 from each of 4 places, by ● small alone."
    assert section.place.text() == CHOOSE
    point = section.curve.place_of(2).toPoint()
    qtbot.waitUntil(lambda: tip(section.curve, point) == "● Step 2: value .00 (.00–.19), 16 continuations")
    qtbot.mouseClick(section.curve, Qt.MouseButton.LeftButton, pos=point)
    piece = window.inspector.piece
    assert piece.text == "Or rather 5.\n\n"
    assert section.place.text() == "● Step 2: value .00 (.00–.19), 16 continuations"
    qtbot.mouseClick(section.curve, Qt.MouseButton.LeftButton, pos=QPoint(section.curve.width() // 2, 2))
    assert window.inspector.piece is piece, "there is no point"
    again = reopened(window, qtbot).values
    qtbot.waitUntil(again.line.isVisible)
    assert again.line.text() == LOST
    assert shown_values(again) == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert again.expected.text() == "4"


def test_the_turn_is_the_takeover_beside_which_stands_its_worth_and_keys_walk_along_the_curve(opened, qtbot):
    window, section, _ = opened(lambda body: "make four" in body, small="")  # which it would have got wrong alone
    answer = last_answer(window)
    answer.keep_open()
    margin = answer.steps.document().rootFrame().frameFormat().rightMargin()
    value(section, qtbot)
    assert section.words.text().startswith("The turn: step 2")
    assert section.words.text().endswith("and brought 100% of the gain")
    assert [point.text[:6] for point in section.curve.points][2] == "○ What"
    image = section.curve.grab().toImage()
    colours = {image.pixelColor(x, y).name() for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)}
    assert {LIGHT.small, LIGHT.large, LIGHT.muted} <= colours
    takeover = next(piece for piece in last_exchange(window).trace.pieces if piece.author is Author.LARGE)
    assert {position: change.text for position, change in answer.steps._marks.items()} == {takeover.position: "▲ 1.00"}
    assert answer.steps.document().rootFrame().frameFormat().rightMargin() > margin
    section.curve.setFocus()
    qtbot.keyClick(section.curve, Qt.Key.Key_End)
    assert section.place.text().endswith(": ✓ right")
    qtbot.keyClick(section.curve, Qt.Key.Key_Home)
    assert section.place.text() == "Before the first step: value .00 (.00–.19), 16 continuations"
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Right):
        qtbot.keyClick(section.curve, key)
    assert section.place.text().startswith("○ What step 2 replaced: value .00")
    assert section.place.text() in section.curve.accessibleDescription()
    qtbot.keyClick(section.curve, Qt.Key.Key_Return)
    assert window.inspector.piece is answer.steps.selected is takeover


def test_without_an_expected_answer_it_is_agreement_and_a_restarted_model_is_told(opened, qtbot):
    window, section, small = opened(abilities=ABLE | {Ability.BRANCHES})
    small.notices = {small.written + 9: "The small model was started again."}
    qtbot.keyClick(section.expected, Qt.Key.Key_Backspace)
    qtbot.waitUntil(section.start.isEnabled)
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.notice.text == "The small model was started again.")
    qtbot.waitUntil(lambda: not section.is_running and section.source.isVisible())
    assert shown_values(section) == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert "agree with this answer's own, 5, which is no proof that it is right" in section.words.text()
    assert [point.text for point in section.curve.points][-2].startswith("● Step 3: agreement 1.00")


def test_stopped_it_keeps_what_is_finished_and_goes_on_and_an_answer_goes_before(opened, qtbot):
    window, section, small = opened()
    gate = Gate()
    most = small.written + 120
    small.before_token = lambda body: gate.wait_at(body) if small.written > most else None
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: small.written > most)
    assert section.bar.isVisible()
    assert not section.form.isVisible()
    qtbot.mouseClick(section.stop, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(lambda: section.start.isVisible() and section.start.isEnabled())
    assert section.start.text() == "Go on"
    assert "Not all places are valued yet." in section.words.text()
    assert 0 < sum(len(each.outcomes) for each in section.values.estimated.places) < 64
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: section.values is not None and section.values.estimated.is_whole)
    assert [each.outcomes for each in section.values.estimated.places] == ["1" * 16, "1" * 16, "0" * 16, "0" * 16]
    assert not section.note.text()
    section.writer.setFocus()
    qtbot.keyClick(section.writer, Qt.Key.Key_Down)
    qtbot.waitUntil(section.start.isEnabled)
    section.start.click()
    qtbot.waitUntil(lambda: not section.is_running and len(section.pane.exchange.trace.values) == 2)
    assert section.source.text().endswith("by ◆ large alone.")
    qtbot.keyClick(section.writer, Qt.Key.Key_Up)
    gate.clear()
    qtbot.keyClick(section.expected, Qt.Key.Key_Backspace)
    qtbot.waitUntil(lambda: section.start.isVisible() and section.start.isEnabled())
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(section.stop.isVisible)
    window.session.ask("And 3 + 3?")
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready and window.session.reviews.kind is None)
    assert len(window.session.conversation.path) == 2, "an answer goes before values"
    assert section.values.estimated.target == "4", "what was known is kept"


def test_a_model_that_is_lost_is_a_message_and_what_is_finished_stays(opened, qtbot):
    window, section, small = opened()
    lost = EngineLost("The small model ended.", "Load it again.")
    small._faults = [Fault(small.written + 150, lost, for_good=True)]
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not section.is_running and window.notice.isVisible() and section.curve.isVisible())
    assert window.notice.text.startswith("The small model ended.")
    assert not section.values.estimated.is_whole
    assert section.values.estimated.places[0].outcomes.startswith("1")


def test_what_keeps_values_from_being_estimated_is_said_until_another_answer_is_given(opened, qtbot):
    _, section, _ = opened(small="There is nothing to be found here.")
    qtbot.keyClick(section.expected, Qt.Key.Key_Backspace)
    section.start.click()
    assert "Give the expected answer" in section.note.text()
    qtbot.keyClicks(section.expected, "4")
    assert section.note.text().startswith(ABOUT)


def test_what_was_found_is_shown_and_not_with_another_answer(qtbot, tmp_path):
    loader = opinion_loader()
    exchange = Exchange("2 + 2?", RunSettings(), trace=run(Never(), small=loader.small, large=loader.large).trace)
    for item in SecondOpinion(loader.large, exchange.trace).read():
        if isinstance(item, OpinionGiven):
            exchange.trace.apply(item)
    pane, review = pane_of(qtbot, exchange, LoadedModels(loader, ModelCosts(tmp_path / "costs.json")))
    review.opinion.toggle()
    qtbot.waitUntil(review.opinion.list.isVisible)
    assert not review.opinion.fork.isVisible()
    assert len(rows(review.opinion)) == 3
    pane.show_exchange(Exchange("2 + 2?", RunSettings(), trace=a_valued_run()))
    review.follow()
    assert not review.opinion.isVisible()
    assert marked(review.opinion) == []
    values = review.values
    assert values.line.text().startswith("The turn: step 2")
    assert not values.curve.isVisible()
    values.head.click()
    assert values.curve.isVisible()
    assert values.words.text().startswith("The turn: step 2")
