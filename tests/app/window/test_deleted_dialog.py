"""What was deleted, in the window: listed with the days that are left, and brought back."""

import pytest
from PySide6.QtCore import Qt

from baton_reasoning.app.window.deleted_dialog import DeletedDialog
from baton_reasoning.core.conversation import Exchange
from tests.app.chat.test_history import names
from tests.app.conftest import press


@pytest.fixture
def open_list(window, qtbot):
    def opened():
        qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
        dialog = window.findChildren(DeletedDialog)[-1]
        qtbot.waitUntil(lambda: dialog.note.text() != "Reading…")
        return dialog

    return opened


def test_conversations_and_batches_are_listed_and_brought_back_into_their_lists(window, open_list, qtbot):
    store = window._store
    for name in "abc":
        store.conversations.put(name, Exchange(f"How many {name}?", id=f"e{name}")).result()
    batch = store.batches.create("Sums", {}, [], [])
    for name in "ab":
        store.conversations.delete(name)
    store.batches.delete(batch)
    window.chat.sidebar.refresh()
    qtbot.waitUntil(lambda: names(window) == ["How many c?"])
    dialog = open_list()
    listed = [["Sums", "batch", "30"], ["How many b?", "conversation", "30"], ["How many a?", "conversation", "30"]]
    assert dialog.table.texts() == listed
    assert dialog.table.accessibleName() == "Recently deleted"
    dialog.table.choose([0, 2])
    press(dialog, "Restore")
    qtbot.waitUntil(lambda: dialog.table.texts() == [listed[1]])
    qtbot.waitUntil(lambda: sorted(names(window)) == ["How many a?", "How many c?"])
    qtbot.waitUntil(lambda: list(window._batch.welcome._rows) == [batch])
    qtbot.keyClick(dialog.table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dialog.note.text() == "Nothing was deleted in the last 30 days.")
    assert not dialog.restore.isEnabled()
    press(dialog, "Close")
