"""The timeline with its legend and its ways to zoom."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.chat.wording import seconds
from app.inspector.facts import Facts
from app.inspector.stretch_drawing import Legend
from app.inspector.timeline import Timeline
from app.widgets.controls import Hairline, button
from core.engines.body import Author
from core.thinking.pieces import Piece
from core.thinking.trace import Trace


class TimelinePage(QWidget):
    piece_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.timeline = Timeline()
        self.timeline.piece_chosen.connect(self.piece_chosen)
        self._facts = Facts()
        row = QHBoxLayout()
        for words, name, factor in (
            ("−", "Zoom out (−)", 1 / 1.5),
            ("+", "Zoom in (+)", 1.5),
            ("All", "All (0)", 1e-9),
        ):
            made = button(words, lambda factor=factor: self.timeline.zoom(factor), tip=name)  # type: ignore[misc]
            made.setAccessibleName(name)
            row.addWidget(made)
        row.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 8, 8)
        column.setSpacing(9)
        column.addWidget(self.timeline)
        column.addLayout(row)
        column.addWidget(Legend())
        column.addWidget(Hairline())
        column.addWidget(self._facts)
        column.addStretch()

    def follow(self, trace: Trace) -> None:
        self.timeline.follow(trace)
        small, large = trace.totals[Author.SMALL], trace.totals[Author.LARGE]
        busy = sum(total.decode_seconds + total.handoff_seconds for total in (small, large))
        self._facts.show_facts(
            [
                ("● writing", seconds(small.decode_seconds)),
                ("● reading", seconds(small.handoff_seconds)),
                ("◆ writing", seconds(large.decode_seconds)),
                ("◆ reading", seconds(large.handoff_seconds)),
                ("◆ reading along", seconds(along) if (along := sum(r.seconds for r in trace.readings)) else ""),
                ("Neither", seconds(max(0.0, trace.seconds - busy))),
                ("Whole run", seconds(trace.seconds)),
            ]
        )

    def select(self, piece: Piece | None) -> None:
        self.timeline.select(piece)
