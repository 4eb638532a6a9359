"""An editor for each kind of value that a setting may have, made from its pydantic field.

What the type does not say, `json_schema_extra` does: `names` of an enum's members, by value; `none` and `lowest`, the
words for no number and for the lowest one; `decimals`, `step`; `percent` for a factor that is shown as such.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from baton_reasoning.app.toolkit.controls import combo_box, decimal_number, whole_number
from baton_reasoning.core.thinking.registry import POLICIES

LARGEST = 2**31 - 1


class Editor(NamedTuple):
    """What the form needs of a widget."""

    widget: QWidget
    value: Callable[[], Any]
    show: Callable[[Any], None]


def editor_of(name: str, field: FieldInfo, changed: Callable[[], None]) -> Editor:
    """`changed` is called when a person has given another value."""
    kind, extra = field.annotation, _extra(field)
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


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


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
    """Return the lowest and the highest value that a field takes; above an open bound, by a hundredth."""
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
