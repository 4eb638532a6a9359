"""A form made from a pydantic model: a row for each field, in sections for the models inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import reduce
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from baton_reasoning.app.toolkit.controls import IconButton, label
from baton_reasoning.app.toolkit.forms.fields import Editor, editor_of
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder
from baton_reasoning.app.toolkit.theme import Role, current_theme
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES, settings_for

HIDDEN = {"window", "has_key", "small", "large"}
"""Persisted, but not edited in a form: the two models are chosen in a dialog of their own, which checks them."""
FIELD_WIDTH = 190
"""Pixels of a number or a choice, at least."""
Path = tuple[str, ...]


class FieldEntry(NamedTuple):
    path: Path
    field: FieldInfo

    @property
    def title(self) -> str:
        return self.field.title or self.path[-1]


class FormRow(NamedTuple):
    entry: FieldEntry
    editor: Editor
    reset: IconButton
    name: QLabel
    field: QWidget
    about: QLabel
    searched: str
    """The text that is searched."""


def entries(value: BaseModel, path: Path = ()) -> Iterator[FieldEntry]:
    """Yield all fields of the value, depth first: of each model its own fields, then the models inside it."""
    fields = {name: field for name, field in type(value).model_fields.items() if name not in HIDDEN}
    inner = {name: field for name, field in fields.items() if isinstance(getattr(value, name), BaseModel)}
    for name, field in fields.items():
        if isinstance(value, PolicySettings) and name == "policy":
            chooser = copy(field)
            chooser.title, chooser.description = "Policy", POLICIES.of(value).summary
            yield FieldEntry((*path, name), chooser)
        elif name not in inner:
            yield FieldEntry((*path, name), field)
    for name, field in inner.items():
        yield FieldEntry((*path, name), field)
        yield from entries(getattr(value, name), (*path, name))


def value_at(model: BaseModel, path: Path) -> Any:
    return reduce(getattr, path, model)


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

    def __init__(self, value: BaseModel, defaults: BaseModel) -> None:
        super().__init__()
        self.value = value
        self._defaults = defaults
        self._rows: list[FormRow] = []
        self._heads: list[tuple[QLabel, Path]] = []
        self._frame = QVBoxLayout(self)
        self._frame.setContentsMargins(0, 0, 0, 0)
        self._fields = QWidget()
        self.notes: dict[Path, str] = {}
        """What is to be said of a field besides its description."""
        self._words = self._mark = ""
        self._is_wanted: Callable[[Path], bool] = lambda _: True
        current_theme().changed.connect(self._fit)
        self._build()
        self.show_value(value)

    def show_value(self, value: BaseModel) -> None:
        fields = [entry.path for entry in entries(self.value)]
        self.value = value
        if fields != [entry.path for entry in entries(value)]:
            self._build()
        for row in self._rows:
            now = value_at(value, row.entry.path)
            if row.editor.value() != now:
                row.editor.widget.blockSignals(True)
                row.editor.show(now)
                row.editor.widget.blockSignals(False)
        self.search(self._words)

    def show_only(self, wanted: Callable[[Path], bool], mark: str = "") -> None:
        """Show only the rows of these fields, except in a search: there the others are described with `mark` first."""
        self._is_wanted, self._mark = wanted, mark
        self.search(self._words)

    def search(self, words: str) -> int:
        """Show only the rows that have all the words; returns how many. Without words, those of `show_only`."""
        self._words = words
        sought = words.lower().split()
        shown: set[Path] = set()
        found = 0
        for row in self._rows:
            path, is_wanted = row.entry.path, self._is_wanted(row.entry.path)
            fits = all(word in row.searched for word in sought) if sought else is_wanted
            found += fits
            about = " · ".join(filter(None, ("" if is_wanted else self._mark, row.entry.field.description)))
            row.about.setText("\n".join(filter(None, (about, self.notes.get(path)))))
            row.about.setVisible(fits and bool(row.about.text()))
            row.name.setVisible(fits)
            row.field.setVisible(fits)
            row.reset.setVisible(fits and self.is_changed(path))
            if fits:
                shown.add(path[:-1])
        for head, path in self._heads:
            head.setVisible(path in shown)
        return found

    def paths(self) -> list[Path]:
        """Return the paths of all fields, shown or not."""
        return [row.entry.path for row in self._rows]

    def is_changed(self, path: Path) -> bool:
        """Whether the field has another value than its default."""
        return bool(value_at(self.value, path) != default_at(self.value, self._defaults, path))

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
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(2)
        self._rows, self._heads = [], []
        for entry in entries(self.value):
            if isinstance(value_at(self.value, entry.path), BaseModel):
                self._add_head(entry)
            else:
                self._add_row(entry)
        self._grid.setRowStretch(self._grid.rowCount(), 1)
        self._fit()
        self._frame.addWidget(self._fields)
        for row in self._rows:
            if row.entry.path == in_focus:
                row.editor.widget.setFocus()

    def _add_head(self, entry: FieldEntry) -> None:
        head = label(entry.title, Role.HEADING)
        head.setContentsMargins(0, 14 if self._grid.rowCount() > 1 else 0, 0, 2)
        self._grid.addWidget(head, self._grid.rowCount(), 0, 1, 2)
        self._heads.append((head, entry.path))

    def _add_row(self, entry: FieldEntry) -> None:
        title, about = entry.title, entry.field.description or ""
        section = self._heads[-1][0].text() if len(entry.path) > 1 and self._heads else ""
        editor = editor_of(entry.path[-1], entry.field, lambda: self._take(entry.path))
        editor.widget.setAccessibleName(title)
        editor.widget.setAccessibleDescription(": ".join(filter(None, (section, about))))
        name, description = label(title), label("", Role.MUTED, wrap=True)
        name.setBuddy(editor.widget)
        description.setContentsMargins(0, 0, 0, 10)
        reset = IconButton("again", f"Reset “{title}”", lambda: self._reset(entry.path))
        keeps_its_place = reset.sizePolicy()
        keeps_its_place.setRetainSizeWhenHidden(True)
        reset.setSizePolicy(keeps_its_place)
        is_wide = isinstance(editor.widget, QLineEdit)
        cells = ((editor.widget, 1), reset) if is_wide else (editor.widget, reset, STRETCH)
        field = holder(hbox(*cells, margins=0, spacing=4))
        at = self._grid.rowCount()
        self._grid.addWidget(name, at, 0)
        self._grid.addWidget(field, at, 1)
        self._grid.addWidget(description, at + 1, 1)
        text = " ".join((section, title, about, *entry.path)).lower()
        self._rows.append(FormRow(entry, editor, reset, name, field, description, text))

    def _fit(self) -> None:
        """Give names and fields one width, whichever rows are shown."""
        self._grid.setColumnMinimumWidth(0, max((row.name.sizeHint().width() for row in self._rows), default=0))
        for row in self._rows:
            row.editor.widget.setMinimumWidth(current_theme().scaled(FIELD_WIDTH))

    def _take(self, path: Path) -> None:
        row = next(row for row in self._rows if row.entry.path == path)
        self._give(with_value(self.value, path, row.editor.value()))

    def _reset(self, path: Path) -> None:
        self._give(with_value(self.value, path, default_at(self.value, self._defaults, path)))

    def _give(self, value: BaseModel) -> None:
        if value != self.value:
            self.show_value(value)
            self.changed.emit(value)
