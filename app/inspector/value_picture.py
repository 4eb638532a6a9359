"""The values of an answer as a picture for a slide: problem, curve, ribbon, and a caption that says how they came."""

from __future__ import annotations

from PySide6.QtGui import QImage

from baton_reasoning.app.shared.conversations.conversation import Exchange
from baton_reasoning.app.shared.format import in_brief
from baton_reasoning.app.shared.labels import used_in_brief
from baton_reasoning.app.shared.steps.ribbon_follower import segments_of
from baton_reasoning.app.shared.theme import LIGHT
from baton_reasoning.app.shared.value_words import source_text, value_sentences
from baton_reasoning.app.shared.widgets.ribbon import RibbonLayout
from baton_reasoning.app.shared.widgets.slide import CAPTION, TITLE, WORDS, Slide, slide_font
from baton_reasoning.app.shared.widgets.value_plot import PlottedValues, ValuePlot
from baton_reasoning.core.thinking.values import StepValues

CURVE_HEIGHT = 560
"""Pixels."""
SIGNS_IN_WORDS = "● small model   ◆ large model   ○ what it replaced   band: 95% interval"


def value_picture(exchange: Exchange, values: StepValues) -> QImage:
    """Draw the picture."""
    trace = exchange.trace
    slide = Slide()
    slide.write(in_brief(exchange.problem), TITLE, bold=True)
    slide.painter.setFont(slide_font(CAPTION))
    curve = PlottedValues(trace, values)
    ValuePlot(slide.take(CURVE_HEIGHT), curve.steps, slide.painter.font()).paint(slide.painter, curve, LIGHT)
    slide.draw_ribbon(RibbonLayout(segments_of(trace)))
    slide.write(SIGNS_IN_WORDS, CAPTION, LIGHT.muted)
    slide.write("\n".join(value_sentences(trace, values)), WORDS)
    slide.write("\n".join((used_in_brief(trace), source_text(values.estimated))), CAPTION, LIGHT.muted)
    return slide.finish()
