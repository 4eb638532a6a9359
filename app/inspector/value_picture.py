"""The values of an answer as a picture for a slide: problem, curve, ribbon, and a caption that says how they came."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter
from PySide6.QtWidgets import QApplication

from app.shared.conversations.conversation import Exchange
from app.shared.format import in_brief
from app.shared.labels import used_in_brief
from app.shared.steps.ribbon_follower import segments_of
from app.shared.theme import LIGHT
from app.shared.value_words import source_text, value_sentences
from app.shared.widgets.ribbon import RibbonLayout, paint_ribbon
from app.shared.widgets.value_plot import PlottedValues, ValuePlot
from core.thinking.values import StepValues

WIDTH, EDGE, GAP = 1600, 48, 20
CURVE_HEIGHT, RIBBON_HEIGHT = 560, 30
TITLE, WORDS, CAPTION = 34, 30, 23
"""Sizes of letters in pixels."""
SIGNS_IN_WORDS = "● small model   ◆ large model   ○ what it replaced   band: 95% interval"
WRAPPED = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)


def value_picture(exchange: Exchange, values: StepValues) -> QImage:
    """Draw the picture, black on white whatever the window's colours are."""
    trace = exchange.trace
    caption = "\n".join((used_in_brief(trace), source_text(values.estimated)))
    above = [(in_brief(exchange.problem), TITLE, LIGHT.text, True)]
    below = [
        (SIGNS_IN_WORDS, CAPTION, LIGHT.muted, False),
        ("\n".join(value_sentences(trace, values)), WORDS, LIGHT.text, False),
        (caption, CAPTION, LIGHT.muted, False),
    ]
    tall = QImage(WIDTH, 2 * WIDTH, QImage.Format.Format_RGB32)
    tall.fill(QColor("white"))
    painter = QPainter(tall)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    bottom = float(EDGE)
    for text in above:
        bottom = _write(painter, bottom, *text)
    painter.setFont(_font(CAPTION))
    curve = PlottedValues(trace, values)
    area = QRectF(EDGE, bottom, WIDTH - 2 * EDGE, CURVE_HEIGHT)
    ValuePlot(area, curve.steps, painter.font()).paint(painter, curve, LIGHT)
    ribbon = QRectF(EDGE, area.bottom() + GAP, WIDTH - 2 * EDGE, RIBBON_HEIGHT)
    paint_ribbon(painter, ribbon, RibbonLayout(segments_of(trace)), LIGHT)
    bottom = ribbon.bottom() + GAP
    for text in below:
        bottom = _write(painter, bottom, *text)
    painter.end()
    return tall.copy(0, 0, WIDTH, int(bottom - GAP + EDGE))


def _write(painter: QPainter, top: float, text: str, size: int, ink: str, is_bold: bool) -> float:
    """Write a paragraph below `top`; return where the next one begins."""
    painter.setFont(_font(size, is_bold))
    painter.setPen(QColor(ink))
    area = QRectF(EDGE, top, WIDTH - 2 * EDGE, WIDTH)
    return painter.drawText(area, WRAPPED, text).bottom() + GAP if text else top


def _font(pixels: int, is_bold: bool = False) -> QFont:
    font = QApplication.font()
    font.setPixelSize(pixels)
    font.setBold(is_bold)
    return font
