"""What assistive technology is told: roles of widgets that paint themselves, and announcements."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QWidget

_PROPERTY = "accessible-role"
_is_installed = False


def set_accessible_role(widget: QWidget, role: QAccessible.Role) -> None:
    """Give a widget of a class that Qt does not know its role; call it when the widget is made."""
    global _is_installed
    if not _is_installed:
        QAccessible.installFactory(_interface_of)
        _is_installed = True
    widget.setProperty(_PROPERTY, role.value)


def _interface_of(_class_name: str, of: QObject) -> QAccessibleInterface | None:
    role = of.property(_PROPERTY) if isinstance(of, QWidget) else None
    return QAccessibleWidget(of, QAccessible.Role(role)) if role is not None and isinstance(of, QWidget) else None


def announce(source: QObject, text: str, urgent: bool = False) -> None:
    """Have a text read out; `urgent`: at once."""
    event = QAccessibleAnnouncementEvent(source, text)
    if urgent:
        event.setPoliteness(QAccessible.AnnouncementPoliteness.Assertive)
    QAccessible.updateAccessibility(event)
