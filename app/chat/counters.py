"""The line below the composer: context, speed of each model, and cost of the run."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QWidget

from baton_reasoning.app.toolkit.controls import label
from baton_reasoning.app.toolkit.layout import Spacer, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import bill_text, tokens_text
from baton_reasoning.core.words.numbers import count, money

SMALLER = 0.9
NEARLY_FULL = 0.9
GAP, EDGE = 16, 2
"""Pixels between two counters, and at the ends of the line."""


class Counters(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = label("", Role.MUTED)
        self._nearly_full = False
        self.small, self.large = label("", Role.SMALL), label("", Role.LARGE)
        for name, widget in {
            "Context used, of what both models hold": self.context,
            "Small model": self.small,
            "Large model": self.large,
        }.items():
            widget.setToolTip(name)
        self._followed: Trace | None = None
        self.bills = {Author.SMALL: label("", Role.SMALL), Author.LARGE: label("", Role.LARGE)}
        """What each server did, a line each; hidden where no model is on one."""
        row = hbox(*self._labels(), Spacer(0), spacing=GAP)
        for bill in self.bills.values():
            bill.hide()
        self.setLayout(vbox(row, *self.bills.values(), margins=(EDGE, 0, EDGE, 0), spacing=2))
        current_theme().changed.connect(self._use_small_font)
        self._use_small_font()

    def follow(self, trace: Trace | None) -> None:
        if trace is None or trace.started is None:
            for widget in self._labels():
                widget.clear()
            for widget in self.bills.values():
                widget.hide()
            self._fit()
            return
        if trace is not self._followed:
            self._followed = trace
            for widget in self._labels():
                widget.setMinimumWidth(0)
        cards = [card for card in (trace.started.small, trace.started.large) if card]
        used = trace.started.prompt_tokens + trace.tokens
        context = min((card.context for card in cards), default=0)
        self.context.setText(f"Context {used:,} / {context:,}")
        nearly_full = bool(context) and used > NEARLY_FULL * context
        if nearly_full is not self._nearly_full:
            self._nearly_full = nearly_full
            set_role(self.context, Role.DANGER if nearly_full else Role.MUTED)
        self._show_speed(self.small, trace, Author.SMALL)
        self._show_speed(self.large, trace, Author.LARGE)
        for author, widget in self.bills.items():
            self._show_usage(widget, trace, author)
        for widget in self._labels():  # it may grow while the text is written, but what is beside it never moves back
            widget.setMinimumWidth(max(widget.minimumWidth(), widget.sizeHint().width() if widget.text() else 0))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._fit)  # hiding a part here would lay out again what is being laid out

    def _labels(self) -> tuple[QLabel, ...]:
        return self.context, self.small, self.large

    def _fit(self) -> None:
        """Hide what does not fit, from the right."""
        width = self.width() - 2 * EDGE
        shown = 0
        for each in self._labels():
            needed = max(each.sizeHint().width(), each.minimumWidth()) + GAP
            fits = bool(each.text()) and shown + needed - GAP <= width
            shown += needed if fits else 0
            each.setVisible(fits)

    def _show_usage(self, widget: QLabel, trace: Trace, author: Author) -> None:
        bill, started = trace.usage.get(author), trace.started
        card = started and (started.small if author is Author.SMALL else started.large)
        widget.setVisible(bill is not None)
        if bill and card:
            text = f"{SIGN[author]} {card.location}: {tokens_text(bill)}"
            spent = money(bill.money, bill.currency)
            widget.setText(f"{text} · {spent}" if spent else text)
            widget.setToolTip(bill_text(bill))

    def _show_speed(self, widget: QLabel, trace: Trace, author: Author) -> None:
        total = trace.totals[author]
        speed = f"{total.tokens_per_second:,.0f} tok/s" if total.tokens_per_second else ""
        widget.setText(f"{SIGN[author]} {speed}" if total.decoded and speed else "")
        widget.setToolTip(f"Speed of the {author.value} model; it wrote {count(total.kept, 'token')}")

    def _use_small_font(self) -> None:
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * SMALLER)
        for widget in (*self._labels(), *self.bills.values()):
            widget.setFont(font)
        for widget in self._labels():
            widget.setMinimumWidth(0)
        self._fit()
