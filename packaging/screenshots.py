"""Takes the pictures of the window that README and docs show: `make screenshots` writes docs/images/*.png.

The window is real, and the models are the demo pair; of the picture with code, the real one, after `make real-pair`.
Runs offscreen, or in a real window under Xvfb.
`screenshots.py chat batch` takes only the pictures of these functions.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.batch.result_table import FIRST_ARM, RowFilter
from baton_reasoning.app.chat.answer_view import AnswerView
from baton_reasoning.app.compare.controller import Chooser
from baton_reasoning.app.compare.view import CompareView
from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.models.page import ModelsPage
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.toolkit.background import MainThreadCollector
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.app.window.models_page import LazyModelsPage
from baton_reasoning.core.analysis.differences import correction_by
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, READY_PROBLEMS
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import Appearance, ColourScheme, ModelChoice
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.policies.automatic import Automatic
from baton_reasoning.core.thinking.trace import Piece
from real_pair import REAL_PAIR

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE = (1280, 800)
PATIENCE_MS = 300_000
COLOURS = 256
"""In a picture: with a palette it takes half the bytes."""
CODE_QUESTION = "Write a Python function that returns the longest word of a text, with an example."
SHADE = 0xFFF8F8F8
"""The bits in which the colours of one shade agree."""


def main() -> int:
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = QApplication(sys.argv)
    MainThreadCollector(application)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        window = opened(Paths.under(Path(folder)))
        for take in (start, chat, opinion, value, comparison, batch, models, code):
            if take.__name__ in sys.argv[1:] or not sys.argv[1:]:
                take(window)
        window.close()
    application.quit()
    return 0


def opened(paths: Paths) -> MainWindow:
    window = MainWindow(paths, PairLoader(paths))
    window.preferences.change(appearance=Appearance(look=ColourScheme.LIGHT))
    window.resize(*SIZE)
    window.show()
    window.begin_work()
    LazyModelsPage(window)
    until(lambda: window.models.state is LoadState.READY)
    return window


def start(window: MainWindow) -> None:
    """The start page, as it is before the first answer."""
    window.show_inspector(False)
    save(window, "start-light")
    window.show_inspector(True)


def chat(window: MainWindow) -> None:
    """An answer of both models, at a takeover that corrected a value, beside each model alone; its run."""
    exchange = asked(window)
    piece = correction(exchange)
    window.resize(SIZE[0], 900)
    window.chat.choose(exchange, piece, reveal=True)
    answer = window.chat.conversation.answer_of(exchange)
    assert answer
    alone = answer.scoreboard.run[ScoredArm.LARGE]
    until(lambda: alone.isVisible() and alone.isEnabled())  # the small one, which begins by itself, has ended
    alone.click()
    until(lambda: answer.scoreboard.halt.isHidden() and alone.isHidden())
    save(window, "chat-light")
    window.turn_light_or_dark()
    window.inspector.tabs.setCurrentIndex(Tab.RUN)
    save(window, "run-dark")
    window.turn_light_or_dark()
    window.resize(*SIZE)


def opinion(window: MainWindow) -> None:
    """What the large model thinks of an answer that the small one wrote alone."""
    chosen = window.preferences.value.run
    window.preferences.change_run(policy=Never.Settings())
    asked(window)
    section = answer_of(window).review.opinion
    answer_of(window).keep_open()
    section.toggle()
    section.start.click()
    until(lambda: section.opinion is not None)
    section.list.setCurrentRow(1)
    save(window, "opinion-light")
    window.preferences.change_run(policy=chosen.policy)


def value(window: MainWindow) -> None:
    """What each step of an answer of both models was worth, at the turn."""
    asked(window)
    section = answer_of(window).review.values
    section.toggle()
    until(section.start.isEnabled)
    section.start.click()
    until(lambda: not section.is_running and section.source.isVisible())
    assert section.values
    assert section.values.turn
    section.curve.select(section.places.index(section.values.turn.after))
    settle()
    section.reveal()
    save(window, "value-light")


def comparison(window: MainWindow) -> None:
    """The small model, both and the large model on one problem."""
    problem = read_problems(READY_PROBLEMS).problems[0]
    window.show_inspector(False)
    window.session.new()
    window.chat.composer.set_text(problem.text)
    window.chat.compare()
    chooser = next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, Chooser))
    chooser.expected.setText(problem.expected or "")
    chooser.go.click()
    view = window.findChild(CompareView)
    assert view is not None
    until(lambda: window.session.ready and all(column.verdict.text() for column in view.columns))
    save(window, "compare-light")
    window.show_inspector(True)


def batch(window: MainWindow) -> None:
    """Forty problems under four arms, then the failed answers of the small model once the large one has read them."""
    window.show_page("batch")
    page = window.findChild(BatchPage)
    assert page is not None
    page.open_problems(BATCH_PROBLEMS)
    until(lambda: page.currentWidget() is page.preview)
    for name, box in page.preview.arms.items():
        box.setChecked(name in ("small", "large", "baton", "random"))
    page.preview.limit.setValue(40)
    reports: list[Report] = []
    page.session.reported.connect(reports.append)
    page.preview.start.click()
    until(lambda: bool(reports) and all(arm.done == arm.jobs for arm in reports[-1].arms))
    until(lambda: not page.session.running)
    save(window, "batch-light")
    view = page.view
    view.filters.buttons[RowFilter.DIFFERENT].click()
    view.table.setCurrentIndex(view.model.index(0, FIRST_ARM))
    view.step(1)
    until(lambda: bool(view.answer.pane.exchange.trace.events))
    view.answer.review.opinion.begin()
    until(lambda: not view.reviewer.kind)
    until(lambda: view.answer.pane.steps.selected is not None)
    save(window, "failures-light")


def models(window: MainWindow) -> None:
    """The pairs of the catalogue that fit this machine."""
    window.show_page("models")
    until(lambda: window.findChild(ModelsPage) is not None)  # it is made when it is first shown
    page = window.findChild(ModelsPage)
    assert page is not None
    until(lambda: page.pairs.table.rowCount() > 0)
    save(window, "models-light")


def code(window: MainWindow) -> None:
    """An answer with code by two ordinary models; the picture stays as it is where they are not on this machine."""
    small, large = (model.target for model in REAL_PAIR)
    if not (small.exists() and large.exists()):
        return
    window.page_actions.use_models(ModelChoice(small=str(small), large=str(large)))
    window.show_page("chat")
    until(lambda: window.session.ready and window.models.pair.small is not None)
    window.preferences.change_run(max_tokens=400, policy=Automatic.Settings())
    exchange = asked(window, CODE_QUESTION)
    piece = next(piece for piece in exchange.trace.pieces if piece.author is Author.LARGE)
    window.inspector.tabs.setCurrentIndex(Tab.STEP)
    window.chat.choose(exchange, piece, reveal=True)
    save(window, "code-light")


def asked(window: MainWindow, problem: str = "") -> Exchange:
    """A problem, the first of the demo pair if none is given, answered in a conversation of its own."""
    window.session.new()
    window.session.ask(problem or read_problems(READY_PROBLEMS).problems[0].text)
    until(lambda: window.session.ready)
    exchange = window.session.conversation.leaf
    assert exchange
    return exchange


def answer_of(window: MainWindow) -> AnswerView:
    """The answer that was asked for last."""
    exchange = window.session.conversation.leaf
    answer = window.chat.conversation.answer_of(exchange) if exchange else None
    assert answer
    return answer


def correction(exchange: Exchange) -> Piece:
    """The first piece with which the large model corrected a value."""
    pieces = exchange.trace.pieces
    return next(piece for index, piece in enumerate(pieces) if correction_by(pieces, index))


def until(true: Callable[[], bool]) -> None:
    """Let the window work until this is so."""
    loop, waited = QEventLoop(), [0]
    poll = QTimer()
    poll.setInterval(20)

    def look() -> None:
        waited[0] += poll.interval()
        if true():
            loop.quit()
        elif waited[0] > PATIENCE_MS:
            raise SystemExit("The window did not come to the state that was to be shown.")

    poll.timeout.connect(look)
    poll.start()
    loop.exec()
    poll.stop()


def settle() -> None:
    """Let the window scroll and paint."""
    loop = QEventLoop()
    QTimer.singleShot(500, loop.quit)
    loop.exec()


def save(window: MainWindow, name: str) -> None:
    """Save a picture of the window once it has settled."""
    settle()
    path = IMAGES / f"{name}.png"
    with_palette(window.grab().toImage()).save(str(path))
    print(path)


def with_palette(image: QImage) -> QImage:
    """The picture in few colours: of each shade the most frequent one, to which its neighbours are moved.

    Not simply the most frequent colours: a word in red is so rare among them that it would turn orange.
    """
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), dtype=np.uint32)
    colours, counts = np.unique(pixels, return_counts=True)
    colours = colours[np.argsort(-counts, kind="stable")]
    _, firsts = np.unique(colours & SHADE, return_index=True)
    return image.convertToFormat(QImage.Format.Format_Indexed8, colours[np.sort(firsts)[:COLOURS]].tolist())


if __name__ == "__main__":
    sys.exit(main())
