"""Policy replay: over the text of this run, where would another policy, other cues or other values have stepped in?"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAccessible, QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QListView, QSizePolicy, QWidget

from baton_reasoning.app.inspector.replay_choice import ReplayChoice
from baton_reasoning.app.inspector.replay_task import ReplayOutcome, ReplayRequest, ReplayTask
from baton_reasoning.app.shared.conversations.conversation import Exchange, run_settings
from baton_reasoning.app.shared.labels import reason_and_cue
from baton_reasoning.app.shared.steps.ribbon_follower import RibbonFollower
from baton_reasoning.app.shared.theme import Role, current_theme
from baton_reasoning.app.shared.widgets.accessible import set_accessible_role
from baton_reasoning.app.shared.widgets.controls import Hairline, button, label, plain_tip
from baton_reasoning.app.shared.widgets.layout import Spacer, vbox
from baton_reasoning.app.shared.widgets.ribbon import Ribbon
from baton_reasoning.core.thinking.replay.replay import Place, PlaceKind
from baton_reasoning.core.thinking.trace import Piece

GIVEN = "The recorded text is taken as given and nothing is generated."
NO_MORE_SEEN = "After the first difference, in step {step}, this policy would have read another text."
LIST_HEIGHT = 240
ROWS_AT_ONCE = 20
"""Rows of the list that are laid out in one turn of the event loop. Qt asks the model once a row and may wait each time
for the thread that replays."""


class ReplayPage(QWidget):
    piece_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._exchange: Exchange | None = None
        self._events = 0
        """How many events of the trace the last replay was asked for."""
        self._outcome: ReplayOutcome | None = None
        self.choice, self.replaying = ReplayChoice(), ReplayTask(self)
        self.was, self.would_be, self.marks = Ribbon(), Ribbon(), ReplayMarks()
        self.was.setAccessibleName("Who wrote it, as it was")
        self.would_be.setAccessibleName("Who would have written it")
        self._follower = RibbonFollower(self.was)
        self.counts, self.note = label(wrap=True, selectable=True), label("", Role.MUTED, wrap=True, selectable=True)
        self.places = ReplayPlaces(self)
        self.list = QListView()
        self.list.setModel(self.places)
        self.list.setUniformItemSizes(True)
        self.list.setLayoutMode(QListView.LayoutMode.Batched)
        self.list.setBatchSize(ROWS_AT_ONCE)
        self.list.setMinimumHeight(LIST_HEIGHT)
        self.list.setAccessibleName("Places where the large model steps in")
        self._would_be_title = label("With these settings", Role.HEADING)
        self._lay_out()
        self.choice.changed.connect(self._want)
        self.replaying.changed.connect(self._show)
        self.was.segment_clicked.connect(self._was_clicked)
        self.would_be.segment_clicked.connect(self._would_be_clicked)
        self.list.clicked.connect(self._place_chosen)
        self.list.activated.connect(self._place_chosen)

    def follow(self, exchange: Exchange) -> None:
        """Replay this run: another one with its own policy, one that has grown with the chosen policy."""
        trace = exchange.trace
        if exchange is not self._exchange:
            self._exchange, self._events = exchange, -1
            self._show_parts(False)
            self.note.clear()
            self.choice.begin_with(run_settings(trace.started.settings) if trace.started else exchange.settings)
        if len(trace.events) != self._events:
            self._events = len(trace.events)
            self._follower.follow(trace)
            self._want()

    def _lay_out(self) -> None:
        self.setLayout(
            vbox(
                self.choice,
                button("Reset", self.reset, tip="The policy, values and cues of this run again"),
                Hairline(),
                label("Original", Role.HEADING),
                self.was,
                self._would_be_title,
                self.would_be,
                self.marks,
                self.counts,
                self.note,
                (self.list, 1),
                Spacer(0),
                margins=(0, 8, 8, 8),
                spacing=6,
            )
        )

    def reset(self) -> None:
        if self._exchange:
            started = self._exchange.trace.started
            self.choice.begin_with(run_settings(started.settings) if started else self._exchange.settings)
            self._want()

    def _want(self) -> None:
        if self._exchange:
            self.replaying.want(ReplayRequest(self._exchange.trace, self.choice.settings, self.choice.lexicon))

    def _show(self, outcome: ReplayOutcome) -> None:
        if self._exchange is None or outcome.trace is not self._exchange.trace:
            return  # another answer is shown by now
        self._outcome = outcome
        self._show_parts(outcome.places is not None)
        if outcome.places is None:
            self.note.setText(" ".join(outcome.remarks))
            return
        pieces = self._exchange.trace.pieces
        counts = {kind: len(marks) for kind, marks in outcome.marks.items()}
        self.would_be.set_segments(outcome.segments, outcome.layout)
        self.marks.show_marks(outcome.marks)
        text = [f"{SIGNS[kind]} {counts[kind]:,} {kind.value}" for kind in PlaceKind]
        self.counts.setText("   ".join(text) + ("" if outcome.is_whole else "   so far…"))
        self.marks.setAccessibleDescription(", ".join(f"{counts[kind]:,} {kind.value}" for kind in PlaceKind))
        first = next((place for place in outcome.places if place.kind is not PlaceKind.BOTH), None)
        piece = piece_at(pieces, first.takeover.start) if first else None
        seen = [NO_MORE_SEEN.format(step=piece.step + 1)] if piece else []
        self.note.setText(" ".join([GIVEN, *seen, *outcome.remarks]))
        self.places.show_places(outcome.places, pieces)

    def _show_parts(self, shown: bool) -> None:
        """Show or hide what a replay has found."""
        for part in (self._would_be_title, self.would_be, self.marks, self.counts, self.list):
            part.setVisible(shown)

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


SIGNS = {PlaceKind.BOTH: "=", PlaceKind.REPLAYED: "+", PlaceKind.RECORDED: "−"}
ROWS = {PlaceKind.REPLAYED: 0, PlaceKind.BOTH: 1, PlaceKind.RECORDED: 2}
"""Each kind has its own height, so that colour is not the only sign."""
ROW = 11
CLOSEST = 7.0
"""Pixels between two signs of a row; where there are more, one stands for them."""
MARGIN = 3
"""As much as a ribbon leaves at its ends."""


class ReplayMarks(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._marks: Mapping[PlaceKind, Sequence[float]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Where the large model would have stepped in")
        set_accessible_role(self, QAccessible.Role.Chart)
        current_theme().changed.connect(self.update)

    def show_marks(self, marks: Mapping[PlaceKind, Sequence[float]]) -> None:
        """Show the places of each kind: where they lie along the text, 0 to 1, in order."""
        self._marks = marks
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, len(ROWS) * ROW + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = current_theme().colours
        inks = {PlaceKind.BOTH: colours.muted, PlaceKind.REPLAYED: colours.text, PlaceKind.RECORDED: colours.text}
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        width = max(self.width() - 2 * MARGIN, 1)
        for kind, places in self._marks.items():
            painter.setPen(QColor(inks[kind]))
            index = 0
            while index < len(places):  # there may be thousands, of which a few dozen are drawn
                middle = MARGIN + places[index] * width
                at = QRectF(middle - ROW / 2, ROWS[kind] * ROW - 2, ROW, ROW + 4)
                painter.drawText(at, Qt.AlignmentFlag.AlignCenter, SIGNS[kind])
                index = bisect_left(places, places[index] + CLOSEST / width, index + 1)


Index = QModelIndex | QPersistentModelIndex


class ReplayPlaces(QAbstractListModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._places: Sequence[Place] = ()
        self._pieces: Sequence[Piece] = ()

    def show_places(self, places: Sequence[Place], pieces: Sequence[Piece]) -> None:
        """`pieces`: of the recorded run, in which the places lie."""
        self.beginResetModel()
        self._places, self._pieces = places, pieces
        self.endResetModel()

    def piece_at(self, row: int) -> Piece | None:
        if not 0 <= row < len(self._places):
            return None
        return piece_at(self._pieces, self._places[row].takeover.start)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._places)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        place = self._places[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return f"{SIGNS[place.kind]}  {self._title(index.row(), place)}"
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{self._title(index.row(), place)} ({place.kind.value})"
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(f"{self._title(index.row(), place)} ({place.kind.value})")
        return None

    def _title(self, row: int, place: Place) -> str:
        piece, took = self.piece_at(row), place.takeover
        step = f"Step {piece.step + 1}" if piece else "The end"
        return f"{step}: {reason_and_cue(took.reason, took.cue)}"


def piece_at(pieces: Sequence[Piece], position: int) -> Piece | None:
    """Return the piece in which a character of the text lies."""
    found = bisect_right(pieces, position, key=lambda piece: piece.position) - 1
    return pieces[found] if found >= 0 else None
