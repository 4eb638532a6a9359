"""An editor for each kind of value that a setting may have, made from its pydantic field."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from baton_reasoning.app.toolkit.controls import FileEdit, combo_box, decimal_number, whole_number
from baton_reasoning.core.thinking.registry import POLICIES

LARGEST = 2**31 - 1
DECIMALS = 2
"""The decimals of a number whose field names no other."""


class Editor(NamedTuple):
    """What the form needs of a widget."""

    widget: QWidget
    value: Callable[[], Any]
    show: Callable[[Any], None]


def editor_of(name: str, field: FieldInfo, changed: Callable[[], None]) -> Editor:
    """`changed` is called when a person has given another value."""
    kind = field.annotation
    if name == "policy":
        return _choice({policy: kind.title for policy, kind in POLICIES.items()}, changed)
    if isinstance(kind, type) and issubclass(kind, Enum):
        names = _extra(field).get("names", {})
        return _choice({member: names.get(str(member.value), str(member.value)) for member in kind}, changed)
    if kind is bool:
        return _switch(changed)
    if kind is int:
        return _whole(field, changed)
    if kind is float:
        return _percent(field, changed) if _extra(field).get("percent") else _real(field, changed)
    if kind in (int | None, float | None):
        return _optional(_whole if kind == int | None else _real, field, changed)
    if kind == Path | None:
        return _file(changed)
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


def _whole(field: FieldInfo, changed: Callable[[], None]) -> Editor:
    low, high = bounds(field)
    box = whole_number(int(low), int(min(high, LARGEST)))
    if "lowest" in _extra(field):
        box.setSpecialValueText(_extra(field)["lowest"])
    box.setKeyboardTracking(False)
    box.valueChanged.connect(lambda _: changed())
    return Editor(box, box.value, box.setValue)


def _percent(field: FieldInfo, changed: Callable[[], None]) -> Editor:
    """A factor, shown as whole percent."""
    low, high = bounds(field)
    box = whole_number(round(100 * low), round(100 * high))
    box.setSuffix("%")
    box.setSingleStep(10)
    box.setKeyboardTracking(False)
    box.valueChanged.connect(lambda _: changed())
    return Editor(box, lambda: box.value() / 100, lambda value: box.setValue(round(100 * value)))


def _extra(field: FieldInfo) -> dict[str, Any]:
    """Return how a form shows the field, beyond its type."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _real(field: FieldInfo, changed: Callable[[], None]) -> Editor:
    low, high = bounds(field)
    open_below = any(isinstance(bound, Gt) for bound in field.metadata)
    extra = field.json_schema_extra
    decimals = int(str(extra["decimals"])) if isinstance(extra, dict) and "decimals" in extra else DECIMALS
    box = decimal_number(low + (0.01 if open_below else 0.0), high, decimals)
    box.setSingleStep(0.05)
    box.setKeyboardTracking(False)
    box.valueChanged.connect(lambda _: changed())
    return Editor(box, box.value, box.setValue)


def _optional(make: Callable[..., Editor], field: FieldInfo, changed: Callable[[], None]) -> Editor:
    """Make an editor for a number that may be None: one step below its lowest value, with a text of its own."""
    number = make(field, changed)
    box: Any = number.widget  # of whole numbers or of others
    extra = field.json_schema_extra
    box.setSpecialValueText(str(extra["none"]) if isinstance(extra, dict) and "none" in extra else "none")
    box.setMinimum(box.minimum() - box.singleStep())
    lowest = box.minimum()

    def value() -> Any:
        return None if box.value() == lowest else box.value()

    def show(value: Any) -> None:
        box.setValue(lowest if value is None else value)

    return Editor(box, value, show)


def _text(changed: Callable[[], None]) -> Editor:
    edit = QLineEdit()
    edit.editingFinished.connect(changed)

    def show(value: Any) -> None:
        edit.setText(str(value))
        edit.setCursorPosition(0)

    return Editor(edit, edit.text, show)


def _file(changed: Callable[[], None]) -> Editor:
    edit = FileEdit()
    edit.changed.connect(changed)
    return Editor(edit, edit.path, edit.show_path)


def bounds(field: FieldInfo) -> tuple[float, float]:
    """Return the lowest and the highest value that a field takes."""
    low, high = 0.0, float(LARGEST)
    for bound in field.metadata:
        match bound:
            case Ge(ge=value) | Gt(gt=value):
                low = float(value)  # type: ignore[arg-type]
            case Le(le=value) | Lt(lt=value):
                high = float(value)  # type: ignore[arg-type]
    return low, high
