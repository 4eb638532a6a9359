"""A pair is measured when it has been loaded, unless an answer begins; its speed is said from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.app.window.pair_dialog import PairDialog
from baton_reasoning.core.demo_pair.settings import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import Placement
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.model_costs import ModelCost
from baton_reasoning.core.models.options import ServerUrls, file_source
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish, RunEnded
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.requests import Until
from tests.app.conftest import ScriptedLoader, last_answer
from tests.fakes.scripted import ScriptedEngine

Make = Callable[..., MainWindow]
BRIEF = Keywords.Settings(n1=3, until=Until.TOKENS)
"""The large model writes too few tokens for its cost to be known from them."""
SMALL, LARGE = ModelCost(decode=0.1, further=0.1, prefill=0), ModelCost(decode=0.25, further=0.25, prefill=0)


@pytest.fixture
def files(tmp_path):
    """The files of a pair that is not the demo's."""
    files = {Author.SMALL: tmp_path / "small.gguf", Author.LARGE: tmp_path / "large.gguf"}
    files[Author.SMALL].write_bytes(SMALL_MODEL.read_bytes())
    files[Author.LARGE].write_bytes(LARGE_MODEL.read_bytes())
    return files


@pytest.fixture
def loader(files):
    """A pair on this machine, whose small model answers and whose large one counts."""
    loader, placed = ScriptedLoader(), Placement((), 512, 1, "f16")
    counting = ScriptedEngine(continue_with=lambda *_: " one" * 40, name="large")
    loader.large = counting.with_card(placement=placed, path=files[Author.LARGE])
    answering = ScriptedEngine(continue_with=lambda *_: "Four.</think> It is 4, I think.")
    loader.small = answering.with_card(placement=placed, path=files[Author.SMALL])
    return loader


def measured(window: MainWindow, loader: ScriptedLoader) -> MainWindow:
    window.models.costs.keep(loader.small.card, SMALL)
    window.models.costs.keep(loader.large.card, LARGE)
    window.begin_work()
    return window


def test_a_loaded_pair_is_measured_and_its_speed_is_said_at_the_models(make_window, loader, qtbot):
    window = make_window(loader)
    qtbot.waitUntil(lambda: "Large alone about" in window.topbar.pair.toolTip())
    assert window.models.costs.of(loader.large.card)


def test_what_is_known_is_not_measured_again(make_window, loader, qtbot):
    window = measured(make_window(loader, begin=False), loader)
    expected = "Large alone about 4 tok/s; drafted about 4; pair about 8 at a large share of 20%."
    qtbot.waitUntil(lambda: expected in window.topbar.pair.toolTip())
    assert not loader.small.sessions + loader.large.sessions


def test_an_answer_that_begins_ends_the_measurement(make_window, loader, qtbot):
    begun = threading.Event()

    def wait(_: str) -> None:
        begun.wait()

    loader.small.before_token = wait
    window = make_window(loader)
    qtbot.waitUntil(lambda: bool(loader.small.sessions))
    window.session.ask("What is 2 + 2?")
    begun.set()
    qtbot.waitUntil(lambda: window.session.ready and window.models.state is LoadState.READY)
    assert last_answer(window).exchange.trace.answer.strip() == "It is 4, I think."
    assert window.models.costs.of(loader.small.card) is None
    assert window.models.costs.of(loader.large.card) is None


def test_below_an_answer_stands_how_long_the_large_model_alone_would_have_taken(make_window, loader, qtbot):
    window = measured(make_window(loader, begin=False), loader)
    window.models.costs.keep(loader.large.card, LARGE.model_copy(update={"decode": 60}))
    loader.small.continue_with = lambda _, body: " Four.</think> It is 4." if body else "One.\n\nWait, no"
    window.preferences.change_run(policy=BRIEF)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("What is 2 + 2?")
    qtbot.waitUntil(lambda: last_answer(window).time.isVisible())
    tokens = last_answer(window).exchange.trace.tokens
    expected = f"; the large model alone would have taken about {tokens} min."
    assert last_answer(window).time.text().endswith(expected)
    trace = last_answer(window).exchange.trace
    trace.ended = RunEnded(1.0, Finish.STOPPED)
    last_answer(window).follow()
    assert not last_answer(window).time.isVisible(), "it did not end by itself"


def test_nothing_is_said_below_an_answer_where_the_large_model_is_not_known(window, ask):
    window.preferences.change_run(policy=BRIEF)
    ask("What is 2 + 2?")
    assert last_answer(window).exchange.trace.totals[Author.LARGE].kept
    assert not last_answer(window).time.isVisible()


def test_the_chooser_estimates_a_pair_from_its_sizes_until_it_was_measured(window, loader, files, qtbot):
    def speed(choice: ModelChoice) -> str:
        dialog = PairDialog(choice, window.models.servers, window.models.costs, window)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog.speed.text() if dialog.speed.isVisible() else ""

    pair = ModelChoice(small=file_source(files[Author.SMALL]), large=file_source(files[Author.LARGE]))
    assert speed(pair).startswith("Estimated from their sizes: the pair takes about ")
    window.models.costs.keep(loader.small.card, SMALL)
    window.models.costs.keep(loader.large.card, LARGE)
    assert speed(pair) == (
        "Large alone about 4 tok/s; drafted about 4; pair about 8 at a large share of 20%. So small a model may get "
        "nothing right, and then the pair gains nothing: compare the small model, the pair and the large model in a "
        "batch of ten problems."
    )
    window.models.costs.keep(loader.small.card, LARGE)
    assert "The large model alone is likely as fast, and at least as accurate." in speed(pair)
    on_server = pair.replaced(Author.LARGE, ServerUrls(("http://office:8080",)))
    assert speed(on_server) == "How fast a model on a server is can be said after an answer."
    assert speed(ModelChoice()) == ""
