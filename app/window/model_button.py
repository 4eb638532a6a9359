"""The header's button with the two models, or the progress of loading them; it leads back to recent pairs."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QMenu, QPushButton, QSizePolicy

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.controls import ElidedLabel, label, literal, plain_tip, with_key
from baton_reasoning.app.toolkit.layout import hbox
from baton_reasoning.app.toolkit.theme import AUTHOR_ROLES, Role
from baton_reasoning.app.window.page_actions import PageActions
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.source import parse_source
from baton_reasoning.core.settings import DEMO_OF
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import STATES, fallback_text, source_name, status_text
from baton_reasoning.core.words.speed import speed_of_pair

LONGEST_NAME = 170
"""Pixels in a narrow window, and half of those in a wide one; the whole name is in the tool tip."""
CHOOSE_MODELS = "Ctrl+Shift+P"
"""The key of the dialog for two models."""


class ModelButton(QPushButton):
    def __init__(self, models: LoadedModels, preferences: Preferences, actions: PageActions) -> None:
        super().__init__()
        self._models, self._preferences, self._actions = models, preferences, actions
        self._is_narrow = False
        self.pairs = QMenu(self)
        self.pairs.setToolTipsVisible(True)
        self._parts = {author: (label(SIGN[author], role), ElidedLabel()) for author, role in AUTHOR_ROLES.items()}
        self._between = label("⇄", Role.MUTED)
        small, large = self._parts.values()
        parts = (*small, self._between, *large)
        for part in parts:
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._row = hbox(*parts, margins=(12, 0, 12, 0), spacing=7)
        self.setLayout(self._row)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.clicked.connect(self._press)
        models.changed.connect(self.refresh)
        models.servers_changed.connect(self.refresh)
        self.refresh()

    def sizeHint(self) -> QSize:
        return QSize(self._row.sizeHint().width(), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(self._row.minimumSize().width(), super().sizeHint().height())

    def show_narrow(self, narrow: bool) -> None:
        """Show the sign of a server's state alone, before the name, which is shortened where the room is used up."""
        self._is_narrow = narrow
        self.refresh()

    def refresh(self) -> None:
        """Show the models, or what is going on with them; the tool tip says more."""
        models = self._models
        cards = models.pair.cards if models.state is LoadState.READY else {}
        texts = {author: self._text_of(author, card) for author, card in cards.items()}
        if not texts:
            failed = "✗ " if models.state is LoadState.FAILED else ""
            texts[Author.SMALL] = "Choose two models…" if models.state is LoadState.NONE else failed + models.status
        for author, (sign, text) in self._parts.items():
            sign.setVisible(author in cards)
            text.setVisible(author in texts)
            text.setText(texts.get(author, ""))
        self._between.setVisible(bool(cards))
        told = [fact for author, card in cards.items() for fact in self._facts_of(author, card)]
        self.setAccessibleName(f"Models: {', '.join(told) or texts[Author.SMALL]}")
        if cards and (speed := speed_of_pair(models.pair, models.costs)):
            told.append(speed)
        self.setToolTip(
            plain_tip("\n".join([*told, with_key("Choose other models", CHOOSE_MODELS)]) if told else models.status)
        )
        self.updateGeometry()

    def _text_of(self, author: Author, card: ModelCard) -> str:
        """Return the name, with the state of its server, or a sign that it is gone or got less than was asked for."""
        longest = LONGEST_NAME if self._is_narrow else 2 * LONGEST_NAME
        name = self.fontMetrics().elidedText(card.name, Qt.TextElideMode.ElideRight, longest)
        if status := self._models.server_status(author):
            return f"{STATES[status.state].sign} {name}" if self._is_narrow else f"{name} · {status_text(status)}"
        if self._models.is_lost(author):
            return f"✗ {name}"
        return f"⚠ {name}" if fallback_text(card) else name

    def _facts_of(self, author: Author, card: ModelCard) -> Iterator[str]:
        """Yield what the tool tip says of a model."""
        location = "" if card.location == "this machine" else card.location
        yield " · ".join(filter(None, (f"{author.value} model {card.name}", card.quantisation, location)))
        if status := self._models.server_status(author):
            yield ": ".join(filter(None, ("its server", status_text(status), status.reason)))
        if self._models.is_lost(author):
            yield "its process has ended: load it again"
        if less := fallback_text(card):
            yield less

    def _press(self) -> None:
        """Offer the recent pairs and the demo pair, without the one in use; if there is no other, choose two models."""
        chosen = self._preferences.value
        recent = [(parse_source(small), parse_source(large)) for small, large in chosen.window.recent_pairs]
        self.pairs.clear()
        demo = tuple(DEMO_OF.values())
        for small, large in (*recent, demo):
            choice = chosen.models.model_copy(update={"small": small, "large": large})
            if choice != chosen.models:
                both = f"{SIGN[Author.SMALL]} {source_name(small)}  {SIGN[Author.LARGE]} {source_name(large)}"
                action = self.pairs.addAction("Demo pair" if (small, large) == demo else literal(both))
                action.triggered.connect(lambda _checked, choice=choice: self._actions.use_models(choice))
                action.setToolTip(plain_tip(f"{small}\n{large}"))
        if not self.pairs.actions():
            self._actions.choose_models()
            return
        self.pairs.addSeparator()
        self.pairs.addAction(with_key("Choose two models…", CHOOSE_MODELS), lambda: self._actions.choose_models())
        self.pairs.popup(self.mapToGlobal(self.rect().bottomLeft()))
