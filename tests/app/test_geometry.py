"""Pages and dialogs by width, scale, text size and theme: nothing is clipped, every control has a name.

Each page is shown at each size, text size and theme; all combinations of them are for the long tier. Judged by geometry
in device-independent pixels, not by pictures. The double scale runs in a process of its own, since Qt reads the scale
when it starts.
"""

import json
import os
import subprocess
import sys
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QSize, Qt
from PySide6.QtGui import QAccessible, QFont, QFontMetrics
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QScrollBar,
    QSizeGrip,
    QSplitter,
    QSplitterHandle,
    QStackedWidget,
    QTabBar,
    QTabWidget,
    QWidget,
)

from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.chat.page import NARROW
from baton_reasoning.app.chat.scoreboards import Board, BoardRow
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.app.toolkit.controls import ElidedButton, ElidedCheckBox, ElidedLabel
from baton_reasoning.app.window.main_window import is_tab_stop
from baton_reasoning.app.window.model_button import ModelButton
from baton_reasoning.app.window.models_page import LazyModelsPage
from baton_reasoning.app.window.settings_dialog import SettingsDialog
from baton_reasoning.core.analysis.opinion import SecondOpinion
from baton_reasoning.core.analysis.value_estimator import ValueEstimator, ValueOptions
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm, ScoreRow
from baton_reasoning.core.engines.base import PrefillProgress
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.secrets import Secrets
from baton_reasoning.core.settings import ColourScheme
from baton_reasoning.core.thinking.events import OpinionGiven, ValuesEstimated
from tests.app.conftest import LARGE, SMALL, ScriptedLoader, answer_to, last_answer, last_exchange
from tests.fakes.held import Gate, ServedEngine
from tests.fakes.keyrings import NO_KEYRING
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE
from tests.tiers import IS_LONG

SIZES = ((760, 720), (900, 800), (1366, 768), (1920, 1080))
SLACK = 1
"""Pixels that rounding may take."""
SIDEWAYS = {"Columns", "Steps side by side"}
"""Areas of columns that scroll sideways, together, where not all columns fit."""
TWICE = "QT_SCALE_FACTOR"
LOOKS = [(ColourScheme.LIGHT, 1.0), (ColourScheme.DARK, 1.5)]
if IS_LONG:
    LOOKS += [(ColourScheme.LIGHT, 1.5), (ColourScheme.DARK, 1.0)]
pytestmark = [pytest.mark.slow, pytest.mark.scaled]


def faults(root):
    """A line for each thing in `root` that is cut off, squeezed or covered, and for each control without a name."""
    for widget in visible_in(root):
        if not is_qts_own(widget):
            for fault in (*outside(widget, root), *squeezed(widget), *covered(widget), *nameless(widget)):
                yield f"{described(widget)}: {fault}"


def visible_in(root):
    yield root
    for child in root.children():
        if isinstance(child, QWidget) and not child.isHidden() and not child.isWindow():
            yield from visible_in(child)


def is_qts_own(widget):
    """A part inside a widget of Qt's, which lays it out itself."""
    parent = widget.parent()
    return (
        isinstance(widget, QScrollBar | QSizeGrip | QSplitterHandle)
        or widget.objectName().startswith("qt_")
        or isinstance(parent, QLineEdit | QComboBox | QAbstractSpinBox | QTabBar)
    )


def outside(widget: QWidget, root):
    """Whether it lies in its parent; in a scroll area it may be as high as it likes, but no wider than the area."""
    parent = widget.parentWidget()
    if widget is root or widget.isWindow() or parent is None:
        return
    area = parent.parentWidget()
    if isinstance(area, QAbstractScrollArea) and parent is area.viewport():
        if area.accessibleName() in SIDEWAYS:
            return
        if isinstance(area, QScrollArea) and area.widget() is widget and widget.width() > parent.width() + SLACK:
            yield f"{widget.width() - parent.width()} px wider than its scroll area"
        return
    if not parent.rect().adjusted(-SLACK, -SLACK, SLACK, SLACK).contains(widget.geometry()):
        yield f"{widget.geometry().getRect()} is not inside {described(parent)} {parent.rect().getRect()}"


def squeezed(widget):
    """Whether it has the room that its text needs."""
    need = QSize()
    match widget:
        # They shorten their text, and show all of it in a tool tip.
        case ElidedLabel() | ElidedButton() | ElidedCheckBox() | ModelButton():
            return
        case QLabel() if widget.text() and widget.wordWrap():
            need = QSize(widest_word(widget), widget.heightForWidth(widget.width()))
        case QLabel() if widget.text():
            need = widget.sizeHint()
        case QTabBar():
            for tab in range(widget.count()):
                is_reached = widget.usesScrollButtons() and widget.window().width() < NARROW
                if not is_reached and not widget.rect().contains(widget.tabRect(tab)):
                    yield f"the tab “{widget.tabText(tab)}” is cut off"
        case QAbstractButton():
            need = widget.sizeHint()
            if isinstance(widget, QPushButton) and widget.isCheckable():
                need = need.expandedTo(QPushButton.sizeHint(widget) + QSize(bold_surplus(widget), 0))
        case QComboBox() | QAbstractSpinBox() | QLineEdit():
            need = widget.minimumSizeHint()
    if widget.width() + SLACK < need.width():
        yield f"{widget.width()} px wide, needs {need.width()}"
    if widget.height() + SLACK < need.height():
        yield f"{widget.height()} px high, needs {need.height()}"


def widest_word(widget):
    advance = widget.fontMetrics().horizontalAdvance
    return max((advance(word) for word in widget.text().split()), default=0)


def bold_surplus(widget):
    """Pixels by which the text of a chosen button, which is bold, is wider than what the size hint is made for."""
    bold, usual = QFont(widget.font()), QFont(widget.font())
    bold.setWeight(QFont.Weight.DemiBold)
    usual.setWeight(QFont.Weight.Normal)
    text = widget.text()
    return QFontMetrics(bold).horizontalAdvance(text) - QFontMetrics(usual).horizontalAdvance(text)


def covered(parent):
    """Whether what its layout holds overlaps."""
    layout = parent.layout()
    if layout is None or isinstance(parent, QStackedWidget | QSplitter | QTabWidget):
        return
    for one, other in combinations(held_by(parent, layout), 2):
        both = one.geometry() & other.geometry()
        if both.width() > SLACK and both.height() > SLACK:
            yield f"{described(one)} and {described(other)} overlap by {both.width()}×{both.height()} px"


def held_by(parent, layout):
    """The visible widgets of a layout of this widget, and of those inside it.

    Without `itemAt`: the layout keeps the Python object of each item that it has told, even when the item is gone. A
    widget that is made at the same place in memory is then taken for that item.
    """
    widgets = [each for each in parent.children() if isinstance(each, QWidget) and layout.indexOf(each) >= 0]
    shown = [each for each in widgets if not each.isHidden()]
    for inner in layout.children():
        shown += held_by(parent, inner)
    return shown


def nameless(widget):
    """Whether assistive technology has a name and a role for what can be pressed or reached by Tab."""
    if widget.focusPolicy() == Qt.FocusPolicy.NoFocus and not isinstance(widget, QAbstractButton):
        return
    if (
        isinstance(widget, QScrollArea | QSplitter | QStackedWidget | QTabWidget | QDialog | QLabel)
        or not widget.isEnabled()
    ):
        return
    interface = QAccessible.queryAccessibleInterface(widget)
    if interface is None:
        yield "unknown to assistive technology"
        return
    if not interface.text(QAccessible.Text.Name).strip():
        yield "has no accessible name"
    if interface.role() in (QAccessible.Role.NoRole, QAccessible.Role.Client):
        yield "has no accessible role"


def described(widget):
    text = widget.text() if isinstance(widget, QLabel | QAbstractButton | QLineEdit) else ""
    parent = type(widget.parent()).__name__
    return f"{type(widget).__name__} in {parent} “{(text or widget.accessibleName() or widget.objectName())[:50]}”"


TROUBLE = "There is not enough memory for the large model: 19.8 GB are needed, and 15.1 GB are free."
PROBLEM = "What is 2 + 2, when it is asked in a sentence that is long enough to be wrapped in a narrow window?"


@pytest.fixture
def places(make_window, qtbot, tmp_path):  # noqa: C901, PLR0915
    """The window after an answer, a comparison and a batch, and how each of its pages and dialogs is shown."""
    gate, small, large = Gate(after=1), ScriptedEngine(*SMALL), ServedEngine(*LARGE, name="large")
    window = make_window(ScriptedLoader(small, large))
    models = LazyModelsPage(window, lambda: Secrets(NO_KEYRING), home=tmp_path / "home")
    answer_to(window, qtbot, PROBLEM)
    answered = window.session.conversation
    exchange = answered.leaf
    window.session.ask_again(exchange)
    qtbot.waitUntil(lambda: window.session.ready and len(answered.siblings(exchange)) == 2)
    window.session.show(exchange)
    batch = batch_done(window, qtbot, tmp_path)
    window.show_page("models")
    qtbot.waitUntil(lambda: models.part.controller.devices is not None and models.part.pairs.table.rowCount() > 0)
    qtbot.waitUntil(lambda: bool(models.part.controller.inventory.models))
    models.part.files.table.choose([0])

    for item in SecondOpinion(window.models.pair.large, exchange.trace).read():
        if isinstance(item, OpinionGiven):
            exchange.trace.apply(item)
    with Grader() as grader:
        estimator = ValueEstimator(window.models.pair, exchange.trace, grader, options=ValueOptions(rollouts=4))
        exchange.trace.apply(next(item for item in estimator.run() if isinstance(item, ValuesEstimated)))

    def chat(act=bool):
        def show():
            gate.set()
            small.prefill = tuple
            small.before_token = large.before_token = lambda _: None
            large.status = ServerStatus(ServerState.CONNECTED)
            window.models.servers_changed.emit()
            qtbot.waitUntil(lambda: window.session.ready)
            window.show_page("chat")
            while window.notice.close_newest():
                pass
            window.show_inspector(False)
            window.chat.close_find()
            window.chat.comparison.leave()
            if window.session.conversation is not answered:
                window.session.open(answered.id)
            act()
            return window

        return show

    def inspector(tab):
        def act():
            window.inspector.show_piece(exchange, exchange.trace.pieces[1])
            window.inspector.tabs.setCurrentIndex(tab)
            window.show_inspector(True)

        return chat(act)

    def reviews():
        """What reviews found in the answer, open."""
        answer = last_answer(window)
        for found in (exchange.trace.opinion, *exchange.trace.values.values()):
            answer.exchange.trace.apply(found)
        for section in (answer.review.opinion, answer.review.values):
            if not section.is_open:
                section.toggle()
        qtbot.waitUntil(lambda: answer.review.opinion.opinion is not None)

    def page(name, act=bool):
        def show():
            window.show_page(name)
            act()
            return window

        return show

    def dialog(act):
        def show():
            act()
            return next(each for each in window.findChildren(QDialog) if each.isVisible())

        return show

    def find():
        window.chat.find_bar.open()
        window.chat.find_bar.edit.setText("the")

    def compare_attempts():
        window.chat.comparison.show_attempts(last_exchange(window))

    def compare_dialog():
        chat()()
        window.chat.compare()

    def read_at_the_gate():
        yield PrefillProgress(430, 1000)
        gate.wait(PATIENCE)

    def fail_after_a_token(body):
        if body:
            raise EngineLost("The process of the small model was killed: there is not enough memory.", "Choose less.")

    def ask(engine, doing, held, is_reached):
        """The same problem in a new conversation, until the engine is held in what it is doing."""
        window.session.new()
        gate.clear()
        setattr(engine, doing, held)
        window.session.ask(PROBLEM)
        qtbot.waitUntil(lambda: bool(is_reached(window.session.current.trace)))

    def failed(trace):
        return trace.ended is not None and window.session.ready

    def scoreboard():
        """As it is while the small model runs alone once more, and the large one could not."""
        score = ScoreRow(ScoredArm.BOTH, None, Outcome.WRONG, seconds=123.4, large_share=0.26, large_time=0.7)
        rows = [
            BoardRow(ScoredArm.SMALL, tokens=1000, seconds=99.9),
            BoardRow(ScoredArm.BOTH, score, seconds=score.seconds),
            BoardRow(ScoredArm.LARGE, status="The process of the large model was killed by signal 9. Run it again."),
        ]
        board = Board(rows, [*ScoredArm][::2], 123.4, is_running=True)
        last_answer(window).show_board(board)

    def show_results(answer=False, folds=False):
        view = batch.view
        batch.setCurrentWidget(view)
        view.close_answer()
        if answer:
            view.table.activated.emit(view.model.index(0, 0))
        for fold, head in view.folded.heads.items():
            if view.folded.is_open(fold) is not folds and not head.isHidden():
                head.click()

    def lose_server():
        reason = "Nothing answers at a-server-with-a-long-name.example.org:8080."
        large.status = ServerStatus(ServerState.LOST, reason=reason)
        window.models.servers_changed.emit()

    found = {
        "empty": chat(window.session.new),
        "answer": chat(),
        "scoreboard": chat(scoreboard),
        "reviews": chat(reviews),
        "find": chat(find),
        "compared attempts": chat(compare_attempts),
        "editing": chat(lambda: window.chat.composer.begin_edit(exchange)),
        "a prompt is read": chat(lambda: ask(small, "prefill", read_at_the_gate, lambda trace: trace.prefill)),
        "the small model writes": chat(lambda: ask(small, "before_token", gate.wait_at, lambda trace: trace.tokens)),
        "the large model writes": chat(lambda: ask(large, "before_token", gate.wait_at, lambda trace: trace.handoffs)),
        "failed answer": chat(lambda: ask(small, "before_token", fail_after_a_token, failed)),
        "server is gone": chat(lose_server),
        **{f"inspector {tab}": inspector(tab) for tab in range(window.inspector.tabs.count())},
        "batch welcome": page("batch", batch._show_welcome),
        "batch preview": page("batch", lambda: batch.setCurrentWidget(batch.preview)),
        "batch results": page("batch", show_results),
        "batch answer": page("batch", lambda: show_results(answer=True)),
        "batch folded parts": page("batch", lambda: show_results(folds=True)),
        **{
            f"models {tab}": page("models", partial(models.part.tabs.setCurrentIndex, tab))
            for tab in range(models.part.tabs.count())
        },
        "error": chat(lambda: window.page_actions.show_error(EngineLost(TROUBLE, "Choose less."))),
        "long message": chat(
            lambda: window.page_actions.show_saved(Path("/home", *["a-long-name"] * 12, "answer.html"))
        ),
        "settings": dialog(window.page_actions.show_settings),
        "settings of a model": dialog(models.part.files.settings.click),
        "choose models": dialog(window.page_actions.choose_models),
        "server": dialog(window.page_actions.connect_server),
        "shortcuts": dialog(window.show_shortcuts),
        "recently deleted": dialog(window.page_actions.show_recently_deleted),
        "compare": dialog(compare_dialog),
    }
    return window, found


def batch_done(window, qtbot, folder):
    """The batch page with the results of three problems."""
    path = folder / "sums.jsonl"
    path.write_text("\n".join(BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[:3]), encoding="utf-8")
    window.show_page("batch")
    batch = window.findChild(BatchPage)
    batch.open_problems(path)
    qtbot.waitUntil(lambda: batch.currentWidget() is batch.preview)
    batch.preview.start.click()
    qtbot.waitUntil(lambda: batch.currentWidget() is batch.view)
    qtbot.waitUntil(lambda: not batch.session.running and not batch.session.findChildren(StreamTask))
    return batch


def test_nothing_is_clipped_and_every_control_has_a_name(places):
    window, shown = places
    found: dict[str, list[str]] = {}
    for turn, (look, text_size) in enumerate(LOOKS):
        appearance = window.preferences.value.appearance.model_copy(update={"look": look, "text_size": text_size})
        window.preferences.change(appearance=appearance)
        for number, (name, show) in enumerate(shown.items()):
            for width, height in SIZES if IS_LONG else [SIZES[(number + turn) % len(SIZES)]]:
                window.resize(width, height)
                place = show()
                for turned in turns(place):
                    for fault in faults_at_rest(place):
                        where = f"{width}/{text_size}/{look.value}"
                        found.setdefault(f"{name}{turned}: {fault}", []).append(where)
                if place is not window:
                    if place.width() > width or place.height() > height:
                        found.setdefault(f"{name} is larger than the window", []).append(f"{place.size()}")
                    place.reject()
                    place.deleteLater()
                    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert not found, "\n".join(f"{fault} [{', '.join(where)}]" for fault, where in found.items())


def test_what_has_the_focus_looks_otherwise(places, qtbot):
    """On each page and in each dialog, of all that Tab comes to."""
    window, shown = places
    unseen: list[str] = []
    for name, show in shown.items():
        place = show()
        place.activateWindow()
        faults_at_rest(place)
        qtbot.waitUntil(place.isActiveWindow)
        stops = [each for each in place.findChildren(QWidget) if is_tab_stop(each) and each.window() is place]
        unseen += [f"{name}: {described(stop)}" for stop in stops if not shows_focus(stop)]
        if place is not window:
            place.reject()
            place.deleteLater()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert not unseen, "\n".join(unseen)


def shows_focus(stop):
    """Whether a widget, or the card that it is in, is drawn otherwise while it has the focus; a cursor is no sign."""
    seen = []
    for focus in True, False:
        stop.setFocus(Qt.FocusReason.TabFocusReason) if focus else stop.clearFocus()
        QApplication.processEvents()
        frame = stop.parentWidget() if stop.property("role") == "bare" else stop
        seen.append(frame.grab().toImage())
    return seen[0] != seen[1]


def turns(place):
    """Turn the settings to the expert view, too: that dialog is slow to open."""
    yield ""
    if isinstance(place, SettingsDialog):
        place.expert.setChecked(True)
        yield ", expert"
        place.expert.setChecked(False)


def faults_at_rest(place):
    """The faults that are left when all layouts have been done: one may ask for another."""
    found: list[str] = []
    for _ in range(8):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        QApplication.processEvents()
        if not (found := list(faults(place))):
            break
    return found


@pytest.mark.long
@pytest.mark.skipif(TWICE in os.environ, reason="this is the process with another scale")
def test_nothing_is_clipped_at_twice_the_scale(tmp_path):
    screen = {"name": "large", "x": 0, "y": 0, "width": 3840, "height": 2160}
    screen |= {"logicalDpi": 96, "logicalBaseDpi": 96, "dpr": 1}
    (tmp_path / "screens.json").write_text(json.dumps({"screens": [screen]}))
    platform = f"offscreen:configfile={tmp_path / 'screens.json'}"
    again = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__]
    environment = os.environ | {TWICE: "2", "QT_QPA_PLATFORM": platform}
    run = subprocess.run(again, env=environment, capture_output=True, text=True, timeout=3_600, check=False)
    assert run.returncode == 0, run.stdout
