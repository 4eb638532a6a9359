"""Window and terminal: what one writes opens in the other. And one choice of settings means one thing on all pages.

What `baton` writes it writes as a process of its own, on the demo pair, so that it and the window share nothing but the
store on the disk.
"""

import io
import json
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
from PySide6.QtWidgets import QAbstractButton, QWidget

from baton_reasoning.app.batch.result_table import FIRST_ARM
from baton_reasoning.app.cli import main
from baton_reasoning.app.compare.controller import arms
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, DemoProblem
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from tests.app.batch.conftest import run, wait_until_done
from tests.app.chat.test_history import names
from tests.app.conftest import OWN_MODELS, answer_to, last_exchange
from tests.patience import PATIENCE
from tests.systems import user_in

PROBLEM = DemoProblem(60_836)
pytestmark = pytest.mark.slow


@pytest.fixture
def open_window(make_window, tmp_path, monkeypatch):
    """Opens the window of a user, whose folders are those of the processes that are started, too."""
    paths = user_in(tmp_path, monkeypatch)
    return lambda: make_window(paths=paths)


def baton(*arguments):
    command = [sys.executable, "-m", "baton_reasoning", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def history(*arguments):
    with redirect_stdout(io.StringIO()) as output:
        assert main(["history", *arguments]) == 0
    return output.getvalue()


def in_terminal(*arguments):
    return [json.loads(line) for line in history(*arguments, "--json").splitlines()]


def test_a_window_shows_opens_and_continues_what_the_terminal_wrote_meanwhile(open_window, qtbot):
    window = open_window()
    with qtbot.waitExposed(other := QWidget()):
        other.show()
        other.activateWindow()
    qtbot.addWidget(other)
    qtbot.waitUntil(lambda: not window.isActiveWindow())
    baton("solve", PROBLEM.question, "-q")
    arms = ("--arm", "large", "--limit", "2", "--parallel", "2", "-c", "1024")
    baton("batch", "run", str(BATCH_PROBLEMS), *arms, "-o", str(window.paths.data / "batch"))
    view = window.chat.sidebar.list
    assert names(window) == []
    with qtbot.waitActive(window):
        window.activateWindow()
    qtbot.waitUntil(lambda: view.model().rowCount() == 2)
    view.activated.emit(view.model().index(1, 0))
    qtbot.waitUntil(lambda: window.session.ready and bool(window.session.conversation.leaf))
    leaf = last_exchange(window)
    assert leaf.problem == PROBLEM.question
    assert f"\\boxed{{{PROBLEM.answer}}}" in leaf.trace.answer
    assert {piece.author for piece in leaf.trace.pieces} >= {Author.SMALL, Author.LARGE}
    window.session.ask("And then?")
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not leaf)
    assert [entry["size"] for entry in in_terminal("list") if entry["kind"] == "answer"] == ["2"], "both answers now"
    window.show_page("batch")

    def opening():
        buttons = window.findChildren(QAbstractButton)
        return [each for each in buttons if "2 problems · large" in each.accessibleName()]

    qtbot.waitUntil(lambda: len(opening()) == 1)
    (earlier,) = opening()
    assert earlier.accessibleName().endswith("done")
    with qtbot.waitSignal(window._batch.session.opened):
        earlier.click()
    wait_until_done(window._batch, qtbot)
    model = window._batch.view.model
    assert [model.index(row, FIRST_ARM).data() for row in range(model.rowCount())] == ["✓", "✓"]


def test_answer_and_batch_of_the_window_open_in_the_terminal(open_window, qtbot, tmp_path):
    window = open_window()
    answer_to(window, qtbot, "How many fish are there?")
    (entry,) = in_terminal("list")
    assert (entry["kind"], entry["name"]) == ("answer", "How many fish are there?")
    assert entry["id"] == window.session.conversation.id
    assert "◆ Wait, let me see: two and two" in history("show", entry["id"][:8])
    two = tmp_path / "two.jsonl"
    two.write_text("\n".join(BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[:2]), encoding="utf-8")
    run(window._batch, qtbot, two, "small")
    entry = next(entry for entry in in_terminal("list") if entry["kind"] == "batch")
    assert entry["size"] == "2 of 2"
    history("export", entry["id"], str(tmp_path / "out.jsonl"))
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_one_choice_means_one_thing_in_chat_batch_and_comparison(make_window):
    window = make_window()
    policies = (Keywords.Settings(), Keywords.presets["paper"], Keywords.Settings(c=3), RandomTakeover.Settings(p=0.5))
    for models in (ModelChoice(), OWN_MODELS):
        for policy in policies:
            window.preferences.change(models=models)
            window.preferences.change_run(policy=policy, alternatives=0)
            chat = window.session.settings
            (arm,) = window._batch.session.make_arms(["chosen"], "")
            assert arm.settings == chat
            assert next(choice.settings for choice in arms(chat) if choice.name == "chosen") == chat
    window.preferences.change(models=ModelChoice())
    window.preferences.change_run(policy=Keywords.Settings(c=3, n1=9))
    (arm,) = window._batch.session.make_arms(["chosen"], "")
    assert arm.settings.policy == Keywords.Settings(c=3, n1=9, n2=22, n3=14, n3_step=0), (
        "own values reach the demo pair"
    )
