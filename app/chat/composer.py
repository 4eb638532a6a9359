"""The composer: the problem field, and below it a menu for the next answer and buttons to send, stop and take over."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QMimeData, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent, QTextCursor
from PySide6.QtWidgets import QFrame, QPlainTextEdit

from baton_reasoning.app.chat.next_answer import NextAnswerMenu, SystemPromptDialog
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.run_queue import Activity
from baton_reasoning.app.toolkit.controls import ElidedLabel, IconButton, button, label, with_key
from baton_reasoning.app.toolkit.layout import hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, icon, set_role
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.words.authors import SIGN

MOST_LINES = 8
ASK, ASK_SAME_COLUMNS = "Ask something", "Ask the same columns"


class ProblemEdit(QPlainTextEdit):
    """Grows with its text. Enter or Ctrl+Enter sends, Shift+Enter begins a line, Up recalls earlier problems."""

    sent = Signal()

    def __init__(self, earlier: Callable[[], list[str]]) -> None:
        """`earlier`: the problems that Up recalls, newest first."""
        super().__init__()
        self._earlier = earlier
        self._recalled: list[str] = []
        """The problems that Up and Down go through, as they were when Up was pressed in the empty field."""
        self._place = -1
        """The index of the problem in the field among them; -1 if a person has written what stands there."""
        self._shown: str | None = None
        """The text of that problem in the field; None while it is being put there."""
        self.textChanged.connect(self._end_recall)
        self.setPlaceholderText(ASK)
        self.setAccessibleName("Problem")
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        set_role(self, Role.BARE)
        self.document().setDocumentMargin(2)
        self.textChanged.connect(self._fit)
        current_theme().changed.connect(self._fit)
        self._fit()

    def event(self, event: QEvent) -> bool:
        """Keep Ctrl+Enter: it sends, and never does what the window's command of this key does.

        And leave Ctrl+Z to the window's command while there is nothing to undo here.
        """
        if event.type() is QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            undoes = event.matches(QKeySequence.StandardKey.Undo)
            if undoes and not self.document().isUndoAvailable():
                event.ignore()
                return True
            if _sends(event):
                event.accept()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if _sends(event):
            self.sent.emit()
        elif not self._recalls(event):
            super().keyPressEvent(event)

    @property
    def is_recalling(self) -> bool:
        """Whether an earlier problem is in the field, as it was asked."""
        return self._place >= 0

    def _recalls(self, event: QKeyEvent) -> bool:
        """Put the problem before or after into the field, nothing after the newest; returns whether the key does that.

        In a text that a person has written, and among the lines of a problem, it moves the cursor.
        """
        by = RECALLING.get(event.key(), 0)
        if not by or event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            return False
        if not self.is_recalling:
            if by < 0 or self.toPlainText():
                return False
            self._recalled = self._earlier()
        if self.textCursor().movePosition(QTextCursor.MoveOperation.Up if by > 0 else QTextCursor.MoveOperation.Down):
            return False
        if (place := self._place + by) < len(self._recalled):
            self._place, self._shown = place, None
            self.setPlainText(self._recalled[place] if place >= 0 else "")
            self._shown = self.toPlainText()
            self.moveCursor(QTextCursor.MoveOperation.End)
        return True

    def _end_recall(self) -> None:
        if self._shown is not None and self.toPlainText() != self._shown:
            self._place = -1

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        """Leave files to the window, which knows what to do with each kind."""
        return not source.hasUrls() and super().canInsertFromMimeData(source)

    def sizeHint(self) -> QSize:
        return QSize(300, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the height to the new width, but later: Qt ignores a height that is set while it lays out."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            QTimer.singleShot(0, self, self._fit)

    def _fit(self) -> None:
        lines = min(max(self.document().lineCount(), 1), MOST_LINES)
        height = lines * self.fontMetrics().lineSpacing() + 16
        if height != self.height():
            self.setFixedHeight(height)
        if composer := self.parentWidget():
            # What holds the composer lays it out again afterwards, or it overlaps the line below.
            QTimer.singleShot(0, composer, composer.updateGeometry)


RECALLING: dict[int, int] = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1}
"""Keys that recall earlier problems, and how many places back they go."""


def _sends(event: QEvent) -> bool:
    """Whether a key sends the problem."""
    return (
        isinstance(event, QKeyEvent)
        and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
    )


Send = Callable[[str, Exchange | None], object]
"""Asks a problem, in the place of an exchange that was edited."""


class Composer(QFrame):
    """Asks problems, and steers the answer that is being written in the conversation in view."""

    policy_wanted = Signal()
    """Another policy is to be chosen."""

    def __init__(self, session: ChatSession, send: Send, compare: Callable[[], object]) -> None:
        """`compare`: compares policies on the problem in the field, or on the last one."""
        super().__init__()
        set_role(self, Role.FIELD)
        self._session, self._ask, self._compare = session, send, compare
        self.edit = ProblemEdit(session.last_problems)
        self.edit.sent.connect(self._send)
        self.edit.textChanged.connect(self._enable)
        self.edit.textChanged.connect(self._keep_unsent)
        self._conversation = session.conversation
        """The one to which the text in the field belongs."""
        self.menu = NextAnswerMenu(session, self)
        self.more = IconButton(
            "plus", with_key("System prompt, thinking, seed, compare", "Ctrl+Shift+H"), self.show_menu
        )
        self.unusual = ElidedLabel("", Role.MUTED)
        """What holds for the next answer and is not usual."""
        self._baton = button("", session.pass_baton, Role.FLAT)
        tip = with_key("End the thinking, and answer with what is there", "Ctrl+G")
        self._answer_now = button("Answer now", session.answer_now, Role.FLAT, tip)
        self._send_button = button("Send", self._send, Role.PRIMARY, "Enter", name="Send the problem")
        self._stop_button = button("Stop", session.stop, Role.PRIMARY, "What is written stays (Esc)", "Stop writing")
        self.edited: Exchange | None = None
        """What the next text replaces; the text that was in the field before is that of the conversation."""
        self._editing = ElidedLabel("", Role.MUTED)
        tip = "Ask a new problem instead (Esc)"
        cancel = button("Cancel", self.end_edit, Role.FLAT, tip, name="Cancel editing")
        self._edit_bar = holder(hbox((self._editing, 1), cancel, margins=(4, 0, 0, 0)))
        self._edit_bar.hide()
        self.policy_note = label("", Role.MUTED, wrap=True)
        """Why the policy of the next answer is not the usual one."""
        tip = with_key("Choose another policy", "Ctrl+P")
        change = button("Change", self.policy_wanted.emit, Role.FLAT, tip, name="Change the policy")
        self._policy_bar = holder(hbox((self.policy_note, 1), change, margins=(4, 0, 0, 0)))
        presses = self._answer_now, self._baton, self._send_button, self._stop_button
        row = hbox(self.more, (self.unusual, 1), *presses, spacing=8)
        self.setLayout(vbox(self._edit_bar, self._policy_bar, self.edit, row, margins=(10, 8, 10, 8), spacing=4))
        for changed in (session.activity_changed, session.models.changed, session.preferences.changed):
            changed.connect(self.follow)
        current_theme().changed.connect(self._draw)
        self._draw()
        self.follow()

    def follow(self) -> None:
        """Show what can be done now, and what holds for the next answer."""
        is_idle = self._session.activity is Activity.IDLE
        self.more.setVisible(is_idle)
        self._send_button.setVisible(is_idle)
        self._stop_button.setVisible(not is_idle)
        self.show_writer()
        self.unusual.setText(self.menu.summary())
        self.policy_note.setText(self._session.policy_note)
        self._policy_bar.setVisible(bool(self.policy_note.text()))
        self._enable()

    def show_writer(self) -> None:
        """Offer the model that does not write now, and to end its thinking."""
        answering = self._session.answering
        self._answer_now.setVisible(self._session.is_thinking)
        self._baton.setVisible(self._session.shared is not None)
        other = Author.SMALL if answering and answering.author is Author.LARGE else Author.LARGE
        text = "Take over now" if other is Author.LARGE else "Give back"
        self._baton.setText(f"{SIGN[other]} {text}")
        widest = max(self._baton.minimumWidth(), self._baton.sizeHint().width())
        self._baton.setMinimumWidth(widest)  # its edge stays where it is at each takeover
        self._baton.setAccessibleName(text)
        self._baton.setToolTip(with_key(f"The {other.value} model writes on", "Ctrl+T"))

    def show_menu(self) -> None:
        """Open the menu of the next answer, above its button."""
        self.menu.fill(self.edit_system, self._compare)
        self.menu.popup(self.more.mapToGlobal(QPoint(0, -self.menu.sizeHint().height())))

    def edit_system(self) -> None:
        """Edit the system prompt of this conversation in a dialog."""
        dialog = SystemPromptDialog(self._session, self.window())
        dialog.finished.connect(lambda: self.edit.setFocus())
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def begin_edit(self, exchange: Exchange) -> None:
        """Edit an earlier problem; the text sent next takes its place, unless the person cancels."""
        self.edited = exchange
        self._editing.setText(f"Editing “{' '.join(exchange.problem.split())}”")
        self._edit_bar.show()
        self.set_text(exchange.problem)

    def end_edit(self) -> None:
        """Return to a new problem, with the text that was there before."""
        if self.edited:
            self.edited = None
            self._edit_bar.hide()
            self.edit.setPlainText(self._conversation.unsent)

    def show_unsent(self) -> None:
        """Show what is typed in the conversation in view."""
        self.end_edit()
        self._conversation = self._session.conversation
        if self.edit.toPlainText() != self._conversation.unsent:
            self.edit.setPlainText(self._conversation.unsent)
            self.edit.moveCursor(QTextCursor.MoveOperation.End)

    def set_text(self, text: str) -> None:
        self.edit.setPlainText(text)
        self.edit.setFocus()
        self.edit.selectAll()

    def forget(self, problem: str) -> None:
        """Empty the field if it holds this problem; anything else is a draft."""
        if self.edit.toPlainText().strip() == problem:
            self.edit.clear()

    def _send(self) -> None:
        text = self.edit.toPlainText().strip()
        if text and self._session.ready and self._session.takes(text):
            edited = self.edited
            self.edit.clear()
            self.end_edit()
            self._ask(text, edited)

    def _keep_unsent(self) -> None:
        """Keep what a person types. An earlier problem is kept where it was asked."""
        if not (self.edited or self.edit.is_recalling):
            self._session.keep_unsent(self._conversation, self.edit.toPlainText())

    def _enable(self) -> None:
        can_send = self._session.ready and bool(self.edit.toPlainText().strip())
        if can_send is not self._send_button.isEnabled():
            self._send_button.setEnabled(can_send)
            self._draw()

    def _draw(self) -> None:
        colours = current_theme().colours
        is_enabled = self._send_button.isEnabled()
        self._send_button.setIcon(icon("send", colours.on_accent if is_enabled else colours.muted))
        self._stop_button.setIcon(icon("stop", colours.on_accent))
