"""The timeline ties time to steps."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from baton_reasoning.app.inspector.timeline import LANE, Timeline
from baton_reasoning.core.engines.base import Handoff
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import HandedOver, TokenWritten, WriteStarted
from baton_reasoning.core.thinking.trace import Trace


@pytest.fixture
def timeline(qtbot: QtBot) -> Timeline:
    """Two steps of the small model in one write, a second each, after a second of reading."""
    trace = Trace.of(
        [
            WriteStarted(0.0, Author.SMALL, None, 0),
            HandedOver(1.0, Author.SMALL, Handoff(0, 9, 1.0)),
            TokenWritten(2.0, Author.SMALL, 1, "One.\n\n", ends_step=True),
            TokenWritten(3.0, Author.SMALL, 2, "Two."),
        ]
    )
    made = Timeline()
    qtbot.addWidget(made)
    made.resize(300, made.sizeHint().height())
    made.follow(trace)
    made.show()
    return made


def at(x: int) -> QPoint:
    """A point in the lane of the small model, below its name."""
    return QPoint(x, 20 + LANE // 2)


def test_the_lines_of_text_are_as_high_as_the_text(timeline: Timeline) -> None:
    before = timeline.sizeHint().height()
    font = timeline.font()
    font.setPixelSize(40)
    timeline.setFont(font)
    assert timeline.sizeHint().height() - before >= 3 * (timeline.fontMetrics().height() - 20)


@pytest.mark.parametrize(("x", "step"), [(50, 0), (150, 0), (250, 1)])
def test_a_click_chooses_the_step_that_was_written_then(timeline: Timeline, qtbot: QtBot, x: int, step: int) -> None:
    with qtbot.waitSignal(timeline.piece_chosen) as chosen:
        qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=at(x))
    assert chosen.args
    assert chosen.args[0].step == step
