"""A comparison as a picture for a slide: problem, caption, and of each column who wrote it and where they part."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QImage

from baton_reasoning.app.compare.column import AnswerColumn
from baton_reasoning.app.shared.format import count, in_brief
from baton_reasoning.app.shared.steps.ribbon_follower import segments_of
from baton_reasoning.app.shared.theme import LIGHT, SIGN
from baton_reasoning.app.shared.widgets.ribbon import RibbonLayout
from baton_reasoning.app.shared.widgets.slide import CAPTION, TITLE, WORDS, Slide
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.alignment import Row

SIGNS_IN_WORDS = f"{SIGN[Author.SMALL]} small model   {SIGN[Author.LARGE]} large model"


def comparison_picture(problem: str, caption: str, columns: Sequence[AnswerColumn], parting: Row | None) -> QImage:
    """Draw the picture. `parting`: the row whose steps are shown."""
    slide = Slide()
    slide.write(in_brief(problem), TITLE, bold=True)
    slide.write(caption, WORDS)
    top = slide.bottom
    bottoms = []
    for place, column in enumerate(columns):
        slide.go_to(place, len(columns), top)
        _draw_column(slide, column, parting.steps[place] if parting else None)
        bottoms.append(slide.bottom)
    slide.go_to(0, 1, max(bottoms))
    slide.write(SIGNS_IN_WORDS, CAPTION, LIGHT.muted)
    return slide.finish()


def _draw_column(slide: Slide, column: AnswerColumn, step: int | None) -> None:
    trace = column.exchange.trace
    slide.write(column.head.title, WORDS, bold=True)
    answer = f"Answer: {column.answer}" if column.answer else ""
    slide.write("   ".join(filter(None, (answer, column.head.standing.text()))), WORDS)
    slide.draw_ribbon(RibbonLayout(segments_of(trace)))
    share = f"{SIGN[Author.LARGE]} {trace.large_share:.0%}"
    slide.write(
        f"{count(trace.tokens, 'token')}   {share}   seed {column.exchange.settings.seed}", CAPTION, LIGHT.muted
    )
    if step is not None:
        slide.write(f"At step {step + 1}:", CAPTION, LIGHT.muted)
        slide.write(in_brief(column.texts()[step]), CAPTION)
