"""A form made from a pydantic model: a row for each field, in sections for the models inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from baton_reasoning.app.toolkit.controls import IconButton, label
from baton_reasoning.app.toolkit.forms.fields import Editor, editor_of
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES, settings_for

HIDDEN = {"window", "has_key", "small", "large"}
"""Persisted, but not edited in a form: the two models are chosen in a dialog of their own, which checks them."""
Path = tuple[str, ...]


class FieldEntry(NamedTuple):
    path: Path
    field: FieldInfo


class FormRow(NamedTuple):
    entry: FieldEntry
    editor: Editor
    widgets: tuple[QWidget, ...]
    reset: IconButton
    searched: str
    """The text that is searched."""


def entries(value: BaseModel, path: Path = ()) -> Iterator[FieldEntry]:
    """Yield all fields of the value, depth first. Of a policy: which one it is, then its own parameters."""
    for name, field in type(value).model_fields.items():
        inner = getattr(value, name)
        if name in HIDDEN:
            continue
        if isinstance(inner, PolicySettings):
            chooser, *parameters = entries(inner, (*path, name))
            described = copy(field)
            described.description = POLICIES.of(inner).summary
            yield FieldEntry(chooser.path, described)
            yield from parameters
        elif isinstance(inner, BaseModel):
            yield FieldEntry((*path, name), field)
            yield from entries(inner, (*path, name))
        else:
            yield FieldEntry((*path, name), field)


def value_at(model: BaseModel, path: Path) -> Any:
    for name in path:
        model = getattr(model, name)
    return model


def default_at(value: BaseModel, defaults: BaseModel, path: Path) -> Any:
    """Return the default of a field; the policy's own where another policy is chosen than in `defaults`."""
    name, *rest = path
    if not rest:
        return getattr(defaults, name)
    inner, default = getattr(value, name), getattr(defaults, name)
    if rest != ["policy"] and type(inner) is not type(default):
        default = type(inner)()
    return default_at(inner, default, tuple(rest))


def with_value(model: BaseModel, path: Path, value: Any) -> BaseModel:
    """Return the model with one value changed, however deep it lies. Another policy has its own parameters."""
    name, *rest = path
    if isinstance(model, PolicySettings) and name == "policy":
        return settings_for(value, model)
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
        self._frame = QVBoxLayout(self)
        self._frame.setContentsMargins(0, 0, 0, 0)
        self._fields = QWidget()
        self._words = ""
        self._has_heads = True
        self._is_wanted: Callable[[Path], bool] = lambda _: True
        self._build()
        self.show_value(value)

    def show_value(self, value: BaseModel) -> None:
        fields = [entry.path for entry in entries(self._value)]
        self._value = value
        if fields != [entry.path for entry in entries(value)]:
            self._build()
        for row in self._rows:
            now = value_at(value, row.entry.path)
            if row.editor.value() != now:
                row.editor.widget.blockSignals(True)
                row.editor.show(now)
                row.editor.widget.blockSignals(False)
        self.search(self._words)

    def search(self, words: str) -> int:
        """Show only the rows that have all the words, those too that are otherwise left out; returns how many.

        Without words, the rows that `show_only` chose.
        """
        self._words = words
        wanted = words.lower().split()
        shown: set[Path] = set()
        found = 0
        for row in self._rows:
            fits = all(word in row.searched for word in wanted) if wanted else self._is_wanted(row.entry.path)
            found += fits
            for widget in row.widgets:
                widget.setVisible(fits and not (isinstance(widget, QLabel) and not widget.text()))
            row.reset.setVisible(fits and row.editor.value() != self._default(row.entry.path))
            if fits:
                shown |= {row.entry.path[:length] for length in range(len(row.entry.path))}
        for head, path in self._heads:
            head.setVisible(path in shown and (self._has_heads or bool(wanted)))
        return found

    def show_only(self, wanted: Callable[[Path], bool]) -> None:
        """Show only the rows of these fields, until another choice is made."""
        self._is_wanted = wanted
        self._has_heads = False  # whoever chooses says which rows these are
        self.search(self._words)

    def paths(self) -> list[Path]:
        """Return the paths of all fields, shown or not."""
        return [row.entry.path for row in self._rows]

    def is_changed(self, path: Path) -> bool:
        """Whether the field has another value than its default."""
        return bool(value_at(self._value, path) != self._default(path))

    def editor(self, *path: str) -> QWidget:
        return next(row.editor.widget for row in self._rows if row.entry.path == path)

    def head(self, *path: str) -> QWidget | None:
        return next((head for head, at in self._heads if at == path), None)

    def _build(self) -> None:
        """Make the rows for the value: again when another policy is chosen, whose fields are others."""
        in_focus = next((row.entry.path for row in self._rows if row.editor.widget is self.focusWidget()), None)
        self._frame.removeWidget(self._fields)
        self._fields.hide()
        self._fields.deleteLater()
        self._fields = QWidget()
        self._grid = QGridLayout(self._fields)
        self._grid.setColumnStretch(1, 1)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(4)
        self._rows, self._heads = [], []
        for entry in entries(self._value):
            if isinstance(value_at(self._value, entry.path), BaseModel):
                self._add_head(entry)
            else:
                self._add_row(entry)
        self._grid.setRowStretch(self._grid.rowCount(), 1)
        self._frame.addWidget(self._fields)
        for row in self._rows:
            if row.entry.path == in_focus:
                row.editor.widget.setFocus()

    def _default(self, path: Path) -> Any:
        return default_at(self._value, self._defaults, path)

    def _add_head(self, entry: FieldEntry) -> None:
        head = label(entry.field.title or entry.path[-1], Role.TITLE if len(entry.path) == 1 else Role.HEADING)
        head.setContentsMargins(0, 16 if self._grid.rowCount() > 1 else 0, 0, 2)
        self._grid.addWidget(head, self._grid.rowCount(), 0, 1, 3)
        self._heads.append((head, entry.path))

    def _add_row(self, entry: FieldEntry) -> None:
        title, about = entry.field.title or entry.path[-1], entry.field.description or ""
        editor = editor_of(entry.path[-1], entry.field, lambda: self._take(entry.path))
        editor.widget.setAccessibleName(title)
        section = self._heads[-1][0].text() if len(entry.path) > 1 and self._heads else ""
        editor.widget.setAccessibleDescription(": ".join(filter(None, (section, about))))
        editor.widget.setMinimumWidth(190)
        name = label(title)
        name.setBuddy(editor.widget)
        description = label(about, Role.MUTED, wrap=True)
        description.setVisible(bool(about))
        reset = IconButton("again", f"Reset “{title}”", lambda: self._reset(entry.path))
        at = self._grid.rowCount()
        self._grid.addWidget(name, at, 0)
        self._grid.addWidget(editor.widget, at, 1)
        self._grid.addWidget(reset, at, 2)
        self._grid.addWidget(description, at + 1, 1, 1, 2)
        text = " ".join((title, about, *entry.path)).lower()
        self._rows.append(FormRow(entry, editor, (name, editor.widget, description), reset, text))

    def _take(self, path: Path) -> None:
        row = next(row for row in self._rows if row.entry.path == path)
        self._give(with_value(self._value, path, row.editor.value()))

    def _reset(self, path: Path) -> None:
        self._give(with_value(self._value, path, self._default(path)))

    def _give(self, value: BaseModel) -> None:
        if value != self._value:
            self.show_value(value)
            self.changed.emit(value)
