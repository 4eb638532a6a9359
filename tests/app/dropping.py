"""Drags files over a widget, and drops them there, as Qt reports it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget


def dragged(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def drag_over(target: QWidget, data: QMimeData) -> None:
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDragEnterEvent(QPoint(600, 400), Qt.DropAction.CopyAction, data, left, none)
    QApplication.sendEvent(target, event)
    assert event.isAccepted()


def drop(target: QWidget, *paths: Path) -> None:
    data = dragged(*paths)
    drag_over(target, data)
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPointF(600, 400), Qt.DropAction.CopyAction, data, left, none)
    QApplication.sendEvent(target, event)
    assert event.isAccepted()
