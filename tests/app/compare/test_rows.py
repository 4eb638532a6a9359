"""Steps that belong together begin at one height, however many there are and however they came."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from PySide6.QtWidgets import QHBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.compare.rows import AT_ONCE, AlignedRows, RowMarkers
from baton_reasoning.app.document.steps_document import thinking_pieces
from baton_reasoning.app.document.steps_view import StepsView
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.core.thinking.differences import thinking_steps
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import run

MANY = 2 * AT_ONCE


class Side:
    """Two texts beside each other, and their rows."""

    def __init__(self, qtbot: QtBot) -> None:
        self._qtbot = qtbot
        self._typesetter = Typesetter()
        self.views = [StepsView(self._typesetter) for _ in range(2)]
        self.holder = QWidget()
        inside = QHBoxLayout(self.holder)
        for view in self.views:
            inside.addWidget(view)
        self.rows = AlignedRows(self.views, self.holder)
        self.between = RowMarkers(self.rows, 0, self.holder)
        qtbot.addWidget(self.holder)
        self.holder.resize(600, 400)
        self.holder.show()

    def follow(self, *traces: Trace, live: bool = False) -> None:
        for view, trace in zip(self.views, traces, strict=True):
            view.sync(trace, thinking_pieces(trace), live)
        self.rows.follow([thinking_steps(trace, live) for trace in traces])

    def settle(self) -> None:
        self._qtbot.waitUntil(lambda: all(view.complete for view in self.views) and self.rows.settled)

    def apart(self) -> float:
        """Pixels by which the steps of a row are apart, at most; and every row begins below the one before."""
        tops = [[self.views[place].top_of(index) for place, index in self.rows._cells(row)] for row in self.numbers]
        assert all(max(above) < min(below) for above, below in pairwise(tops))
        return max(max(row) - min(row) for row in tops)

    @property
    def numbers(self) -> range:
        return range(len(self.rows.rows))

    def finish(self) -> None:
        self.rows.finish()
        BackgroundTasks.of(self.rows).close()
        BackgroundTasks.of(self._typesetter).close()
        self.holder.close()


@pytest.fixture
def side(qtbot: QtBot, no_leaks: None) -> Iterator[Side]:
    side = Side(qtbot)
    yield side
    side.finish()


def text_of(*extra: int, wordy: int = 0) -> str:
    """Many steps; those numbers are followed by one more, and some are much longer than others."""
    steps = []
    for number in range(MANY):
        more = " and so on and on" * (12 if wordy and number % wordy == 0 else 1)
        steps.append(f"This is step number {number} of all{more}.")
        if number in extra:
            steps.append(f"Hold on, was {number} right, or did we lose a digit?")
    return "\n\n".join(steps) + "</think>\n\n4"


def trace_of(text: str) -> Trace:
    return run(Never(), [text]).trace


@pytest.mark.slow
def test_many_rows_stand_level_in_a_wide_window_and_in_a_narrow_one(side: Side) -> None:
    side.follow(trace_of(text_of(3, 50, wordy=7)), trace_of(text_of(10, 70, wordy=5)))
    side.settle()
    assert len(side.rows.rows) > MANY
    assert side.apart() < 1
    before = side.views[0].height()
    side.holder.resize(420, 400)
    side._qtbot.waitUntil(lambda: side.views[0].height() > before)
    side.settle()
    assert side.apart() < 1


@pytest.mark.slow
def test_rows_stay_level_while_one_text_grows(side: Side, qtbot: QtBot) -> None:
    whole, events = trace_of(text_of(wordy=4)), trace_of(text_of(2, wordy=3)).events
    grown = Trace()
    for number, event in enumerate(events[:400]):
        grown.apply(event)
        if number % 40 == 0:
            side.follow(whole, grown, live=True)
            side.settle()
            assert side.apart() < 1
    assert len(grown.steps) > 8


def test_signs_are_told_in_words_too(side: Side) -> None:
    side.follow(trace_of(text_of()), trace_of(text_of(wordy=MANY)))
    side.settle()
    assert side.between.accessibleName() == f"Steps at the left and right: {MANY - 1} same (=), 1 different (≠)"
