"""Buttons, labels and fields of the window, files dropped on them, and what screen readers are told."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QAccessibleInterface,
    QColor,
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QAccessibleWidget,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QToolTip,
    QWidget,
)

from baton_reasoning.app.toolkit.theme import Role, current_theme, icon, set_role

TEXT_MARGIN = 8
"""Pixels between the edge of a number box and its text."""
ABOVE_OPENED = 48
"""Pixels that stay in view above a part that was opened."""
_ACCESSIBLE_ROLE = "accessible-role"
_is_installed = False


def label(text: str = "", role: Role | None = None, *, wrap: bool = False, selectable: bool = False) -> QLabel:
    """Show text as it is, whatever it contains. `wrap`: break lines; `selectable`: with the mouse, to be copied."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if selectable:
        made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if role:
        set_role(made, role)
    return made


def plain_tip(text: str) -> str:
    """Escape a text for a tool tip: Qt would take what looks like HTML for that, and load its images."""
    return f'<p style="white-space:pre-wrap">{html.escape(text)}</p>' if "<" in text else text


def key_text(key: str) -> str:
    """Write a key as this system does: “Ctrl+N”, on a Mac “⌘N”. `key`: as Qt writes it in English."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)


def with_key(text: str, key: str) -> str:
    """Add its key to what a control does: “New conversation (Ctrl+N)”."""
    return f"{text} ({key_text(key)})"


def delete_keys() -> tuple[str, ...]:
    """Return the keys that delete what is chosen, first the one to name: a Mac has Backspace in the place of Delete."""
    return ("Backspace", "Delete") if sys.platform == "darwin" else ("Delete",)


def literal(text: str) -> str:
    """Escape a text for a menu, a button or a check box, where Qt takes “&” for the mark of a key."""
    return text.replace("&", "&&")


if TYPE_CHECKING:
    _Control = QAbstractButton
else:
    _Control = object


class _Literal(_Control):
    """A control that shows its text as it is, and marks no key in it."""

    def setText(self, text: str) -> None:
        super().setText(literal(text))

    def text(self) -> str:
        return super().text().replace("&&", "&")


class Button(_Literal, QPushButton):
    """A button that Return and Enter press, too, in a dialog instead of its default button."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setText(text)
        self.setAutoDefault(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)


def button(text: str, press: Callable[[], object], role: Role | None = None, tip: str = "", name: str = "") -> Button:
    """Make a button. `name`: for screen readers, where its text alone does not say what it does."""
    made = Button(text)
    made.clicked.connect(lambda: press())
    made.setAccessibleName(name)
    if tip:
        made.setToolTip(tip)
    if role:
        set_role(made, role)
    return made


def whole_number(lowest: int, highest: int) -> QSpinBox:
    """Make a field for a whole number; the wheel changes it only while it has the focus."""
    box = QSpinBox()
    box.setRange(lowest, highest)
    _prepare_number_box(box)
    return box


def decimal_number(lowest: float, highest: float, decimals: int) -> QDoubleSpinBox:
    """Make a field for a decimal number; the wheel changes it only while it has the focus."""
    box = QDoubleSpinBox()
    box.setDecimals(decimals)  # before the range, which is rounded to them
    box.setRange(lowest, highest)
    _prepare_number_box(box)
    return box


def _prepare_number_box(box: QAbstractSpinBox) -> None:
    _ignore_wheel_without_focus(box)
    box.lineEdit().setTextMargins(TEXT_MARGIN, 0, 0, 0)  # the style sheet's padding does not apply to a number box


def line_edit(name: str, placeholder: str = "", text: str = "") -> QLineEdit:
    """Make a field for a line of text; `name` is for screen readers."""
    edit = QLineEdit(text)
    edit.setAccessibleName(name)
    edit.setPlaceholderText(placeholder)
    return edit


def progress_bar(name: str) -> QProgressBar:
    """Make a progress bar without text; `name` is for screen readers."""
    bar = QProgressBar()
    bar.setAccessibleName(name)
    bar.setTextVisible(False)
    return bar


def combo_box(name: str = "") -> QComboBox:
    """Make an empty combo box; the wheel changes the choice only while it has the focus."""
    box = _ElidedComboBox()
    box.setAccessibleName(name)
    _ignore_wheel_without_focus(box)
    return box


class _WheelOnlyWithFocus(QObject):
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)


def _ignore_wheel_without_focus(field: QWidget) -> None:
    """Pass the wheel on to the page unless the field has the focus, so that scrolling changes no value."""
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    field.installEventFilter(_WheelOnlyWithFocus(field))


class IconButton(QToolButton):
    """A button with an icon; its name is also its tool tip."""

    def __init__(self, picture: str, name: str, press: Callable[[], object]) -> None:
        super().__init__()
        self._picture = picture
        self.setAccessibleName(name)
        self.setToolTip(name)
        set_role(self, Role.FLAT)
        self.clicked.connect(lambda: press())
        current_theme().changed.connect(self._draw)
        self._draw()

    def _draw(self) -> None:
        side = current_theme().scaled(16)
        self.setIconSize(QSize(side, side))
        self.setIcon(icon(self._picture, current_theme().colours.muted))


class Hairline(QFrame):
    """One pixel between two parts of the window."""

    def __init__(self) -> None:
        super().__init__()
        set_role(self, Role.LINE)
        self.setFixedHeight(1)


class _Elided(_Control):
    """A control that shortens its text where it has too little room."""

    LEAST = 12
    """Characters that are shown, at least."""
    ELEMENT = QStyle.ControlElement.CE_PushButton
    """What is drawn: a button or a check box."""

    def minimumSizeHint(self) -> QSize:
        hint = super().sizeHint()
        return QSize(min(hint.width(), self.LEAST * self.fontMetrics().averageCharWidth()), hint.height())

    def _shortened(self, text: str, width: int) -> str:
        return self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, width)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter, option = QStylePainter(self), QStyleOptionButton()
        self.initStyleOption(option)  # type: ignore[attr-defined]
        around = super().sizeHint().width() - self.fontMetrics().horizontalAdvance(self.text())
        option.text = literal(self._shortened(self.text(), self.width() - around + 1))
        painter.drawControl(self.ELEMENT, option)


class ElidedLabel(_Elided, QLabel):
    """A label that shortens its text if it does not fit; the tool tip has all of it."""

    LEAST = 4

    def __init__(self, text: str = "", role: Role | None = None) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        if role:
            set_role(self, role)
        self.setText(text)

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(plain_tip(text))

    def paintEvent(self, _event: QPaintEvent) -> None:
        shown, ink = self._shortened(self.text(), self.width()), self.foregroundRole()
        alignment = int(self.alignment())
        self.style().drawItemText(QPainter(self), self.rect(), alignment, self.palette(), self.isEnabled(), shown, ink)


class ElidedButton(_Elided, Button):
    """A button that shortens its text if it does not fit."""

    LEAST = 10

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)


class ElidedCheckBox(_Elided, _Literal, QCheckBox):
    """A check box that shortens its text if it does not fit; the tool tip has all of it, and what it means."""

    LEAST = 20
    ELEMENT = QStyle.ControlElement.CE_CheckBox

    def __init__(self, text: str, meaning: str = "") -> None:
        super().__init__()
        self.setText(text)
        self.setToolTip(plain_tip(f"{text}\n{meaning}".strip()))
        self.setAccessibleDescription(meaning)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)


class _ElidedComboBox(_Elided, QComboBox):
    """A combo box that shortens its text if it does not fit; the list shows all of it."""

    BESIDE_TEXT = 4
    """Pixels that the style keeps free beside the text, and leaves out of its size hint."""

    def sizeHint(self) -> QSize:
        return super().sizeHint() + QSize(self.BESIDE_TEXT, 0)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        complex_control, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        painter.drawComplexControl(complex_control, option)
        room = self.style().subControlRect(complex_control, option, part, self).width() - self.BESIDE_TEXT
        option.currentText = self._shortened(option.currentText or self.placeholderText(), room)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class SwitchButton(Button):
    """A button that stays pressed, and is wide enough for its text in bold, as it is then."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves no ring around it

    def sizeHint(self) -> QSize:
        bold, usual = QFont(self.font()), QFont(self.font())
        bold.setWeight(QFont.Weight.DemiBold)
        usual.setWeight(QFont.Weight.Normal)
        wider = QFontMetrics(bold).horizontalAdvance(self.text()) - QFontMetrics(usual).horizontalAdvance(self.text())
        return super().sizeHint() + QSize(wider + 1, 0)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()


def scrolling(inside: QWidget) -> QScrollArea:
    """Make a scroll area without a frame; what is inside takes the whole width."""
    area = QScrollArea()
    area.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # Tab goes to what is inside, which shows its focus
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setWidget(inside)
    for ground in (area.viewport(), inside):  # which Qt would fill
        ground.setAutoFillBackground(False)
    return area


def show_opened(area: QScrollArea, part: QWidget) -> None:
    """Scroll to a part that was just opened, once it has its place; what opened it, above, stays in view."""

    def scroll() -> None:
        top = part.mapTo(area.viewport(), QPoint()).y() + area.verticalScrollBar().value()
        area.ensureVisible(0, top + part.height(), 0, 0)
        area.ensureVisible(0, top, 0, current_theme().scaled(ABOVE_OPENED))

    QTimer.singleShot(0, part, scroll)


class FileDrops(QObject):
    """Takes files that are dropped on a widget, and frames it while they are over it.

    A drag without local files is left to the widget.
    """

    dropped = Signal(list)
    """The paths of the local files and folders; at least one."""

    def __init__(self, target: QWidget) -> None:
        super().__init__(target)
        self._target = target
        self.frame = QFrame(target)
        set_role(self.frame, Role.DROP)
        self.frame.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.frame.hide()
        target.setAcceptDrops(True)
        target.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QDropEvent):  # so is every event of a drag that enters or moves
            files = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
            if not files:
                return super().eventFilter(watched, event)
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            is_over = isinstance(event, QDragEnterEvent | QDragMoveEvent)
            self._show_frame(is_over)
            if not is_over:
                self.dropped.emit(files)
            return True
        if event.type() is QEvent.Type.DragLeave:
            self._show_frame(False)
        return super().eventFilter(watched, event)

    def _show_frame(self, shown: bool) -> None:
        self.frame.setGeometry(self._target.rect())
        self.frame.setVisible(shown)
        self.frame.raise_()


def paint_focus(painter: QPainter, around: QRect) -> None:
    """Draw the ring of what has the focus."""
    painter.setPen(QPen(QColor(current_theme().colours.accent), 1.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(QRectF(around).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)


class ChoosableParts(QWidget):
    """A drawing of parts that can be chosen: by a click, or by Enter on the one that Left, Right, Home and End lead to.

    The mouse shows the text of a part.
    """

    chosen = Signal(int)
    """The index of a part."""

    def __init__(self, name: str) -> None:
        """`name`: for screen readers."""
        super().__init__()
        self.selected = -1
        """The index of the part that was chosen, or that the keyboard is at; -1 for none."""
        self.setAccessibleName(name)
        set_accessible_role(self, QAccessible.Role.Chart)

    def count(self) -> int:
        raise NotImplementedError

    def part_at(self, point: QPoint) -> int:
        """Return the part at a point of the widget; -1 if there is none."""
        raise NotImplementedError

    def text_of(self, index: int) -> str:
        raise NotImplementedError

    def select(self, index: int) -> None:
        """Mark a part, or none with -1. Nothing is emitted: the caller knows."""
        self.selected = index
        self.update()

    def paint_focus(self, painter: QPainter) -> None:
        """Show that the keyboard leads here, while no part is marked."""
        if self.selected < 0 and self.hasFocus():
            paint_focus(painter, self.rect())

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            index = self.part_at(event.pos())
            text = plain_tip(self.text_of(index)) if index >= 0 else self.toolTip()
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.part_at(event.position().toPoint())
        if event.button() is Qt.MouseButton.LeftButton and index >= 0:
            self.select(index)
            self.chosen.emit(index)
        else:
            super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = self.count() - 1
        match event.key():
            case Qt.Key.Key_Right:
                self.select(min(self.selected + 1, last))
            case Qt.Key.Key_Left:
                self.select(min(max(self.selected - 1, 0), last))
            case Qt.Key.Key_Home:
                self.select(min(0, last))
            case Qt.Key.Key_End:
                self.select(last)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space if self.selected >= 0:
                self.chosen.emit(self.selected)
            case _:
                super().keyPressEvent(event)


def set_accessible_role(widget: QWidget, role: QAccessible.Role) -> None:
    """Give a widget of a class that Qt does not know its role; call it when the widget is made."""
    global _is_installed
    if not _is_installed:
        QAccessible.installFactory(_interface_of)
        _is_installed = True
    widget.setProperty(_ACCESSIBLE_ROLE, role.value)


def _interface_of(_class_name: str, of: QObject) -> QAccessibleInterface | None:
    role = of.property(_ACCESSIBLE_ROLE) if isinstance(of, QWidget) else None
    return QAccessibleWidget(of, QAccessible.Role(role)) if role is not None and isinstance(of, QWidget) else None


def announce(source: QObject, text: str, urgent: bool = False) -> None:
    """Have a text read out; `urgent`: at once."""
    event = QAccessibleAnnouncementEvent(source, text)
    if urgent:
        event.setPoliteness(QAccessible.AnnouncementPoliteness.Assertive)
    QAccessible.updateAccessibility(event)
