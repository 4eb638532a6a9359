"""Policy replay: over the text of this run, where would another policy, other cues or other values have stepped in?"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QListView, QVBoxLayout, QWidget

from app.chat.archive import run_settings
from app.chat.conversation import Exchange
from app.chat.segments import RibbonFollower
from app.inspector.replay_choice import ReplayChoice
from app.inspector.replay_marks import SIGNS, ReplayMarks
from app.inspector.replay_places import Index, ReplayPlaces, piece_at
from app.inspector.replaying import Outcome, Replaying, Wish
from app.theme import Role
from app.widgets.controls import Hairline, button, label
from app.widgets.ribbon import Ribbon
from core.thinking.replay import Kind

GIVEN = "The recorded text is taken as given and nothing is generated."
NO_MORE_SEEN = "After the first difference, in step {step}, this policy would have read another text."
LIST_HEIGHT = 240


class ReplayPage(QWidget):
    piece_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._exchange: Exchange | None = None
        self._events = 0
        """How many events of the trace the last replay was asked for."""
        self._outcome: Outcome | None = None
        self.choice, self.replaying = ReplayChoice(), Replaying(self)
        self.was, self.would_be, self.marks = Ribbon(), Ribbon(), ReplayMarks()
        self.was.setAccessibleName("Who wrote it, as it was")
        self.would_be.setAccessibleName("Who would have written it")
        self._follower = RibbonFollower(self.was)
        self.counts, self.note = label(), label("", Role.MUTED)
        for words in (self.counts, self.note):
            words.setWordWrap(True)
            words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.places = ReplayPlaces(self)
        self.list = QListView()
        self.list.setModel(self.places)
        self.list.setUniformItemSizes(True)
        self.list.setMinimumHeight(LIST_HEIGHT)
        self.list.setAccessibleName("Places where the large model steps in")
        self._lay_out()
        self.choice.changed.connect(self._want)
        self.replaying.changed.connect(self._show)
        self.was.segment_clicked.connect(self._was_clicked)
        self.would_be.segment_clicked.connect(self._would_be_clicked)
        self.list.clicked.connect(self._place_chosen)
        self.list.activated.connect(self._place_chosen)

    def follow(self, exchange: Exchange) -> None:
        """Another run begins with its own policy; one that has grown is replayed again."""
        trace = exchange.trace
        if exchange is not self._exchange:
            self._exchange, self._events = exchange, -1
            self.choice.begin_with(run_settings(trace.started.settings) if trace.started else exchange.settings)
        if len(trace.events) != self._events:
            self._events = len(trace.events)
            self._follower.follow(trace)
            self._want()

    def finish(self) -> None:
        self.replaying.finish()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.choice)
        column.addWidget(button("As in the run", self.reset, tip="Its own policy, values and cues again"))
        column.addWidget(Hairline())
        column.addWidget(label("As it was", Role.HEADING))
        column.addWidget(self.was)
        column.addWidget(label("As it would be", Role.HEADING))
        column.addWidget(self.would_be)
        column.addWidget(self.marks)
        column.addWidget(self.counts)
        column.addWidget(self.note)
        column.addWidget(self.list, 1)

    def reset(self) -> None:
        if self._exchange:
            started = self._exchange.trace.started
            self.choice.begin_with(run_settings(started.settings) if started else self._exchange.settings)
            self._want()

    def _want(self) -> None:
        if self._exchange:
            self.replaying.want(Wish(self._exchange.trace, self.choice.settings, self.choice.lexicon))

    def _show(self, outcome: Outcome) -> None:
        if self._exchange is None:
            return
        self._outcome = outcome
        pieces = self._exchange.trace.pieces
        kinds = [place.kind for place in outcome.places]
        self.would_be.set_segments(outcome.segments)
        self.marks.show_marks(list(zip(kinds, outcome.marks, strict=True)))
        words = [f"{SIGNS[kind]} {kinds.count(kind):,} {kind.value}" for kind in Kind]
        self.counts.setText("   ".join(words) + ("" if outcome.is_whole else "   so far …"))
        self.marks.setAccessibleDescription(", ".join(f"{kinds.count(kind):,} {kind.value}" for kind in Kind))
        first = next((place for place in outcome.places if place.kind is not Kind.BOTH), None)
        piece = piece_at(pieces, first.takeover.start) if first else None
        seen = [NO_MORE_SEEN.format(step=piece.step + 1)] if piece else []
        self.note.setText(" ".join([GIVEN, *seen, *outcome.remarks]))
        self.places.show_places(outcome.places, pieces)

    def _place_chosen(self, index: Index) -> None:
        if piece := self.places.piece_at(index.row()):
            self.piece_chosen.emit(piece)

    def _was_clicked(self, index: int) -> None:
        if piece := self._follower.piece_at(index):
            self.piece_chosen.emit(piece)

    def _would_be_clicked(self, index: int) -> None:
        if self._exchange and self._outcome:
            position = self._outcome.positions[index]
            if piece := piece_at(self._exchange.trace.pieces, position):
                self.piece_chosen.emit(piece)
