"""Second opinion: where the large model would have written something else, as a heat map and as a list of places."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QListView, QWidget

from baton_reasoning.app.inspector.opinion_text import FORKS, LEGEND, OpinionText, chance
from baton_reasoning.app.inspector.token_strip import Alternatives, visible
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.session.reviews import AnswerReviews
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import Hairline, button, combo_box, label, plain_tip, progress_bar
from baton_reasoning.app.toolkit.layout import Spacer, in_row, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import OpinionGiven, TokenWritten
from baton_reasoning.core.thinking.opinion import Disagreement, Opinion, SecondOpinion, Sequel, opinion_error
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import opinion_counts

ABOUT = "The large model reads this answer once and marks where it would have written something else."
MOST_AT_ONCE = 1_000
"""Tokens of an opinion that is evaluated in the main thread, in some milliseconds; longer ones in the background."""
LIST_ROWS, TEXT_HEIGHT = 7, 170
FORK = f"Fork here with {SIGN[Author.LARGE]}"


class PlaceFilter(Enum):
    """Which places are listed."""

    ALL = "All disagreements"
    MISSED = "Missed takeovers"


class OpinionPage(QWidget):
    fork_wanted = Signal(int)
    """Characters of the text before the place where the large model is to go on."""

    def __init__(self, reviews: AnswerReviews | None = None, parent: QWidget | None = None) -> None:
        """`reviews`: where opinions come from; without it, those that are there already are shown."""
        super().__init__(parent)
        self._exchange: Exchange | None = None
        self._given: OpinionGiven | None = None
        self._evaluation = LatestTask(self, "evaluate the second opinion")
        self._reviews = reviews
        self.opinion: Opinion | None = None
        self.note, self.counts = label("", Role.MUTED, wrap=True, selectable=True), label(wrap=True, selectable=True)
        self.place = label("", Role.HEADING, wrap=True, selectable=True)
        self.ask = button("Ask the large model", self._ask, Role.PRIMARY)
        self.stop = button("Stop", self._stop, tip="What was read until now is kept")
        self.bar = progress_bar("Progress of the second opinion")
        self.shown = combo_box("Which places")
        self.places = OpinionPlaces(self)
        self.list = QListView()
        self.list.setModel(self.places)
        self.list.setUniformItemSizes(True)
        self.list.setAccessibleName("Places by disagreement")
        self.alternatives, self.text = Alternatives(), OpinionText()
        self.text.setMinimumHeight(TEXT_HEIGHT)
        self.fork = button(
            FORK,
            self._fork,
            tip="Another answer, in which the large model goes on from this place",
            name="Fork here with the large model",
        )
        self._rule = Hairline()
        self._lay_out()
        self.shown.activated.connect(lambda _: self._list_places())
        self.list.selectionModel().currentChanged.connect(lambda index, _: self._show_place(index.row()))
        self.list.activated.connect(lambda _: self._fork())
        self.text.place_shown.connect(self._show_disagreement)
        self.text.place_chosen.connect(lambda place: self.fork_wanted.emit(place.start))
        if reviews:
            reviews.changed.connect(self._show_state)

    def follow(self, exchange: Exchange) -> None:
        """Show the opinion of this answer, if it has one."""
        trace = exchange.trace
        if exchange is not self._exchange or trace.opinion is not self._given:
            self._exchange, self._given = exchange, trace.opinion
            self._evaluation.cancel()
            if trace.opinion and len(trace.opinion.tokens) > MOST_AT_ONCE:
                self._show_opinion(None)
                self._evaluation.run(lambda: Opinion.of(trace), self._show_opinion)
            else:
                self._show_opinion(Opinion.of(trace))
        else:
            self._show_state()

    def _show_opinion(self, opinion: Opinion | None) -> None:
        assert self._exchange
        self.opinion = opinion
        self.text.show_opinion(self._exchange.trace, opinion)
        self._fill_filter()
        self._list_places()
        self._show_state()

    def _show_state(self) -> None:
        if self._exchange is None or not self.isVisibleTo(self.window()):
            return
        reviews, opinion = self._reviews, self.opinion
        is_read = reviews is not None and reviews.is_running(self._exchange, SecondOpinion)
        unavailable = "" if is_read else self._unavailable_reason()
        given = self._given
        is_whole = given is not None and given.length >= self._exchange.trace.length
        self.ask.setVisible(reviews is not None and not is_read and not is_whole)
        self.ask.setText("Ask again" if given else "Ask the large model")
        self.ask.setEnabled(not unavailable)
        self.bar.setVisible(is_read)
        self.stop.setVisible(is_read)
        progress = reviews.progress if reviews and is_read else None
        self.bar.setRange(0, progress.total if progress else 0)
        self.bar.setValue(progress.tokens if progress else 0)
        self.note.setText(unavailable or self._about(is_whole))
        self.note.setVisible(bool(self.note.text()))
        for widget in (self.counts, self.shown, self.list, self._rule, self.text, self.text.legend):
            widget.setVisible(opinion is not None)
        self.text.legend.setText(f"{LEGEND} {FORKS}" if reviews else LEGEND)
        if opinion:
            self.counts.setText(opinion_counts(opinion))
        self.fork.setEnabled(not self._unavailable_reason())

    def _about(self, is_whole: bool) -> str:
        if self._given is None:
            return ABOUT
        return "" if is_whole else "Only the beginning of this text was read."

    def _fill_filter(self) -> None:
        chosen = self.shown.currentData()
        found = self.opinion
        numbers = {
            PlaceFilter.ALL: len(found.disagreements) if found else 0,
            PlaceFilter.MISSED: len(found.missed) if found else 0,
        }
        with QSignalBlocker(self.shown):
            self.shown.clear()
            for kind, number in numbers.items():
                self.shown.addItem(f"{kind.value} ({number:,})", kind)
            self.shown.setCurrentIndex(max(0, self.shown.findData(chosen)))

    def _list_places(self) -> None:
        found, kind = self.opinion, self.shown.currentData()
        ranked = found.ranked if found else []
        places = [place for place in ranked if kind is PlaceFilter.ALL or place.sequel is Sequel.MISSED]
        self.places.show_places(places, self._exchange.trace.text if self._exchange else "")
        self._show_place(-1)
        rows = min(max(len(places), 1), LIST_ROWS)
        self.list.setFixedHeight(rows * max(self.list.sizeHintForRow(0), self.list.fontMetrics().height() + 8) + 8)
        if places:
            self.list.setCurrentIndex(self.places.index(0))

    def _show_place(self, row: int) -> None:
        place = self.places.at(row)
        if place:
            self.text.reveal(place)
        self._show_disagreement(place)

    def _show_disagreement(self, place: Disagreement | None) -> None:
        """Show what the large model would have written there."""
        self.place.setVisible(place is not None)
        self.fork.setVisible(place is not None and self._reviews is not None)
        if place is None:
            self.alternatives.show_token(None)
            return
        token = place.token
        self.place.setText(f"Instead of “{visible(token.text)}” ({chance(token.logprob)}), the large model:")
        self.alternatives.show_token(
            TokenWritten(0.0, Author.LARGE, token.id, token.text, token.logprob, token.alternatives)
        )
        self.fork.setEnabled(not self._unavailable_reason())

    def _unavailable_reason(self) -> str:
        """Why there can be no opinion now, in a sentence or two; "" if there can."""
        if not self._reviews or not self._exchange:
            return ""
        error = opinion_error(self._reviews.pair.large, self._exchange.trace)
        return self._reviews.unavailable_reason(self._exchange) or (str(error) if error else "")

    def _ask(self) -> None:
        if self._reviews and self._exchange:
            self._reviews.ask_opinion(self._exchange)

    def _stop(self) -> None:
        if self._reviews:
            self._reviews.stop()

    def _fork(self) -> None:
        place = self.places.at(self.list.currentIndex().row())
        if self.text.hasFocus() and self.text.chosen:
            place = self.text.chosen
        if place:
            self.fork_wanted.emit(place.start)

    def _lay_out(self) -> None:
        self.setLayout(
            vbox(
                self.note,
                in_row(self.ask, self.stop),
                self.bar,
                self.counts,
                self.shown,
                self.list,
                self.place,
                self.alternatives,
                in_row(self.fork),
                self._rule,
                (self.text, 2),
                self.text.legend,
                Spacer(0),
                margins=(0, 8, 8, 8),
                spacing=7,
            )
        )


class OpinionPlaces(QAbstractListModel):
    """Places in a list, each in a line."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._places: list[Disagreement] = []
        self._text = ""

    def show_places(self, places: list[Disagreement], text: str) -> None:
        self.beginResetModel()
        self._places, self._text = places, text
        self.endResetModel()

    def at(self, row: int) -> Disagreement | None:
        return self._places[row] if 0 <= row < len(self._places) else None

    def rowCount(self, _parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return len(self._places)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        place = self.at(index.row())
        if place is None:
            return None
        text = place_text(place, self._text)
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return text
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(f"{text}\nEnter: {FORK}")
        return None


def place_text(place: Disagreement, text: str) -> str:
    """“Step 3: 2 → 3 (99%) · missed takeover”."""
    first = place.expected
    sequel = f" · {place.sequel.value}" if place.sequel else ""
    written = visible(text[place.start : place.end])
    return f"Step {place.step + 1}: {written} → {visible(first.text)} ({chance(first.logprob)}){sequel}"
