"""A form made from a pydantic model: a row for each field, in sections for the models inside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.shared.forms.fields import Editor, editor_of
from app.shared.theme import Role
from app.shared.widgets.controls import IconButton, label

HIDDEN = {"window", "has_key"}
"""What a window remembers of itself, or of a key, is asked of nobody."""
Path = tuple[str, ...]


class FieldEntry(NamedTuple):
    path: Path
    field: FieldInfo


class FormRow(NamedTuple):
    entry: FieldEntry
    editor: Editor
    widgets: tuple[QWidget, ...]
    reset: IconButton
    words: str
    """What a search looks at."""


def entries(model: type[BaseModel], path: Path = ()) -> Iterator[FieldEntry]:
    """All fields, depth first."""
    for name, field in model.model_fields.items():
        if name in HIDDEN:
            continue
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield FieldEntry((*path, name), field)
            yield from entries(kind, (*path, name))
        else:
            yield FieldEntry((*path, name), field)


def value_at(model: BaseModel, path: Path) -> Any:
    for name in path:
        model = getattr(model, name)
    return model


def with_value(model: BaseModel, path: Path, value: Any) -> BaseModel:
    """The same model with one value changed, however deep it lies."""
    name, *rest = path
    inner = with_value(getattr(model, name), tuple(rest), value) if rest else value
    return model.model_copy(update={name: inner})


class SettingsForm(QWidget):
    changed = Signal(object)
    """The whole model with the value that was just given."""

    def __init__(self, value: BaseModel, defaults: BaseModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value = value
        self._defaults = defaults
        self._rows: list[FormRow] = []
        self._heads: list[tuple[QLabel, Path]] = []
        self._grid = QGridLayout(self)
        self._grid.setColumnStretch(1, 1)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(4)
        for entry in entries(type(value)):
            if isinstance(value_at(value, entry.path), BaseModel):
                self._add_head(entry)
            else:
                self._add_row(entry)
        self._grid.setRowStretch(self._grid.rowCount(), 1)
        self.show_value(value)

    def show_value(self, value: BaseModel) -> None:
        self._value = value
        for row in self._rows:
            now = value_at(value, row.entry.path)
            if row.editor.value() != now:
                row.editor.widget.blockSignals(True)
                row.editor.show(now)
                row.editor.widget.blockSignals(False)
            row.reset.setVisible(now != value_at(self._defaults, row.entry.path))

    def search(self, words: str) -> None:
        """Show only the rows that have all the words."""
        wanted = words.lower().split()
        shown: set[Path] = set()
        for row in self._rows:
            fits = all(word in row.words for word in wanted)
            for widget in row.widgets:
                widget.setVisible(fits)
            row.reset.setVisible(fits and row.editor.value() != value_at(self._defaults, row.entry.path))
            if fits:
                shown |= {row.entry.path[:length] for length in range(len(row.entry.path))}
        for head, path in self._heads:
            head.setVisible(path in shown)

    def editor(self, *path: str) -> QWidget:
        return next(row.editor.widget for row in self._rows if row.entry.path == path)

    def head(self, *path: str) -> QWidget | None:
        return next((head for head, at in self._heads if at == path), None)

    def _add_head(self, entry: FieldEntry) -> None:
        head = label(entry.field.title or entry.path[-1], Role.TITLE if len(entry.path) == 1 else Role.HEADING)
        head.setContentsMargins(0, 16 if self._grid.rowCount() > 1 else 0, 0, 2)
        self._grid.addWidget(head, self._grid.rowCount(), 0, 1, 3)
        self._heads.append((head, entry.path))

    def _add_row(self, entry: FieldEntry) -> None:
        title, told = entry.field.title or entry.path[-1], entry.field.description or ""
        editor = editor_of(entry.path[-1], entry.field, lambda: self._take(entry.path))
        editor.widget.setAccessibleName(title)
        section = self._heads[-1][0].text() if len(entry.path) > 1 and self._heads else ""
        editor.widget.setAccessibleDescription(": ".join(filter(None, (section, told))))
        editor.widget.setMinimumWidth(190)
        name = label(title)
        name.setBuddy(editor.widget)
        description = label(told, Role.MUTED)
        description.setWordWrap(True)
        description.setVisible(bool(told))
        reset = IconButton("again", f"Reset “{title}”", lambda: self._reset(entry.path))
        at = self._grid.rowCount()
        self._grid.addWidget(name, at, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(editor.widget, at, 1)
        self._grid.addWidget(reset, at, 2)
        self._grid.addWidget(description, at + 1, 1, 1, 2)
        words = " ".join((title, told, *entry.path)).lower()
        self._rows.append(FormRow(entry, editor, (name, editor.widget, description), reset, words))

    def _take(self, path: Path) -> None:
        row = next(row for row in self._rows if row.entry.path == path)
        self._give(with_value(self._value, path, row.editor.value()))

    def _reset(self, path: Path) -> None:
        self._give(with_value(self._value, path, value_at(self._defaults, path)))

    def _give(self, value: BaseModel) -> None:
        if value != self._value:
            self.show_value(value)
            self.changed.emit(value)
