"""Top bar button with the two models, or the progress of loading them."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QWidget

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.toolkit.controls import ElidedLabel, label, plain_tip
from baton_reasoning.app.toolkit.layout import hbox
from baton_reasoning.app.toolkit.theme import AUTHOR_ROLES, Role, set_role
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.remote.status import ServerStatus
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import STATES, fallback_text, status_text
from baton_reasoning.core.words.speed import speed_of_pair

LONGEST_NAME = 170
"""Pixels; the whole name is in the tool tip."""


class ModelButton(QPushButton):
    choose_wanted = Signal()

    def __init__(self, models: LoadedModels, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.clicked.connect(lambda: self.choose_wanted.emit())
        self._status = label("", Role.MUTED)
        self._signs = {author: label(SIGN[author], role) for author, role in AUTHOR_ROLES.items()}
        self._names = {author: ElidedLabel() for author in AUTHOR_ROLES}
        self._details = {author: label("", Role.MUTED) for author in AUTHOR_ROLES}
        self._states = {author: StateLabel() for author in AUTHOR_ROLES}
        self._between = label("⇄", Role.MUTED)
        small, large = (
            (self._signs[author], self._names[author], self._details[author], self._states[author])
            for author in AUTHOR_ROLES
        )
        parts: list[QLabel] = [self._status, *small, self._between, *large]
        for part in parts:
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setLayout(hbox(*parts, margins=(12, 0, 12, 0), spacing=7))
        self.is_narrow = False
        models.changed.connect(self.refresh)
        models.servers_changed.connect(self.refresh)
        self.refresh()

    def sizeHint(self) -> QSize:
        layout = self.layout()
        assert layout is not None
        return QSize(layout.sizeHint().width(), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        layout = self.layout()
        assert layout is not None
        return QSize(layout.minimumSize().width(), super().sizeHint().height())

    def show_narrow(self, narrow: bool) -> None:
        """Shorten the text to the models' names."""
        if narrow is not self.is_narrow:
            self.is_narrow = narrow
            self.refresh()

    def refresh(self) -> None:
        ready = self._models.state is LoadState.READY
        self._status.setVisible(not ready)
        self._status.setText("Choose two models…" if self._models.state is LoadState.NONE else self._models.status)
        set_role(self._status, Role.DANGER if self._models.state is LoadState.FAILED else Role.MUTED)
        parts = []
        # The text of a server's status needs space.
        is_tight = self.is_narrow and any(self._models.server_status(author) for author in AUTHOR_ROLES)
        longest = LONGEST_NAME // 2 if is_tight else LONGEST_NAME
        for author in AUTHOR_ROLES:
            engine = self._models.pair.get(author)
            card = engine.card if engine else None
            name = card.name if card else "none"
            metrics = QFontMetrics(self._names[author].font())
            self._names[author].setText(metrics.elidedText(name, Qt.TextElideMode.ElideRight, longest))
            self._details[author].setText("" if self.is_narrow or not card else detail(card))
            parts.append(f"{author.value} model {name}")
            status = self._models.server_status(author)
            self._states[author].show_status(status, short=self.is_narrow)
            if status:
                parts.append(f"its server: {status_text(status)}")
            if card and (less := fallback_text(card)):
                parts.append(less)
            for widget in (self._signs[author], self._names[author], self._details[author], self._states[author]):
                widget.setVisible(ready and bool(widget.text()))
        self._between.setVisible(ready)
        self.setAccessibleName("Models: " + (", ".join(parts) if ready else self._status.text()))
        if ready and (speed := speed_of_pair(self._models.pair, self._models.costs)):
            parts.append(speed)
        tip = "\n".join([*parts, "Choose other models (Ctrl+M)"]) if ready else self._models.status
        self.setToolTip(plain_tip(tip))
        self.updateGeometry()


class StateLabel(QLabel):
    """The status of a server. It is as wide as its longest text, so that nothing beside it moves; where that does not
    fit, it shows the sign alone, whose meaning is in the tool tip of the button."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._widest = 0
        """Pixels of the longest text."""

    def sizeHint(self) -> QSize:
        return QSize(self._widest, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(2 * self.fontMetrics().averageCharWidth(), super().sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        shown = self.text() if self.width() >= self.fontMetrics().horizontalAdvance(self.text()) else self.text()[:1]
        painter = QPainter(self)
        self.style().drawItemText(
            painter, self.rect(), int(self.alignment()), self.palette(), self.isEnabled(), shown, self.foregroundRole()
        )

    def show_status(self, status: ServerStatus | None, short: bool) -> None:
        """Show the status of a server; None for a model that is not on one."""
        if status is None:
            self.clear()
            return
        role = Role.DANGER if STATES[status.state].is_problem else Role.MUTED
        if self.property("role") != role.value:
            set_role(self, role)
        self.setText(status_text(status, short))
        advance = self.fontMetrics().horizontalAdvance
        self._widest = max(advance(status_text(ServerStatus(state), short)) for state in STATES)
        self.updateGeometry()


def detail(card: ModelCard) -> str:
    """Return quantisation and server: “Q4_K_M · office-server”."""
    location = "" if card.location == "this machine" else card.location
    return " · ".join(filter(None, (card.quantisation, location, "⚠ less" if fallback_text(card) else "")))
