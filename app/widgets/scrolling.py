"""A scroll area that shows the ground it stands on."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QScrollArea, QWidget


def scrolling(inside: QWidget) -> QScrollArea:
    """As wide as there is room, without a frame."""
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setWidget(inside)
    see_through(area, inside)
    return area


def see_through(area: QScrollArea, inside: QWidget) -> None:
    """Qt fills the ground of an area and of what is in it; once `inside` is set, that can be switched off."""
    for ground in (area.viewport(), inside):
        ground.setAutoFillBackground(False)
