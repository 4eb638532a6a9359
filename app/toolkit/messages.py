"""The message bar: one message at a time, with actions, in a row that is there only while there is something to say."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QSize, QSizeF, Qt, QTimer
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QSizePolicy, QTextBrowser, QWidget

from baton_reasoning.app.toolkit.controls import Hairline, IconButton, announce, button, with_key
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, icon, set_role

MessageAction = tuple[str, Callable[[], object]]
"""The text of its button, and what it does."""
READING_MS, ACTING_MS = 10_000, 20_000
"""How long a message that is no error stays: without actions, and with some."""


class Cause(Enum):
    """What a message is about; once that is over, so is the message."""

    MODELS = auto()
    """They could not be loaded, or not as was asked."""
    SERVER = auto()
    """It does not answer."""
    BUSY = auto()
    """Something else is being written or run."""
    NOT_APPLICABLE = auto()
    """What was asked does not apply now. Such a message goes by itself."""
    PROBLEMS = auto()
    """They could not be read; others have been."""
    WRITING = auto()
    """An answer or a batch could not be written; the next one has begun."""
    SAVING = auto()
    """It fails, which nothing else in the window says."""
    STORE = auto()
    """It was damaged, or cannot be opened, which stays so until Baton is started again."""
    DELETION = auto()
    """Something was deleted, which can be undone."""


class ShownMessage(NamedTuple):
    text: str
    actions: tuple[MessageAction, ...] = ()
    warns: bool = True
    """Whether something went wrong. Such a message stays until its cause is over, or a person closes it."""
    cause: Cause | None = None
    asks: bool = False
    """Whether it is a question."""

    @property
    def passes(self) -> bool:
        """Whether it goes by itself."""
        return not self.warns or self.cause is Cause.NOT_APPLICABLE


NOTHING = ShownMessage("")


class MessageBar(QWidget):
    """Shows the newest message. An error whose cause is not over comes back when newer ones have gone."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: list[ShownMessage] = []
        """The newest last; below it, errors whose cause is not over."""
        self._shown = NOTHING
        self._picture = QLabel()
        self._text = MessageText()
        self._actions = hbox(margins=0, spacing=6)
        self._buttons: list[QPushButton] = []
        self._close = IconButton("close", with_key("Close the message", "Ctrl+Shift+X"), self.close_newest)
        row = hbox(self._picture, self._text, self._actions, self._close, STRETCH, margins=(14, 6, 8, 6), spacing=10)
        self.setLayout(vbox(Hairline(), row, margins=0, spacing=0))
        set_role(self, Role.BAR)
        self.timer = QTimer(self, singleShot=True, interval=READING_MS)
        self.timer.timeout.connect(self._expire)
        current_theme().changed.connect(self._draw)
        self._draw()
        self.hide()

    @property
    def text(self) -> str:
        """The text of the message that is shown; "" if there is none."""
        return self._shown.text

    def show_message(
        self, text: str, *actions: MessageAction, warns: bool = True, cause: Cause | None = None, asks: bool = False
    ) -> None:
        """Show a message in place of any other. `warns`: something went wrong; `asks`: it is a question."""
        standing = [each for each in self._messages if not each.passes and each.cause not in (None, cause)]
        self._messages = [*standing, ShownMessage(text, actions, warns, cause, asks)]
        self._show_newest()
        announce(self, text, urgent=warns)

    def resolve(self, cause: Cause) -> None:
        """Remove what was said about this, which is over."""
        self._messages = [each for each in self._messages if each.cause is not cause]
        self._show_newest()

    def close_newest(self) -> bool:
        """Close the message that is shown; False if there is none."""
        if not self._messages:
            return False
        self._messages.pop()
        self._show_newest()
        return True

    def take_focus(self) -> None:
        """Put the focus on the first action, or on the button that closes the message, if there is one."""
        if self.isHidden():
            return
        first = self._buttons[0] if self._buttons else self._close
        first.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _show_newest(self) -> None:
        newest = self._messages[-1] if self._messages else NOTHING
        if newest is self._shown:
            return
        self._shown = newest
        self.setVisible(newest is not NOTHING)  # before its buttons go, so that the focus leaves the bar with them
        for old in self._buttons:
            old.hide()
            old.deleteLater()
        self._text.setPlainText(newest.text)
        self._text.updateGeometry()  # Qt would keep the width of the message before, if both have one line
        self._buttons = [button(text, partial(self._carry_out, act)) for text, act in newest.actions]
        for each in self._buttons:
            self._actions.addWidget(each)
            each.show()
        self._draw()
        self.timer.stop()
        if newest.passes:
            self.timer.start(ACTING_MS if newest.actions else READING_MS)

    def _carry_out(self, act: Callable[[], object]) -> None:
        self.close_newest()
        act()

    def _expire(self) -> None:
        """Go, unless the mouse is over it or the focus in it."""
        focused = QApplication.focusWidget()
        if self.underMouse() or (focused and self.isAncestorOf(focused)):
            self.timer.start()
        else:
            self.close_newest()

    def _draw(self) -> None:
        colours = current_theme().colours
        if self._shown.warns:
            picture, name = icon("warning", colours.danger), "Error"
        elif self._shown.asks:
            picture, name = icon("question", colours.text), "Question"
        else:
            picture, name = icon("check", colours.success), "Message"
        self._picture.setPixmap(picture.pixmap(QSize(18, 18)))
        self._picture.setAccessibleName(name)


class MessageText(QTextBrowser):
    """Text to read and to copy, as high as it needs. Unlike a label it breaks a long path anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Message")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)

    def sizeHint(self) -> QSize:
        """Return the size of the text in one line."""
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.toPlainText()) + metrics.averageCharWidth(), metrics.height())

    def _fit(self, size: QSizeF) -> None:
        self.setFixedHeight(round(size.height()))
        self.updateGeometry()
