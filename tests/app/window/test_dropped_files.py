"""Files that are dropped on the window and on the fields of the pair: models, pairs, problems, and anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDragLeaveEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QPushButton, QWidget

from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.toolkit.file_drops import FileDrops
from baton_reasoning.app.window.pair_dialog import PairDialog
from baton_reasoning.core.demo_pair.settings import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.body import Author
from tests.app.dropping import drag_over, dragged, drop
from tests.app.window.test_pair_dialog import opened_pair_dialog


def press(within: QWidget, text: str) -> None:
    (button,) = (each for each in within.findChildren(QAbstractButton) if each.text() == text)
    QApplication.processEvents()  # lays out the message
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def copies_of_the_pair(folder: Path) -> tuple[Path, Path]:
    small, large = folder / "one.gguf", folder / "two.gguf"
    small.write_bytes(SMALL_MODEL.read_bytes())
    large.write_bytes(LARGE_MODEL.read_bytes())
    return small, large


def test_a_file_dropped_anywhere_on_the_window_is_a_batch_whose_columns_need_no_click(window, qtbot, tmp_path):
    path = tmp_path / "math.jsonl"
    rows = (
        {"problem": "What is $1 + 1$?", "solution": "It is \\boxed{2}.", "answer": "2", "unique_id": "a/1.json"},
        {"problem": "Find $\\frac{1}{2}$ of 7.", "answer": "\\frac{7}{2}", "unique_id": "a/2.json"},
    )
    path.write_text("\n".join([*map(json.dumps, rows), '{"problem": ']))
    drop(window, path)
    page = window.findChild(BatchPage)
    assert page is not None
    qtbot.waitUntil(lambda: page.currentWidget() is page.preview)
    assert page.isVisible()
    shown = page.preview.table.texts()[1]
    assert shown == ["a/2.json", "Find $\\frac{1}{2}$ of 7.", "\\frac{7}{2}"]
    assert "math.jsonl line 3" in page.preview.notes.text()


@pytest.mark.parametrize("page", ["chat", "batch"])
@pytest.mark.parametrize("author", [Author.SMALL, Author.LARGE])
def test_a_dropped_model_is_offered_as_small_or_large(window, qtbot, tmp_path, page, author):
    qtbot.waitUntil(lambda: window.session.ready)
    window.show_page(page)
    path = tmp_path / "Some-Model-Q4_K_M.GGUF"
    path.write_bytes(SMALL_MODEL.read_bytes())
    drop(window, path)
    qtbot.waitUntil(lambda: window.notice.text == "Some-Model-Q4_K_M.GGUF is a model.")
    assert window.preferences.value.window.page == page
    press(window.notice, f"Use as {author.value}")
    (dialog,) = window.findChildren(PairDialog)
    assert dialog.edits[author].text() == str(path)
    assert "the demo's" in dialog.warning.text()
    dialog.load.click()
    assert str(window.preferences.value.models.get(author)) == str(path)
    qtbot.waitUntil(lambda: window.session.ready)


def test_dropped_files_of_another_kind_or_number_are_explained_on_the_page(window, tmp_path):
    path = tmp_path / "letter.odt"
    path.write_bytes(b"PK")
    drop(window, path)
    assert "letter.odt is neither a GGUF model nor a supported file of problems." in window.notice.text
    assert window.preferences.value.window.page == "chat"
    small, large = copies_of_the_pair(tmp_path)
    drop(window, small, large, small)
    assert window.notice.text == "3 models were dropped; a pair has two. Drop two."


def test_a_file_dropped_on_the_composer_is_not_text(window, qtbot, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(SMALL_MODEL.read_bytes())
    drop(window.chat.composer.edit.viewport(), path)
    assert window.chat.composer.edit.toPlainText() == ""
    qtbot.waitUntil(lambda: "model.gguf is a model." in window.notice.text)


def test_two_dropped_models_are_a_pair_in_whatever_order(window, qtbot, tmp_path):
    qtbot.waitUntil(lambda: window.session.ready)
    small, large = copies_of_the_pair(tmp_path)
    drop(window, large, small)
    qtbot.waitUntil(lambda: window.notice.text == "● one.gguf and ◆ two.gguf can be a pair.")
    press(window.notice, "Use as pair")
    chosen = window.preferences.value.models
    assert (str(chosen.small), str(chosen.large)) == (str(small), str(large))
    qtbot.waitUntil(lambda: window.session.ready)


def test_a_dropped_file_is_checked_before_it_is_called_a_model(window, qtbot, tmp_path):
    random = tmp_path / "random.gguf"
    random.write_bytes(b"GGUF" + bytes.fromhex("2e9f97b0") * 100)
    drop(window, random)
    qtbot.waitUntil(lambda: "random.gguf is not a usable GGUF file" in window.notice.text)
    assert [each.text() for each in window.notice.findChildren(QPushButton)] == ["Choose models…"]


def test_the_window_is_framed_while_a_file_is_over_it(window, tmp_path):
    frame = window.drops.frame
    data = dragged(tmp_path / "a.gguf")
    drag_over(window, data)
    assert frame.isVisible()
    QApplication.sendEvent(window, QDragLeaveEvent())
    assert not frame.isVisible()


def test_files_dropped_on_the_fields_of_the_pair_fill_them(window, qtbot, tmp_path):
    small, large = copies_of_the_pair(tmp_path)
    dialog = opened_pair_dialog(window, qtbot)
    field = dialog.edits[Author.LARGE]
    (drops,) = field.findChildren(FileDrops)
    data = dragged(large)
    drag_over(field, data)
    assert drops.frame.isVisible()
    drop(field, large)
    assert not drops.frame.isVisible()
    assert field.text() == str(large)
    assert dialog.edits[Author.SMALL].text() == ""
    drop(dialog.edits[Author.SMALL], small, large)
    assert [edit.text() for edit in dialog.edits.values()] == [str(small), str(large)]
    assert dialog.load.isEnabled()


def test_a_pasted_address_of_a_file_is_its_path(window, qtbot, tmp_path):
    small, _ = copies_of_the_pair(tmp_path)
    dialog = opened_pair_dialog(window, qtbot)
    dialog.edits[Author.SMALL].setText(QUrl.fromLocalFile(str(small)).toString())
    with qtbot.waitSignal(dialog.chosen) as chosen:
        dialog.load.click()
    assert str(chosen.args[0].small) == str(small)
