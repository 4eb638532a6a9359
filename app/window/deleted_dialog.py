"""What was deleted in the last 30 days, conversations and batches, and a way to bring it back."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QWidget

from baton_reasoning.app.toolkit.background import BackgroundTask, LatestTask
from baton_reasoning.app.toolkit.controls import button, label
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.tables import RowTable
from baton_reasoning.app.toolkit.theme import Role, current_theme
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.store.deleted import Deleted
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.table import Column


class DeletedDialog(QDialog):
    restored = Signal()
    """Something is in the lists again."""

    def __init__(self, store: Store, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Recently deleted")
        self._store = store
        self._rows: list[Deleted] = []
        self._reading = LatestTask(self, "list what was deleted", self._show_error)
        columns = Column("name", is_number=False), Column("kind", is_number=False), Column("days left")
        self.table = RowTable("Recently deleted", columns, chooses_many=True)
        self.note = label("", Role.MUTED, wrap=True)
        self.restore = button("Restore", self._restore, Role.PRIMARY, tip="Bring the chosen ones back into the lists")
        self.restore.setDefault(True)
        self.table.chosen_changed.connect(self._show_chosen)
        self.table.doubleClicked.connect(self._restore)
        foot = hbox(STRETCH, self.restore, button("Close", self.reject))
        self.setLayout(vbox(self.note, (self.table, 1), foot, spacing=10))
        self.resize(min(current_theme().scaled(560), parent.width()), 420)
        self._show([])
        self.note.setText("Reading…")
        self._read()

    def _read(self) -> None:
        self._reading.run(self._store.deleted, self._show)

    def _show(self, rows: list[Deleted]) -> None:
        self._rows = rows
        kept = "Each is removed for good when no day is left."
        self.note.setText(kept if rows else "Nothing was deleted in the last 30 days.")
        cells = [(each.name, "batch" if each.is_batch else "conversation", str(each.days_left)) for each in rows]
        self.table.show_rows(cells, chosen=range(bool(rows)))

    def _show_chosen(self) -> None:
        self.restore.setEnabled(bool(self.table.chosen))

    def _show_error(self, error: BatonError) -> None:
        self.note.setText(str(error))

    def _restore(self) -> None:
        chosen = [self._rows[row] for row in self.table.chosen]

        def restore() -> None:
            for each in chosen:
                self._store.restore(each)

        def restored(_: None) -> None:
            self.restored.emit()
            self._read()

        BackgroundTask(self, "restore", restore).success(restored).failure(self._show_error).start()
