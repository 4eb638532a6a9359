"""Menus have round corners; a soft shadow lies around them where windows can be blended."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.shared.theme import apply
from app.shared.widgets import menu as menus
from app.shared.widgets.menu import SHADOW, Menu
from core.settings import ColourScheme

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.fixture(params=[ColourScheme.LIGHT, ColourScheme.DARK])
def parent(qtbot: QtBot, qapp: object, request: pytest.FixtureRequest) -> QWidget:
    apply(qapp, request.param)  # type: ignore[arg-type]
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.show()
    return widget


def shown(parent: QWidget, where: QPoint) -> tuple[Menu, QImage]:
    menu = Menu(parent)
    for words in ("Open", "Rename…", "Delete"):
        menu.addAction(words)
    menu.popup(where)
    picture = QImage(menu.size(), QImage.Format.Format_ARGB32)
    picture.fill(QColor(0, 0, 0, 0))
    menu.render(picture, QPoint(), renderFlags=QWidget.RenderFlag.DrawChildren)
    return menu, picture


def test_a_shadow_fades_out_around_a_menu_with_round_corners(parent: QWidget) -> None:
    menu, picture = shown(parent, QPoint(200, 200))
    middle = menu.width() // 2
    below = [picture.pixelColor(middle, menu.height() - SHADOW + depth).alpha() for depth in range(SHADOW)]
    assert 0 < below[0] < 128
    assert below == sorted(below, reverse=True)
    assert below[-1] < below[0] // 2
    assert picture.pixelColor(middle, menu.height() // 2).alpha() == 255
    assert picture.pixelColor(SHADOW, SHADOW).alpha() < 128, "the corner is square"
    menu.close()


def test_the_menu_is_where_it_was_asked_for_and_its_shadow_around_it(parent: QWidget) -> None:
    menu, _ = shown(parent, QPoint(200, 200))
    assert menu.pos() + QPoint(SHADOW, SHADOW) == QPoint(200, 200)
    first = menu.actionGeometry(menu.actions()[0])
    assert first.left() >= SHADOW
    assert first.right() < menu.width() - SHADOW
    menu.close()


def test_without_a_compositor_the_corners_are_cut_and_there_is_no_shadow(
    parent: QWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(menus, "blends_windows", lambda: False)
    menu, picture = shown(parent, QPoint(200, 200))
    assert menu.pos() == QPoint(200, 200)
    assert not menu.mask().contains(QPoint(0, 0))
    assert menu.mask().contains(QPoint(menu.width() // 2, 1))
    assert picture.pixelColor(menu.width() // 2, 3).alpha() == 255
    menu.close()
