"""A form made from a pydantic model: a row for each field, in sections for the models inside it.

There is an editor for each kind of value that a setting may have. What the type of a field does not say,
`json_schema_extra` does: `names` of an enum's members, by value; `none` and `lowest`, the words for no number and for
the lowest one; `decimals`, `step`; `percent` for a factor that is shown as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from enum import Enum
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from baton_reasoning.app.toolkit.controls import IconButton, combo_box, decimal_number, label, whole_number
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder
from baton_reasoning.app.toolkit.theme import Role, current_theme
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES, settings_for

HIDDEN = {"window", "has_key", "small", "large"}
"""Persisted, but not edited in a form: the two models are chosen in a dialog of their own, which checks them."""
FIELD_WIDTH = 190
"""Pixels of a number or a choice, at least."""
LARGEST = 2**31 - 1
FieldPath = tuple[str, ...]


class Editor(NamedTuple):
    """What the form needs of a widget."""

    widget: QWidget
    value: Callable[[], Any]
    show: Callable[[Any], None]


def editor_of(name: str, field: FieldInfo, changed: Callable[[], None]) -> Editor:
    """`changed` is called when a person has given another value."""
    kind = field.annotation
    extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    if name == "policy":
        return _choice({policy: kind.title for policy, kind in POLICIES.items()}, changed)
    if isinstance(kind, type) and issubclass(kind, Enum):
        names = extra.get("names", {})
        return _choice({member: names.get(str(member.value), str(member.value)) for member in kind}, changed)
    if kind is bool:
        return _switch(changed)
    if extra.get("percent"):
        return _percent(field, changed)
    if kind in (int, float, int | None, float | None):
        return _number(field, extra, changed)
    if kind == Path | None:
        return _text(changed, path_or_none)
    return _text(changed)


def _choice(choices: dict[Any, str], changed: Callable[[], None]) -> Editor:
    box = combo_box()
    keys = list(choices)
    box.addItems(list(choices.values()))
    box.activated.connect(lambda _: changed())
    return Editor(box, lambda: keys[box.currentIndex()], lambda value: box.setCurrentIndex(keys.index(value)))


def _switch(changed: Callable[[], None]) -> Editor:
    box = QCheckBox()
    box.clicked.connect(lambda _: changed())
    return Editor(box, box.isChecked, box.setChecked)


def _number(field: FieldInfo, extra: dict[str, Any], changed: Callable[[], None]) -> Editor:
    """Make an editor for a number; one that may be None has one more step, below its lowest value, for that."""
    low, high = bounds(field)
    box: Any  # of whole numbers or of others
    if field.annotation in (int, int | None):
        box = whole_number(int(low), int(min(high, LARGEST)))
        box.setGroupSeparatorShown(True)
        box.setSingleStep(extra.get("step", 1))
    else:
        box = decimal_number(low, high, extra.get("decimals", 2))
        box.setSingleStep(extra.get("step", 0.05))
    may_be_none = field.annotation in (int | None, float | None)
    if may_be_none:
        box.setMinimum(box.minimum() - box.singleStep())
    box.setSpecialValueText(extra.get("none", "none") if may_be_none else extra.get("lowest", ""))
    box.setKeyboardTracking(False)
    box.valueChanged.connect(lambda _: changed())

    def value() -> Any:
        return None if may_be_none and box.value() == box.minimum() else box.value()

    def show(value: Any) -> None:
        box.setValue(box.minimum() if value is None else value)

    return Editor(box, value, show)


def _percent(field: FieldInfo, changed: Callable[[], None]) -> Editor:
    """A factor, shown as whole percent."""
    low, high = bounds(field)
    box = whole_number(round(100 * low), round(100 * high))
    box.setSuffix("%")
    box.setSingleStep(10)
    box.setKeyboardTracking(False)
    box.valueChanged.connect(lambda _: changed())
    return Editor(box, lambda: box.value() / 100, lambda value: box.setValue(round(100 * value)))


def _text(changed: Callable[[], None], read: Callable[[str], Any] = str) -> Editor:
    edit = QLineEdit()
    edit.editingFinished.connect(changed)

    def show(value: Any) -> None:
        edit.setText(str(value or ""))
        edit.setCursorPosition(0)

    return Editor(edit, lambda: read(edit.text()), show)


def path_or_none(text: str) -> Path | None:
    """Return the path that was written; None where nothing was."""
    return Path(text.strip()).expanduser() if text.strip() else None


def bounds(field: FieldInfo) -> tuple[float, float]:
    """Return the lowest and the highest value that a field takes. An open lower bound is raised by a hundredth."""
    low, high = 0.0, float(LARGEST)
    for bound in field.metadata:
        match bound:
            case Gt(gt=value):
                low = float(value) + 0.01  # type: ignore[arg-type]
            case Ge(ge=value):
                low = float(value)  # type: ignore[arg-type]
            case Le(le=value) | Lt(lt=value):
                high = float(value)  # type: ignore[arg-type]
    return low, high


class FieldEntry(NamedTuple):
    path: FieldPath
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


def entries(value: BaseModel, path: FieldPath = ()) -> Iterator[FieldEntry]:
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


def value_at(model: BaseModel, path: FieldPath) -> Any:
    return reduce(getattr, path, model)


def default_at(value: BaseModel, defaults: BaseModel, path: FieldPath) -> Any:
    """Return the default of a field; the policy's own where another policy is chosen than in `defaults`."""
    name, *rest = path
    if not rest:
        return getattr(defaults, name)
    inner, default = getattr(value, name), getattr(defaults, name)
    if rest != ["policy"] and type(inner) is not type(default):
        default = type(inner)()
    return default_at(inner, default, tuple(rest))


def with_value(model: BaseModel, path: FieldPath, value: Any) -> BaseModel:
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
        self._heads: list[tuple[QLabel, FieldPath]] = []
        self._frame = QVBoxLayout(self)
        self._frame.setContentsMargins(0, 0, 0, 0)
        self._fields = QWidget()
        self._words = ""
        self._is_wanted: Callable[[FieldPath], bool] = lambda _: True
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

    def show_only(self, wanted: Callable[[FieldPath], bool]) -> None:
        """Show only the rows of these fields, except in a search."""
        self._is_wanted = wanted
        self.search(self._words)

    def search(self, words: str) -> int:
        """Show only the rows that have all the words; returns how many. Without words, those of `show_only`."""
        self._words = words
        sought = words.lower().split()
        shown: set[FieldPath] = set()
        found = 0
        for row in self._rows:
            path = row.entry.path
            fits = all(word in row.searched for word in sought) if sought else self._is_wanted(path)
            found += fits
            row.about.setVisible(fits and bool(row.about.text()))
            row.name.setVisible(fits)
            row.field.setVisible(fits)
            row.reset.setVisible(fits and self.is_changed(path))
            if fits:
                shown.add(path[:-1])
        for head, path in self._heads:
            head.setVisible(path in shown)
        return found

    def paths(self) -> list[FieldPath]:
        """Return the paths of all fields, shown or not."""
        return [row.entry.path for row in self._rows]

    def is_changed(self, path: FieldPath) -> bool:
        """Whether the field has another value than its default."""
        return bool(value_at(self.value, path) != default_at(self.value, self._defaults, path))

    def editor(self, *path: str) -> QWidget:
        return next(row.editor.widget for row in self._rows if row.entry.path == path)

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
        name, description = label(title), label(about, Role.MUTED, wrap=True)
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

    def _take(self, path: FieldPath) -> None:
        row = next(row for row in self._rows if row.entry.path == path)
        self._give(with_value(self.value, path, row.editor.value()))

    def _reset(self, path: FieldPath) -> None:
        self._give(with_value(self.value, path, default_at(self.value, self._defaults, path)))

    def _give(self, value: BaseModel) -> None:
        if value != self.value:
            self.show_value(value)
            self.changed.emit(value)
