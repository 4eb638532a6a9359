"""Makes every picture of the window in README and docs: `make screenshots` writes docs/images/*.png.

The window is as it is, and the models are the demo pair, but for the busy pictures: there scripted models write at the
speed of large ones. Runs offscreen, or in a real window under Xvfb.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from app.batch.page import BatchPage
from app.compare.chooser import Chooser
from app.compare.view import CompareView
from app.shared.background import BackgroundTask
from app.shared.garbage_collection import MainThreadCollector
from app.shared.loaded_models import Loading, LoadState
from app.shared.pair_loader import PairLoader
from app.window.main_window import MainWindow
from app.window.models_page import LazyModelsPage, add_models_page
from core.batch.reporting.failures import FailureKind
from core.demo_pair import BATCH_PROBLEMS, READY_PROBLEMS
from core.engines.base import Engine
from core.engines.body import Author
from core.engines.remote.state import StatusCallback
from core.errors import EngineLost
from core.paths import Paths
from core.run import Pair
from core.settings import Appearance, ColourScheme, ModelChoice
from core.thinking.policies.never import Never

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
WIDE, USUAL, NARROW, NARROWEST = (1720, 980), (1440, 900), (900, 800), (760, 720)
PATIENCE_MS = 120_000


SMALL_NAME, LARGE_NAME = "R1-Distill-Qwen-1.5B", "R1-Distill-Qwen-32B"
STORY_PROBLEM = (
    "Ed has 2 dogs, 3 cats and twice as many fish as cats and dogs combined. How many pets does Ed have in total?"
)
BEGINNING = "Okay, so Ed has 2 dogs and 3 cats. That gives \\(2 + 3 = 5\\) cats and dogs combined.\n\n"
SLIP = "The number of fish is twice as many as cats and dogs, so that's \\(2 \\times 3 = 6\\) fish.\n\n"
FISH = "So there are \\(2 \\times 5 = 10\\) fish.\n\nAdding everything up: dogs 2, cats 3, fish 10.\n\n"
END = "So the total is \\(2 + 3 + 10 = 15\\).</think>\n\nEd has \\boxed{15} pets in total."
SMALL_ALONE = (
    f"{BEGINNING}{SLIP}Wait, but the fish could be counted with the cats first, so 3 times 2 is 6 and nothing else.\n\n"
    "Adding everything up: dogs 2, cats 3, fish 6.\n\nSo the total is \\(2 + 3 + 6 = 11\\).</think>\n\n"
    "Ed has \\boxed{11} pets in total."
)
LARGE_ALONE = f"{BEGINNING}Twice as many fish as both together is twice the 5. {FISH}{END}"
TOGETHER = (
    f'{BEGINNING}{SLIP}Wait, "twice as many fish as cats and dogs combined" means twice the 5, not only the cats.'
    f"\n\n{FISH}Let me verify this by recounting each kind: 2 dogs, 3 cats and 10 fish are 15 animals, and 10 is "
    f"indeed twice 5. Everything is consistent with the statement, and nothing has been counted twice.\n\n{END}"
)


class StoryLoader(PairLoader):
    """Two models that tell one story, at 58 and 31 tokens a second."""

    def __call__(self, _choice: ModelChoice, _watcher: StatusCallback) -> Loading:
        from tests.fakes.scripted import ScriptedEngine

        def engine(name: str, alone: str, rate: float) -> Engine:
            made = ScriptedEngine(
                continue_with=lambda _, body: next(
                    (text[len(body) :] for text in (alone, TOGETHER) if text.startswith(body)), ""
                ),
                name=name,
                context=8192,
                chances=lambda _: CHANCES,
                before_token=lambda _: time.sleep(1 / rate),
            )
            return made.with_card(quantisation="Q4_K_M")

        yield Pair(engine(SMALL_NAME, SMALL_ALONE, 58), engine(LARGE_NAME, LARGE_ALONE, 31))


CHANCES = (0.71, 0.18, 0.06, 0.03)


class FailingLoader(PairLoader):
    """As when the large model does not fit."""

    def __call__(self, _choice: ModelChoice, _watcher: StatusCallback) -> Loading:
        yield "Opening the large model…"
        raise EngineLost(
            "There is not enough memory for R1-Distill-Qwen-32B: 19.8 GB are needed, 11.2 GB are free.",
            "Choose a shorter context, fewer GPU layers or a smaller quantisation.",
        )


def main() -> int:
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = QApplication(sys.argv)
    MainThreadCollector(application)
    sys.path.insert(0, str(ROOT))  # the scripted models are the tests', which are not installed
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for look in (ColourScheme.LIGHT, ColourScheme.DARK):
            chat(Paths.under(Path(folder) / look.value), look)
            busy(Paths.under(Path(folder) / f"busy-{look.value}"), look)
            compared(Paths.under(Path(folder) / f"compared-{look.value}"), look)
            batch(Paths.under(Path(folder) / f"batch-{look.value}"), look)
        failed(Paths.under(Path(folder) / "failed"))
    application.quit()
    return 0


def chat(paths: Paths, look: ColourScheme) -> None:
    """Empty, busy, an answer with its steps, the tabs of the inspector, the models, and two dialogs."""
    window = opened(paths, PairLoader(paths), look)
    until(lambda: window.models.state is LoadState.READY)
    save(window, f"empty-{look.value}")
    first, second, third = problems()[:3]
    for problem in (second, third, first):
        window.session.new()
        window.session.ask(problem)
        until(lambda: window.session.ready)
    exchange = window.session.conversation.leaf
    assert exchange
    save(window, f"folded-{look.value}")
    piece = next(piece for piece in exchange.trace.pieces if piece.author is Author.LARGE)
    window.chat.conversation.choose(exchange, piece, reveal=True)
    window.inspector.show_piece(exchange, piece)
    for page, name in enumerate(("chat", "timeline", "run", "replay")):
        window.inspector.tabs.setCurrentIndex(page)
        save(window, f"{name}-{look.value}")
    window.inspector.tabs.setCurrentIndex(0)
    if look is ColourScheme.LIGHT:
        for size, name in ((NARROWEST, "narrowest"), (NARROW, "narrow"), (WIDE, "wide")):
            window.resize(*size)
            save(window, name)
        window.resize(*USUAL)
        window.dialogs.show_settings("policy")
        save_dialog("Settings", "settings")
        window.preferences.change_window(expert=True)
        window.dialogs.show_settings("run")
        save_dialog("Settings", "settings-expert")
        window.show_error(EngineLost("The process of R1-Distill-Qwen-32B ended.", "Load it again."))
        window.show_saved(Path.home() / "answer.html")
        save(window, "messages")
        window.show_recent_messages()
        save_dialog("Recent messages", "messages-recent")
        window.notice.clear()
        window.dialogs.choose_models()
        save_dialog("Choose two models", "choose-models")
    opinion(window, first, look)
    window.show_page("models")
    tab = window.findChild(LazyModelsPage)
    assert tab is not None
    until(lambda: tab.page.controller.devices is not None)
    save(window, f"models-{look.value}")
    window.close()


def opinion(window: MainWindow, problem: str, look: ColourScheme) -> None:
    """What the large model thinks of an answer that the small one wrote alone; the conversation is left afterwards."""
    chosen = window.preferences.value.run
    window.preferences.change_run(policy=Never.Settings())
    window.session.new()
    window.session.ask(problem)
    until(lambda: window.session.ready)
    window.inspector.turn_to_opinion()
    window.inspector.opinion.ask.click()
    until(lambda: window.inspector.opinion.opinion is not None)
    save(window, f"opinion-{look.value}")
    window.preferences.change_run(policy=chosen.policy)


def busy(paths: Paths, look: ColourScheme) -> None:
    """In the middle of a takeover, with formulas."""
    window = opened(paths, StoryLoader(paths), look)
    window.preferences.change(models=ModelChoice(small=SMALL_NAME, large=LARGE_NAME))
    until(lambda: window.models.state is LoadState.READY)
    window.session.ask(STORY_PROBLEM)
    until(lambda: "recounting each kind" in written_text(window))
    save(window, f"busy-{look.value}")
    window.session.stop()
    window.close()


def compared(paths: Paths, look: ColourScheme) -> None:
    """The usual three arms on one problem: chosen, at the end, in a narrow window, and while they are written."""
    window = opened(paths, StoryLoader(paths), look)
    window.preferences.change(models=ModelChoice(small=SMALL_NAME, large=LARGE_NAME))
    until(lambda: window.models.state is LoadState.READY)
    helped = compare_arms(window, "compare-choose" if look is ColourScheme.LIGHT else "").columns[1]
    until(lambda: window.session.ready and bool(helped.head.standing.text()))
    piece = next(piece for piece in helped.exchange.trace.pieces if piece.author is Author.LARGE)
    helped.piece_chosen.emit(piece)
    helped.choose(piece)
    save(window, f"compare-{look.value}")
    if look is ColourScheme.LIGHT:
        window.resize(*NARROW)
        save(window, "compare-narrow")
        window.resize(*USUAL)
    helped = compare_arms(window, at_once=True).columns[1]
    until(lambda: "recounting each kind" in helped.exchange.trace.text)
    save(window, f"compare-busy-{look.value}")
    window.close()


def compare_arms(window: MainWindow, picture: str = "", at_once: bool = False) -> CompareView:
    window.chat.composer.set_text(STORY_PROBLEM)
    window.chat.compare()
    chooser = next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, Chooser))
    chooser.expected.setText("15")
    chooser.at_once.setChecked(at_once)
    if picture:
        save(chooser, picture)
    chooser.go.click()
    view = window.chat.comparison.shown
    assert isinstance(view, CompareView)
    return view


def batch(paths: Paths, look: ColourScheme) -> None:
    """The preview, and forty problems of the demo pair under five arms and a sweep: half done, done, and narrow."""
    window = opened(paths, PairLoader(paths), look)
    until(lambda: window.models.state is LoadState.READY)
    window.show_page("batch")
    page = window.findChild(BatchPage)
    assert page is not None
    page.open_file(BATCH_PROBLEMS)
    until(lambda: page.currentWidget() is page.preview)
    for name, box in page.preview.arms.items():
        box.setChecked(name in ("small", "large", "baton", "random", "tau"))
    page.preview.limit.setValue(40)
    if look is ColourScheme.LIGHT:
        save(window, "batch-preview")
    page.preview.start.click()
    until(lambda: page.session.running)
    until(lambda: page.session.progress.done * 2 > page.session.progress.jobs)
    if look is ColourScheme.LIGHT:
        save(window, "batch-busy")
    until(lambda: not page.session.running and not page.session.findChildren(BackgroundTask))
    save(window, f"batch-{look.value}")
    failures(window, page, look)
    if look is ColourScheme.LIGHT:
        charts = page.view.evidence.verticalScrollBar()
        charts.setValue(charts.maximum())
        save(window, "batch-charts")
        window.resize(*NARROW)
        save(window, "batch-narrow")
        page.view.charts.click()
        charts.setValue(charts.minimum())
        save(window, "batch-narrow-charts")
    window.close()


def failures(window: MainWindow, page: BatchPage, look: ColourScheme) -> None:
    """The failed answers of the batch, once the large model has read them."""
    page.view.failures.click()
    view = page.failures
    until(lambda: view.failures.rowCount() > 0)
    view.arm.setCurrentText("small")
    view.arm.activated.emit(view.arm.currentIndex())
    view.opinions.click()
    until(lambda: view.group.findData(FailureKind.DIVERGED) >= 0)
    view.step(1)
    until(lambda: view.answer.steps.selected is not None)
    save(window, f"failures-{look.value}")
    if look is ColourScheme.LIGHT:
        window.resize(*NARROW)
        save(window, "failures-narrow")
        window.resize(*USUAL)
        view.arm.setCurrentText("baton")
        view.arm.activated.emit(view.arm.currentIndex())
        until(lambda: view.takeovers.rowCount() > 0)
        view.tabs.setCurrentIndex(1)
        save(window, "failures-takeovers")
        view.tabs.setCurrentIndex(0)
    view.left.emit()


def failed(paths: Paths) -> None:
    window = opened(paths, FailingLoader(paths), ColourScheme.LIGHT)
    until(lambda: window.models.state is LoadState.FAILED)
    save(window, "failed")
    window.close()


def opened(paths: Paths, loader: PairLoader, look: ColourScheme) -> MainWindow:
    window = MainWindow(paths, loader)
    window.preferences.change(appearance=Appearance(look=look))
    window.resize(*USUAL)
    window.show()
    window.begin_work()
    add_models_page(window)
    return window


def problems() -> list[str]:
    return [str(json.loads(line)["problem"]) for line in READY_PROBLEMS.read_text("utf-8").splitlines()]


def written_text(window: MainWindow) -> str:
    return window.session.current.trace.text if window.session.current else ""


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


def save(widget: QWidget, name: str) -> None:
    settle = QEventLoop()
    QTimer.singleShot(250, settle.quit)
    settle.exec()
    widget.grab().save(str(IMAGES / f"{name}.png"))
    print(IMAGES / f"{name}.png")


def save_dialog(title: str, name: str) -> None:
    dialog = next(
        widget for widget in QApplication.topLevelWidgets() if widget.windowTitle() == title and widget.isVisible()
    )
    save(dialog, name)
    dialog.close()


if __name__ == "__main__":
    sys.exit(main())
