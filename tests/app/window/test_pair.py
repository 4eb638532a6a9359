"""The two models and the policy: how they are chosen, dropped on the window, measured, and found again."""

import json
import threading

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDragLeaveEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu

from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.chat.welcome import demo_problem
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.toolkit.controls import FileDrops
from baton_reasoning.app.window.pair_dialog import PairDialog
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import Placement
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.known_servers import KnownServer
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.export.json_format import to_json
from baton_reasoning.core.export.markdown import to_markdown
from baton_reasoning.core.model_costs import ModelCost
from baton_reasoning.core.models.source import LocalFile, ServerUrls, file_source, parse_source
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish, RunEnded
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.registry import matching_preset
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.numbers import duration, short_path
from tests.app.conftest import (
    OWN_MODELS,
    ScriptedLoader,
    answer_to,
    drag_over,
    dragged,
    drop,
    last_answer,
    last_exchange,
    offered,
    pick,
    press,
)
from tests.core.models.ollama_store import put_model
from tests.core.store.made import a_run, an_answer
from tests.fakes.scripted import ScriptedEngine

SMALL, LARGE = Author.SMALL, Author.LARGE


@pytest.fixture
def files(tmp_path):
    """The files of a pair that is not the demo's."""
    files = {SMALL: tmp_path / "one.gguf", LARGE: tmp_path / "two.gguf"}
    files[SMALL].write_bytes(SMALL_MODEL.read_bytes())
    files[LARGE].write_bytes(LARGE_MODEL.read_bytes())
    return files


@pytest.fixture
def opened(window, qtbot):
    """Opens the dialog of the two models."""

    def opened(choice=None):
        choice = choice or window.preferences.value.models
        dialog = PairDialog(choice, window.models, window.preferences, window)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return opened


# The dialog.


def test_another_pair_is_loaded_and_a_recent_one_found_again(window, qtbot):
    qtbot.waitUntil(lambda: window.session.ready)
    window.topbar.pair.click()  # there is no other pair yet
    (dialog,) = window.findChildren(PairDialog)
    dialog.edits[SMALL].setText("demo:small")
    dialog.edits[LARGE].setText("http://one:8080")
    qtbot.waitUntil(lambda: dialog.load.text() == "Load anyway")
    dialog.load.click()
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    first = window.preferences.value.models
    assert str(first.large) == "http://one:8080"
    for address in ("http://two:8080", "http://one:8080", "http://two:8080"):
        window.page_actions.use_models(first.replaced(LARGE, parse_source(address)))
        qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    window.models._loader.error = EngineLost("It does not answer.", "Check it.")
    window.page_actions.use_models(first.replaced(LARGE, parse_source("http://never:8080")))
    qtbot.waitUntil(lambda: window.models.state is LoadState.FAILED)
    recent = window.preferences.value.window.recent_pairs
    assert recent == (("demo:small", "http://two:8080"), ("demo:small", "http://one:8080"))
    window.topbar.pair.click()
    menu = window.topbar.pair.pairs
    _, one, demo, _, choose = menu.actions()
    assert (one.text(), demo.text()) == ("● small.gguf  ◆ http://one:8080", "Demo pair")
    assert choose.text().startswith("Choose two models…")
    menu.close()
    one.trigger()
    assert str(window.preferences.value.models.large) == "http://one:8080"
    window.preferences.change_window(recent_pairs=(("/models/R&D.gguf", "http://one:8080"),))
    window.topbar.pair.click()
    assert menu.actions()[0].text() == "● R&&D.gguf  ◆ http://one:8080", "which a menu shows with one “&”"
    menu.close()


def test_a_file_that_is_no_model_is_refused_and_a_pair_without_sense_warned_of(opened, qtbot, files):
    dialog = opened()

    def shown():
        qtbot.waitUntil(lambda: not (dialog._checking.busy or dialog._pause.isActive()))
        return dialog.load.isEnabled(), dialog.load.text(), dialog.warning.isVisible()

    dialog.edits[SMALL].setText("/nowhere/model.gguf")
    assert shown() == (False, "Load", False)
    assert "model.gguf" in dialog.messages[SMALL].text()
    press(dialog, "Swap")
    assert dialog.edits[LARGE].text() == "/nowhere/model.gguf"
    dialog.edits[LARGE].setText("hf:owner/name:Q4_K_M")
    assert not shown()[0]
    assert "Download it on the Models page" in dialog.messages[LARGE].text()
    for edit in dialog.edits.values():
        edit.clear()
    assert shown() == (True, "Load", False)
    qtbot.keyClicks(dialog.edits[SMALL], str(files[LARGE]))
    assert shown() == (False, "Load", False), "the other is still to be chosen"
    assert dialog.messages[LARGE].text() == "Choose the large model, too."
    dialog.edits[LARGE].setText("demo:large")
    assert shown() == (True, "Load anyway", True)
    assert "The demo's large model" in dialog.warning.text()
    dialog.edits[LARGE].clear()
    qtbot.keyClicks(dialog.edits[LARGE], str(files[SMALL]))
    assert shown() == (True, "Load anyway", True)
    assert "smaller than the small one" in dialog.warning.text()
    press(dialog, "Swap")
    assert shown() == (True, "Load", False)
    dialog.edits[SMALL].setText(QUrl.fromLocalFile(str(files[SMALL])).toString())
    with qtbot.waitSignal(dialog.chosen) as chosen:
        dialog.load.click()
    assert str(chosen.args[0].small) == str(files[SMALL]), "a pasted address of a file is its path"


def test_models_are_offered_by_any_part_of_their_name_and_servers_understood_by_theirs(window, opened, qtbot, tmp_path):
    dialog = opened()
    qwen, phi = tmp_path / "Qwen3-14B.gguf", tmp_path / "Phi-4.gguf"
    window.models.servers.keep({"http://lab:8080": KnownServer(name="lab")})
    window.preferences.change(models=window.preferences.value.models.replaced(LARGE, LocalFile(phi)))
    window.preferences.change_window(recent_pairs=((str(qwen), "http://office:8080"),))
    dialog.offer(lambda: [qwen, tmp_path / "Other.gguf"])
    qtbot.waitUntil(lambda: dialog.offered.rowCount() == 5)
    qtbot.keyClicks(dialog.edits[LARGE], "qwen3-14b.")
    completer = dialog.edits[LARGE].completer()
    assert (completer.completionCount(), completer.currentCompletion()) == (1, str(qwen))
    assert [dialog.offered.item(row).text() for row in range(5)] == [
        f"Phi-4.gguf · {short_path(tmp_path)}",
        f"Qwen3-14B.gguf · {short_path(tmp_path)}",
        "http://office:8080",
        "lab · http://lab:8080",
        f"Other.gguf · {short_path(tmp_path)}",
    ]
    for edit in dialog.edits.values():
        edit.setText("lab")
    with qtbot.waitSignal(dialog.chosen) as chosen:
        dialog.load.click()
    assert chosen.args[0].large == ServerUrls(("http://lab:8080",))


def test_a_model_of_ollama_is_offered_typed_shown_and_dropped_by_its_name(window, opened, qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    blob = put_model(tmp_path, "registry.ollama.ai/library/qwen3/8b", LARGE_MODEL.read_bytes())
    dialog = opened()
    dialog.offer(lambda: [blob])
    qtbot.waitUntil(lambda: dialog.offered.rowCount() == 1)
    assert dialog.offered.item(0).text() == f"qwen3:8b · {short_path(blob.parent)}"
    qtbot.keyClicks(dialog.edits[LARGE], "qwen")
    assert dialog.edits[LARGE].completer().currentCompletion() == "qwen3:8b"
    for edit in dialog.edits.values():
        edit.setText("qwen3:8b")
    with qtbot.waitSignal(dialog.chosen) as chosen:
        dialog.load.click()
    assert chosen.args[0].large == LocalFile(blob), "a name may stand for another file tomorrow"
    assert opened(chosen.args[0]).edits[LARGE].text() == "qwen3:8b"
    blob.unlink()
    dialog.edits[LARGE].setText("qwen3:8b-q4")
    dialog.edits[LARGE].setText("qwen3:8b")
    qtbot.waitUntil(lambda: "Ollama's qwen3:8b cannot be used" in dialog.messages[LARGE].text())
    blob.write_bytes(LARGE_MODEL.read_bytes())
    drop(window, blob)
    qtbot.waitUntil(lambda: window.notice.text == "qwen3:8b is a model.")


def test_typing_a_path_moves_no_field_and_is_judged_when_it_is_left_or_rests(opened, qtbot, tmp_path):
    dialog = opened()
    small, large, said = dialog.edits[SMALL], dialog.edits[LARGE], dialog.messages[SMALL]
    qtbot.waitUntil(lambda: said.text() == "The demo's small model")
    qtbot.waitUntil(dialog.isActiveWindow)
    small.setFocus()
    before = large.geometry()
    for letter in str(tmp_path / "no.gguf"):
        qtbot.keyClicks(small, letter)
        assert said.text() == "", f"“{small.text()}” is not finished"
        assert not dialog.load.isEnabled()
    qtbot.keyClick(small, Qt.Key.Key_Tab)
    qtbot.waitUntil(lambda: "no.gguf cannot be read" in said.text())
    QApplication.processEvents()
    assert large.geometry() == before
    small.setFocus()
    qtbot.keyClicks(small, "x")
    assert said.text() == ""
    qtbot.waitUntil(lambda: "no.ggufx cannot be read" in said.text())
    assert large.geometry() == before


def test_the_folder_of_a_file_is_remembered_and_enter_loads_the_second(window, qtbot, files, monkeypatch):
    asked = []

    def choose(_parent, _title, start, _kinds):
        asked.append(start)
        return str(files[SMALL if len(asked) == 1 else LARGE]), ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    window.page_actions.choose_models()
    (dialog,) = window.findChildren(PairDialog)
    qtbot.waitUntil(dialog.isActiveWindow)
    for author in SMALL, LARGE:
        dialog._browse(author)
    assert asked[1] == str(files[SMALL].parent)
    assert not dialog.warning.isVisible()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is dialog.load)
    qtbot.keyClick(dialog.load, Qt.Key.Key_Return)  # the headers may still be read
    qtbot.waitUntil(lambda: str(window.preferences.value.models.large) == str(files[LARGE]))
    window.page_actions.choose_models(ModelChoice())
    again = next(each for each in window.findChildren(PairDialog) if each is not dialog)
    again._browse(SMALL)
    assert asked[2] == str(files[SMALL].parent), "also after a restart"
    again.reject()


# Files that are dropped.


def test_a_file_dropped_anywhere_on_the_window_is_a_batch_whose_columns_need_no_click(window, qtbot, tmp_path):
    path = tmp_path / "math.jsonl"
    rows = (
        {"problem": "What is $1 + 1$?", "solution": "It is \\boxed{2}.", "answer": "2", "unique_id": "a/1.json"},
        {"problem": "Find $\\frac{1}{2}$ of 7.", "answer": "\\frac{7}{2}", "unique_id": "a/2.json"},
    )
    path.write_text("\n".join([*map(json.dumps, rows), '{"problem": ']))
    empty = tmp_path / "empty"
    empty.mkdir()
    drop(window, empty)
    qtbot.waitUntil(lambda: "empty holds no file of problems" in window.notice.text)
    page = window.findChild(BatchPage)
    page.welcome.problems_wanted.emit(path)
    qtbot.waitUntil(lambda: page.currentWidget() is page.preview)
    assert not window.notice.text
    drop(window, empty)
    qtbot.waitUntil(lambda: "empty holds" in window.notice.text)
    drop(window, path)
    assert not window.notice.text
    assert page.isVisible()
    assert page.preview.table.texts()[1] == ["a/2.json", "Find $\\frac{1}{2}$ of 7.", "\\frac{7}{2}"]
    assert "math.jsonl line 3" in page.preview.notes.text()


def test_of_several_dropped_files_the_others_are_named_and_a_conversation_is_imported(window, qtbot, tmp_path, files):
    page = window.findChild(BatchPage)
    names = [tmp_path / name for name in ("letter.odt", "a.csv", "b.csv", "c.csv", "d.csv")]
    for path in names:
        path.write_text("question,answer\nHow many?,4\n")
    drop(window, *names)
    qtbot.waitUntil(lambda: page.currentWidget() is page.preview)
    assert page.preview.title.text() == "a"
    assert window.notice.text == "a.csv is opened. Not opened: letter.odt, b.csv, c.csv and 1 more."
    drop(window, names[1], files[SMALL])
    qtbot.waitUntil(lambda: window.notice.text == "Not opened: a.csv. one.gguf is a model.")
    exported = an_answer(Trace.of(a_run()))
    conversation, page_of_it = tmp_path / "sums.json", tmp_path / "sums.md"
    conversation.write_text(to_json(exported), encoding="utf-8")
    page_of_it.write_text(to_markdown(exported), encoding="utf-8")
    drop(window, page_of_it)
    told = "sums.md is a conversation that Baton exported. Export it as JSON, and drop that on the window."
    qtbot.waitUntil(lambda: window.notice.text == told)
    drop(window, conversation, page_of_it)
    qtbot.waitUntil(lambda: window.session.conversation.name == "Sums")
    assert window.chat.isVisible()
    assert window.notice.text == "sums.json is opened. Not opened: sums.md."


def test_dropped_models_are_one_of_the_two_or_a_pair_in_any_order_and_the_rest_is_explained(
    window, qtbot, tmp_path, files
):
    letter, random, model = (tmp_path / name for name in ("letter.odt", "random.gguf", "Some-Model-Q4_K_M.GGUF"))
    letter.write_bytes(b"PK")
    drop(window, letter)
    assert "letter.odt is neither a GGUF model nor a supported file of problems. Supported are" in window.notice.text
    drop(window, *files.values(), files[SMALL])
    assert window.notice.text == "3 models were dropped; a pair has two. Drop two."
    random.write_bytes(b"GGUF" + bytes.fromhex("2e9f97b0") * 100)
    drop(window, random)
    qtbot.waitUntil(lambda: "random.gguf has GGUF version 2962" in window.notice.text)
    assert offered(window.notice) == ["Choose models…"]
    model.write_bytes(SMALL_MODEL.read_bytes())
    for page, author, target in (("chat", SMALL, window.chat.composer.edit.viewport()), ("batch", LARGE, window)):
        window.page_actions.use_models(ModelChoice())
        window.show_page(page)
        drop(target, model)
        qtbot.waitUntil(lambda: window.notice.text == "Some-Model-Q4_K_M.GGUF is a model.")
        assert window.chat.composer.edit.toPlainText() == "", "it is not text"
        assert window.preferences.value.window.page == page
        press(window.notice, f"Use as {author.value}")
        *_, dialog = window.findChildren(PairDialog)
        assert dialog.edits[author].text() == str(model)
        other = SMALL if author is LARGE else LARGE
        dialog.edits[other].setText(f"demo:{other.value}")
        qtbot.waitUntil(lambda dialog=dialog: dialog.load.text() == "Load anyway")
        dialog.load.click()
        assert str(window.preferences.value.models.get(author)) == str(model)
    drop(window, files[LARGE], files[SMALL])
    qtbot.waitUntil(lambda: window.notice.text == "● one.gguf and ◆ two.gguf can be a pair.")
    press(window.notice, "Use as pair")
    chosen = window.preferences.value.models
    assert (str(chosen.small), str(chosen.large)) == (str(files[SMALL]), str(files[LARGE]))


def test_window_and_fields_are_framed_while_a_file_is_over_them_and_fields_take_it(window, opened, files):
    drag_over(window, dragged(files[SMALL]))
    assert window.drops.frame.isVisible()
    QApplication.sendEvent(window, QDragLeaveEvent())
    assert not window.drops.frame.isVisible()
    dialog = opened()
    field = dialog.edits[LARGE]
    (drops,) = field.findChildren(FileDrops)
    drag_over(field, dragged(files[LARGE]))
    assert drops.frame.isVisible()
    drop(field, files[LARGE])
    assert not drops.frame.isVisible()
    assert [edit.text() for edit in dialog.edits.values()] == ["", str(files[LARGE])]
    drop(dialog.edits[SMALL], files[SMALL])
    assert [edit.text() for edit in dialog.edits.values()] == [str(files[SMALL]), str(files[LARGE])]
    assert dialog.load.isEnabled()


# A pair is measured when it has been loaded, unless an answer begins; its speed is said from then on.

BRIEF = Keywords.Settings(n1=3, until=Until.TOKENS)
"""The large model writes too few tokens for its cost to be known from them."""
COST_OF_SMALL = ModelCost(decode=0.1, further=0.1, prefill=0)
COST_OF_LARGE = ModelCost(decode=0.25, further=0.25, prefill=0)
SPEED = "Large alone about 4 tok/s; drafted about 4; pair about 8 at a large share of 20%."


@pytest.fixture
def loader(files):
    """A pair on this machine, whose small model answers and whose large one counts."""
    placed = Placement((), 512, 1, "f16")
    answering = ScriptedEngine(continue_with=lambda *_: "Four.</think> It is 4, I think.", placement=placed)
    counting = ScriptedEngine(continue_with=lambda *_: " one" * 40, name="large", placement=placed)
    return ScriptedLoader(answering.with_card(path=files[SMALL]), counting.with_card(path=files[LARGE]))


@pytest.fixture
def measured(make_window, loader):
    """A window that knows what the models cost."""
    window = make_window(loader, begin=False)
    window.models.costs.keep(loader.small.card, COST_OF_SMALL)
    window.models.costs.keep(loader.large.card, COST_OF_LARGE)
    window.begin_work()
    return window


def test_a_loaded_pair_is_measured_which_ends_when_an_answer_begins_and_its_speed_is_said(make_window, loader, qtbot):
    begun = threading.Event()
    loader.small.before_token = lambda _: begun.wait()
    window = make_window(loader)
    qtbot.waitUntil(lambda: bool(loader.small.sessions))
    window.session.ask("What is 2 + 2?")
    begun.set()
    qtbot.waitUntil(lambda: window.session.ready and window.models.state is LoadState.READY)
    assert last_answer(window).exchange.trace.answer.strip() == "It is 4, I think."
    models = loader.small, loader.large
    assert [window.models.costs.of(each.card) for each in models] == [None, None]
    window.page_actions.reload_models()
    qtbot.waitUntil(lambda: "Large alone about" in window.topbar.pair.toolTip())
    assert all(window.models.costs.of(each.card) for each in models)


def test_costs_that_are_known_are_not_measured_and_said_at_the_models_and_below_an_answer(measured, loader, qtbot):
    window = measured
    qtbot.waitUntil(lambda: SPEED in window.topbar.pair.toolTip())
    assert not loader.small.sessions + loader.large.sessions
    window.models.costs.keep(loader.large.card, COST_OF_LARGE.model_copy(update={"decode": 60}))
    loader.small.continue_with = lambda _, body: " Four.</think> It is 4." if body else "One.\n\nWait, no"
    window.preferences.change_run(policy=BRIEF)
    window.session.ask("What is 2 + 2?")
    qtbot.waitUntil(lambda: last_answer(window).time.isVisible())
    trace = last_answer(window).exchange.trace
    expected = f"; the large model alone would have taken about {trace.tokens} min."
    assert last_answer(window).time.text().endswith(expected)
    window.models.costs.keep(loader.large.card, COST_OF_LARGE.model_copy(update={"decode": 1e-9}))
    last_answer(window).follow()
    found = f"{trace.large_share:.0%} by the large model, {duration(trace.seconds)}; alone about 0.0 s: nothing gained."
    remedy = "Choose the policy “First-token entropy” or models farther apart in size."
    assert last_answer(window).time.text() == f"{found} {remedy}"
    trace.ended = RunEnded(1.0, Finish.STOPPED)
    last_answer(window).follow()
    assert not last_answer(window).time.isVisible(), "it did not end by itself"


def test_the_dialog_estimates_a_pair_from_its_sizes_until_it_was_measured(window, opened, loader, files, qtbot):
    def speed(choice):
        dialog = opened(choice)
        qtbot.waitUntil(lambda: not dialog._checking.busy)
        return dialog.speed.text() if dialog.speed.isVisible() else ""

    pair = ModelChoice(small=file_source(files[SMALL]), large=file_source(files[LARGE]))
    assert speed(pair).startswith("Estimated from their sizes: the pair takes about ")
    window.models.costs.keep(loader.small.card, COST_OF_SMALL)
    window.models.costs.keep(loader.large.card, COST_OF_LARGE)
    assert speed(pair).startswith(f"{SPEED} The small model may be too weak")
    assert speed(pair.replaced(LARGE, ServerUrls(("http://office:8080",)))) == ""
    assert speed(ModelChoice()) == ""


# The menu of policies.


@pytest.fixture
def opened_menu(qtbot):
    """Opens the menu by its key, and that of the other policies."""

    def opened(window):
        qtbot.waitUntil(lambda: window.models.state is LoadState.READY and window.isActiveWindow())
        qtbot.keyClick(window, Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier)
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        menu.setActiveAction(entry(menu, "More…"))
        qtbot.keyClick(menu, Qt.Key.Key_Right)
        more = QApplication.activePopupWidget()
        assert isinstance(more, QMenu)
        return menu, more

    return opened


def entry(menu, title):
    return next(action for action in menu.actions() if action.text().startswith(title))


def test_six_policies_are_offered_the_others_after_more_each_with_a_line_that_explains_it(window, opened_menu, qtbot):
    menu, more = opened_menu(window)
    titles = [action.text().split("\t")[0] for action in menu.actions() if not action.isSeparator()]
    common = ["Automatic", "Keywords", "Token entropy", "Every step", "Small only", "Large only"]
    assert titles == [*common, "More…", "Parameters…"]
    assert not menu.toolTipsVisible(), "tool tips would cover the entries below"
    lines = [action.text().split("\t") for each in (menu, more) for action in each.actions() if action.isCheckable()]
    entries = dict(lines)
    assert len(entries) == len(lines), "none is offered twice"
    assert entries["Keywords (paper)"] == Keywords.preset_summaries["paper"]
    assert all(entries.values())
    assert not any("expected answer" in action.toolTip() for action in more.actions()), "no question in a chat has one"
    drafted = entry(more, "Large only, drafted")
    assert not drafted.isEnabled()
    assert "cannot draft for large, since both must be on this machine" in drafted.text()
    assert "llama-server with a draft model" in drafted.toolTip()
    pick(more, "Keywords (paper)")
    assert window.topbar.policy.text().strip() == "Keywords (paper)"
    assert matching_preset(window.preferences.value.run.policy) == "paper"
    window.topbar.policy.choose("never")
    assert window.preferences.value.run.policy.policy == "never"
    assert window.topbar.policy.text().strip() == "Small only"


def test_the_policy_follows_the_pair_which_is_said_until_it_writes_and_may_be_changed(make_window, qtbot):
    """Asked before the models are loaded: the history has the policy that it was."""
    loader = ScriptedLoader()
    loader.gate = threading.Event()
    loader.small.with_card(thinking=None)
    loader.large.with_card(thinking=None)
    window = make_window(loader, models=OWN_MODELS)
    composer, policy = window.chat.composer, window.topbar.policy
    assert (policy.text().strip(), composer.policy_note.text()) == ("Automatic", "")
    window.session.ask("2 + 2?")
    first, conversation = last_exchange(window), window.session.conversation.id
    loader.gate.set()
    qtbot.waitUntil(lambda: first.trace.finish is not None)
    assert first.trace.started.policy == first.settings.policy.policy == "token-entropy"
    qtbot.waitUntil(lambda: window.session.ready)
    assert policy.text().strip() == "Token entropy"
    assert policy.accessibleName() == "Policy: Token entropy, chosen automatically"
    assert not composer.policy_note.isVisible(), "it has been at work"
    window.chat.new()
    assert composer.policy_note.text() == "small was not trained to reason: Baton hands over where it is unsure."
    assert composer.policy_note.isVisible()
    with qtbot.waitSignal(composer.policy_wanted):
        press(composer, "Change")
    policy.menu().hide()
    policy.choose("keywords")
    assert not composer.policy_note.isVisible()
    assert window.session.settings.policy == Keywords.Settings()
    policy.choose("automatic")
    assert composer.policy_note.isVisible()
    window._store.flush()
    (kept,) = window._store.conversations.open(conversation)
    assert kept.settings.policy.policy == "token-entropy"


def test_large_only_drafted_is_written_by_the_large_model(make_window, opened_menu, qtbot, tmp_path):
    """With the real demo pair, which is loaded for one text at a time."""
    window = make_window(PairLoader(Paths.under(tmp_path)))
    _, more = opened_menu(window)
    pick(more, "Large only, drafted")
    trace = answer_to(window, qtbot, demo_problem()).trace
    assert (trace.finish, trace.large_share) == (Finish.END_OF_TEXT, 1)
    assert trace.totals[SMALL].decoded == 0
    assert any(piece.drafts for piece in trace.pieces)
