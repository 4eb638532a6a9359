"""A card below a token: what each model might have written there, and a way to go on with another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QEnterEvent, QKeyEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QPushButton, QWidget

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.document.steps_view import StepsView
from baton_reasoning.app.inspector.step_page import chance, visible
from baton_reasoning.app.session.token_readings import TokenReadings
from baton_reasoning.app.toolkit.controls import button, label
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import AUTHOR_ROLES, Role, set_role
from baton_reasoning.core.analysis.token_choices import Choice, PlacedToken, ReadTokens, choices_at
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.text import counted
from baton_reasoning.core.words.authors import SIGN, WHO
from baton_reasoning.core.words.numbers import rough_duration

SHOWS_AFTER_MS, HIDES_AFTER_MS = 200, 350
"""How long the mouse rests on a token before its card comes, and may be elsewhere before it goes."""
MOST_CHOICES = 6
BESIDE_NAME = 13
"""Pixels left of the name of a token: the border and the padding of a button (resources/window.qss)."""
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter

Take = Callable[[Exchange, int, str], object]
"""Goes on with this text from a place of an answer, in characters, in a new attempt."""


class TokenCard(QFrame):
    """Stays while the mouse or the keyboard is on it or on its token. Up and Down go along what can be pressed."""

    stepped = Signal(int)
    """The token so many after this one is wanted."""

    def __init__(
        self,
        parent: QWidget,
        token: str,
        choices: Sequence[Choice],
        readers: Mapping[Author, str],
        take: Callable[[str], object],
        below: Sequence[QWidget] = (),
    ) -> None:
        """`readers`: the heads of the columns. `take`: goes on with the text of a choice. `below`: what else there is
        to say."""
        super().__init__(parent)
        set_role(self, Role.FIELD)
        self.setAccessibleName("What the models might have written here")
        names = names_of([each.text for each in choices])
        grid = QGridLayout()
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(2)
        head = label(f"instead of “{names_of([token])[0]}”", Role.MUTED)
        head.setIndent(BESIDE_NAME)
        grid.addWidget(head, 0, 0)
        for column, (author, name) in enumerate(readers.items(), 1):
            grid.addWidget(label(f"{SIGN[author]} {name}", AUTHOR_ROLES[author]), 0, column, RIGHT)
        for row, (name, choice) in enumerate(zip(names, choices, strict=True), 1):
            told = {each: chance(choice.logprobs[each]) for each in readers if each in choice.logprobs}
            shown = self._name_of(name, choice, told, take)
            grid.addWidget(shown, row, 0, Qt.AlignmentFlag.AlignLeft)
            for column, author in enumerate(readers, 1):
                grid.addWidget(label(told.get(author, "–")), row, column, RIGHT)
        rest = vbox(*below, margins=(BESIDE_NAME, 0, 0, 0))
        self.setLayout(vbox(grid, rest, margins=(2, 10, 14, 10), spacing=6))
        self._presses = self.findChildren(QPushButton)
        height = max((press.sizeHint().height() for press in self._presses), default=0)
        for row in range(1, len(choices) + 1):
            grid.setRowMinimumHeight(row, height)
        for press in self._presses:
            press.installEventFilter(self)
        self._hide = QTimer(self, singleShot=True, interval=HIDES_AFTER_MS)
        self._hide.timeout.connect(self._leave)

    def _name_of(self, name: str, choice: Choice, told: Mapping[Author, str], take: Callable[[str], object]) -> QWidget:
        if choice.stands:
            standing = label(name, Role.HEADING)
            standing.setIndent(BESIDE_NAME)
            return standing
        chances = ", ".join(f"{WHO[author]} {of}" for author, of in told.items())
        tip = "Another answer, which goes on from here with this instead"
        return button(f"{name} ↵", lambda: take(choice.text), Role.FLAT, tip, f"Continue with “{name}”: {chances}")

    def place_below(self, view: QWidget, token: QRectF) -> None:
        """Show it below a token of a view, or above where there is no room."""
        parent = self.parentWidget()
        if parent is None:
            return
        self._hide.stop()
        self.adjustSize()
        below = view.mapTo(parent, QPoint(round(token.left()) - 12, round(token.bottom()) + 2))
        x = max(0, min(below.x(), parent.width() - self.width()))
        fits = below.y() + self.height() <= parent.height()
        y = below.y() if fits else max(0, view.mapTo(parent, token.topLeft().toPoint()).y() - self.height() - 2)
        self.move(x, y)
        self.show()
        self.raise_()

    def leave_soon(self) -> None:
        """Hide it, unless the mouse or the keyboard comes to it."""
        self._hide.start()

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self._hide.stop()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.leave_soon()

    @property
    def has_focus(self) -> bool:
        """Whether the keyboard is on it."""
        focused = self.window().focusWidget()
        return focused is self or (focused is not None and self.isAncestorOf(focused))

    def enter(self) -> None:
        """Put the keyboard on the first thing that can be pressed."""
        (self._presses[0] if self._presses else self).setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the arrow keys, with which a button passes the focus on to any other widget."""
        return (isinstance(event, QKeyEvent) and self._takes(event)) or super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self._takes(event):
            super().keyPressEvent(event)

    def _takes(self, event: QKeyEvent) -> bool:
        if event.type() is not QEvent.Type.KeyPress:
            return False
        match event.key():
            case Qt.Key.Key_Left:
                self.stepped.emit(-1)
            case Qt.Key.Key_Right:
                self.stepped.emit(1)
            case Qt.Key.Key_Up | Qt.Key.Key_Down if self._presses:
                at = next((n for n, press in enumerate(self._presses) if press.hasFocus()), 0)
                by = 1 if event.key() == Qt.Key.Key_Down else -1
                self._presses[min(max(at + by, 0), len(self._presses) - 1)].setFocus()
            case Qt.Key.Key_Up | Qt.Key.Key_Down:
                pass
            case _:
                return False
        return True

    def _leave(self) -> None:
        if not self.underMouse() and not self.has_focus:
            self.hide()


class TokenView(QObject):
    """Shows the tokens of a pane while they are to be shown, and the card of the one that is pointed at."""

    def __init__(self, pane: AnswerPane, readings: TokenReadings, take: Take) -> None:
        super().__init__(pane)
        self._pane, self._readings, self._take = pane, readings, take
        self._view: StepsView | None = None
        """The text that the card belongs to."""
        self._placed: PlacedToken | None = None
        self.card: TokenCard | None = None
        self._rest = QTimer(self, singleShot=True, interval=SHOWS_AFTER_MS)
        self._rest.timeout.connect(self._show_card)
        for text in (pane.steps, pane.answer):
            text.token_pointed.connect(lambda placed, by_key, text=text: self._point(text, placed, by_key))
            text.token_entered.connect(self._enter)
        readings.changed.connect(self.follow)
        self.follow()

    def follow(self) -> None:
        """Update to whether tokens are shown, and to what the models have read."""
        for text in (self._pane.steps, self._pane.answer):
            text.show_tokens(self._readings.are_shown)
        if not self._readings.are_shown:
            self.close_card()
        elif self.card and self.card.isVisible():
            self._show_card()

    def close_card(self) -> bool:
        """Close the card; returns whether the keyboard was on it, which then goes back to the text."""
        if self.card is None:
            return False
        had_focus = self.card.has_focus
        self.card.hide()
        self.card.deleteLater()
        self.card = None
        if had_focus and self._view:
            self._view.setFocus()
        return had_focus

    def _point(self, view: StepsView, placed: PlacedToken | None, by_key: bool) -> None:
        if placed is None:
            self._rest.stop()
            if self.card:
                self.card.leave_soon()
            return
        self._view, self._placed = view, placed
        if by_key:
            place = view.tokens.rect_of(placed)
            if not view.visibleRegion().boundingRect().contains(place.toAlignedRect()):
                self._pane.revealed.emit(place.translated(view.pos()))
            self._show_card()
        else:
            self._rest.start()

    def _enter(self) -> None:
        self._show_card()
        if self.card:
            self.card.enter()

    def _show_card(self) -> None:
        exchange, placed, view = self._pane.exchange, self._placed, self._view
        page = self._pane.parentWidget()
        if placed is None or view is None or page is None or not self._readings.are_shown:
            return
        read = self._readings.of(exchange)
        choices = choices_at(placed, read)[:MOST_CHOICES]
        own = {model.card.label for model in exchange.trace.models if model.card}
        readers = {
            author: author.value if author not in read or read[author].model in own else read[author].model
            for author in (Author.SMALL, Author.LARGE)
            if any(author in each.logprobs for each in choices)
        }
        had_focus = self.close_card()

        def take(text: str) -> None:
            self.close_card()
            self._take(exchange, placed.start, text)

        below = self._offer_reading(exchange, read)
        self.card = TokenCard(page, placed.token.text, choices, readers, take, below)
        self.card.stepped.connect(lambda by: view.point_next(placed, by))
        self.card.place_below(view, view.tokens.rect_of(placed))
        if had_focus:
            self.card.enter()

    def _offer_reading(self, exchange: Exchange, read: Mapping[Author, ReadTokens]) -> list[QWidget]:
        """Say what it takes to see what both models might have written, how far that is, or why it cannot be."""
        if progress := self._readings.progress_of(exchange):
            reader = WHO[progress.author].capitalize()
            return [label(f"{reader} has read {progress.tokens:,} of {counted(progress.total, 'token')}.", Role.MUTED)]
        if read:
            return []
        if reason := self._readings.unavailable_reason(exchange):
            return [label(reason, Role.MUTED)]
        seconds = self._readings.seconds(exchange)
        price = f", about {rough_duration(seconds)}" if seconds is not None else ""
        tip = "Each model reads the whole answer once; nothing changes in it"
        return [button(f"Let both models read the answer{price}", lambda: self._readings.read(exchange), tip=tip)]


def names_of(texts: Sequence[str]) -> list[str]:
    """Return how tokens are named: without the blank before, unless two of them would have one name."""
    bare = [visible(text.removeprefix(" ") or text) for text in texts]
    return [name if bare.count(name) == 1 else visible(text) for name, text in zip(bare, texts, strict=True)]
