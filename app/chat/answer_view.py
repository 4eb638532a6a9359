"""One answer: header with shares, ribbon, steps, and the answer itself."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, QRectF, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLayout, QPushButton, QWidget

from baton_reasoning.app.chat.remedies import AnswerAction, OtherPolicy, Remedy, remedies
from baton_reasoning.app.chat.scoreboard_view import ScoreboardView
from baton_reasoning.app.chat.scoreboards import Board, beyond_the_demo
from baton_reasoning.app.chat.step_editor import StepEditor
from baton_reasoning.app.document.answer_card import AnswerCard
from baton_reasoning.app.document.ribbon_follower import RibbonFollower
from baton_reasoning.app.document.steps_document import thinking_pieces
from baton_reasoning.app.document.steps_view import MARGIN, StepsView
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.controls import ElidedLabel, IconButton, button, label, plain_tip
from baton_reasoning.app.toolkit.layout import Spacer, hbox, vbox
from baton_reasoning.app.toolkit.ribbon import Ribbon
from baton_reasoning.app.toolkit.theme import SIGN, Role, set_role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.thinking.differences import corrections
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.labels import last_text, run_in_brief, used_in_brief, used_in_full
from baton_reasoning.core.words.numbers import count
from baton_reasoning.core.words.speed import time_saved

HEAD_GAP = 8
"""Pixels between two parts of the heading."""
NOT_BEGUN = "Stopped before it began."
MOST_COMPARED = 2_000
"""Pieces of an answer whose corrections are counted for its heading, about 50 ms."""


class AnswerView(QWidget):
    wanted = Signal(object)  # an AnswerAction, OtherPolicy, BoardAction or ScoredArm
    piece_chosen = Signal(object)  # a Piece
    menu_wanted = Signal(object, QPoint)  # a Piece, and where on the screen
    piece_revealed = Signal(QRectF)
    """Scroll there: a place in this widget."""
    edited = Signal(object, str)
    """A Piece, and the text that is to stand in its place."""

    def __init__(
        self,
        exchange: Exchange,
        typesetter: Typesetter,
        costs: ModelCosts,
        folds: bool,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_StaticContents)
        self.exchange = exchange
        self._costs = costs
        self._folds = folds
        self._folded: bool | None = None
        """What the person chose; None for what the settings say."""
        if exchange.trace.pieces and not exchange.trace.ended:
            self._folded = False  # a fork: how it goes on is what there is to see
        self._live, self._waiting = False, ""
        self._builds_folded = False
        self._title, self.brief = label("", Role.HEADING), ElidedLabel("", Role.MUTED)
        self._share, self._takeovers = ElidedLabel("", Role.LARGE), ElidedLabel("", Role.MUTED)
        self._fold = button("", self.toggle_fold, Role.FLAT)
        self.ribbon = Ribbon()
        self.ribbon.segment_clicked.connect(self._ribbon_clicked)
        self._segments = RibbonFollower(self.ribbon)
        self.steps = StepsView(typesetter)
        self.steps.piece_clicked.connect(self._piece_clicked)
        self.steps.menu_wanted.connect(self.menu_wanted)
        self.steps.grown.connect(lambda _: self._place_editor())
        self.editor: StepEditor | None = None
        """Over the step that a person edits."""
        self._edited_piece: Piece | None = None
        self._card = AnswerCard(typesetter)
        self.answer = self._card.text
        self.scoreboard = ScoreboardView()
        self.scoreboard.wanted.connect(self.wanted)
        self.time = label("", wrap=True)
        """How long it took, and the large model alone would have taken."""
        self.used = ElidedLabel("", Role.MUTED)
        """Models, policy and seed, as they were for this answer."""
        self._remedies: list[Remedy] = []
        self._remedy_buttons: list[QPushButton] = []
        self._ending = label("", Role.MUTED, wrap=True)
        self._lay_out()
        self.refresh(live=False)

    @property
    def folded(self) -> bool:
        """Whether the steps are collapsed. Only reasoning collapses, and only when there is an answer."""
        trace = self.exchange.trace
        if not trace.thinks or self._live or self._folded is not None:
            return bool(self._folded)
        return self._folds and trace.closed is not None and _has_answer(trace)

    def toggle_fold(self) -> None:
        self._folded = not self.folded
        self.refresh(self._live, self._waiting)

    def keep_open(self) -> None:
        """Keep the steps expanded when the answer arrives."""
        self._folded = False
        self.refresh(self._live, self._waiting)

    def build_folded(self, build: bool) -> None:
        """Whether the steps are put into their text although they are collapsed, so that they can be searched."""
        self._builds_folded = build
        if build and self.folded:
            self.steps.resize(self.width(), self.steps.height())  # the text is wrapped once, not again when it is shown
            self.refresh(self._live, self._waiting)

    def refresh(self, live: bool, waiting: str = "") -> None:
        """Update from the trace; `live`: it is still being written. `waiting`: what it waits for before it begins."""
        self._live, self._waiting = live, waiting
        trace = self.exchange.trace
        thinking = thinking_pieces(trace)
        # A folded text is not even built: an old conversation opens at once, however long its thinking.
        if not self.folded or self._builds_folded:
            self.steps.sync(trace, thinking, live and trace.closed is None)
        self.steps.setVisible(bool(thinking) and not self.folded)
        self._segments.follow(trace)
        self._card.follow(trace, live)
        self._describe(live)

    def show_board(self, board: Board) -> None:
        """Show the scoreboard, in place of the time that the large model alone would have taken."""
        self.scoreboard.show_board(board)
        self.time.hide()

    def choose(self, piece: Piece | None, reveal: bool = False) -> None:
        """Mark a piece in text and ribbon; `reveal` expands the reasoning and scrolls there."""
        self.steps.select(piece)
        self.ribbon.select(self._segments.index_of(piece) if piece else -1)
        if piece and not piece.in_answer and not self.folded:
            self._folded = False  # what a person looks at is not collapsed when the answer arrives
        if piece is None or not reveal:
            return
        if self.folded and not piece.in_answer:
            self.toggle_fold()
        place = self.steps.place_of(piece)
        if place is not None:
            self.piece_revealed.emit(place.translated(self.steps.pos()))

    def edit(self, piece: Piece) -> None:
        """Let a person edit a piece where it stands; `edited` says what becomes of it."""
        self.close_editor()
        self.editor = StepEditor(piece.text, self.steps.document().defaultFont(), self)
        self.editor.hide()
        self.editor.accepted.connect(self._take_edit)
        self.editor.cancelled.connect(self.close_editor)
        self._edited_piece = piece
        self.choose(piece, reveal=True)
        self._place_editor()

    def close_editor(self) -> None:
        """Leave the text as it is."""
        if self.editor:
            self.editor.hide()
            self.editor.deleteLater()
        self.editor = self._edited_piece = None

    def _take_edit(self, text: str) -> None:
        piece = self._edited_piece
        if piece and text == piece.text:
            self.close_editor()
        elif piece:
            self.edited.emit(piece, text)

    def _place_editor(self) -> None:
        """Lay the editor over its step, once that is in the text: a long answer comes in portions."""
        if not (self.editor and self._edited_piece and (place := self.steps.place_of(self._edited_piece))):
            return
        left, top = self.steps.x() + MARGIN - 12, self.steps.y() + round(place.top())
        width = self.steps.width() - MARGIN + 12
        height = self.editor.height_for(width)
        self.editor.setGeometry(left, max(0, min(top, self.height() - height)), width, height)
        if self.editor.isHidden():
            self.editor.begin()

    def _describe(self, live: bool) -> None:
        trace = self.exchange.trace
        for widget in (self._title, self.ribbon):
            widget.setVisible(bool(trace.started))
        self._title.setText("Reasoning" if trace.thinks else "Answer")
        self.brief.setText(run_in_brief(trace, live))
        if trace.totals[Author.LARGE].kept:
            self._share.setText(f"{SIGN[Author.LARGE]} {_share_text(trace)}")
            takeovers = trace.totals[Author.LARGE].takeovers
            text = f"in {count(takeovers, 'takeover')}" if takeovers else ""
            corrected = 0 if live or len(trace.pieces) > MOST_COMPARED else corrections(trace.pieces)
            self._takeovers.setText(f"{text}, {corrected:,} ≠" if corrected else text)
            if corrected:
                self._takeovers.setToolTip(f"{text}, {corrected:,} of which corrected a value")
        else:
            self._share.clear()
            self._takeovers.clear()
        self._fold.setVisible(bool(thinking_pieces(trace)) and (trace.thinks or self.folded))
        self._fold.setText("▸ show" if self.folded else "▾ collapse")
        self._fold.setAccessibleName("Show the steps" if self.folded else "Hide the steps")
        self._fit_heading()
        is_dropped = self.exchange.is_read and not trace.started and not live and not self._waiting
        text = NOT_BEGUN if is_dropped else self._waiting or last_text(trace, live or not self.exchange.is_read)
        if beyond_the_demo(self.exchange) and trace.finish is Finish.END_OF_TEXT:
            text = ""  # advice on the policy would not help
        self._ending.setText(text)
        self._ending.setVisible(bool(text))
        failed = trace.finish is Finish.FAILED
        set_role(self._ending, Role.DANGER if failed else Role.MUTED)
        over = bool(trace.started) and not live and not self._waiting
        is_beyond = over and beyond_the_demo(self.exchange)
        self._offer(remedies(trace) if over and not is_beyond else [])
        if is_beyond:
            self.scoreboard.show_beyond()
        self._continue.setVisible(is_dropped or (over and trace.finish not in (Finish.END_OF_TEXT, Finish.MAX_TOKENS)))
        self.time.setText(time_saved(trace, self._costs.of(trace.started.large)) if over and trace.started else "")
        self.time.setVisible(bool(self.time.text()) and self.scoreboard.isHidden())
        self.used.setVisible(over)
        if over and self.used.text() != (used := used_in_brief(trace)):
            self.used.setText(used)
            self.used.setToolTip(plain_tip(used_in_full(trace)))
        self._again.setVisible(over)
        self._compare.setVisible(over)
        self._copy.setVisible(over)
        self._export.setVisible(over)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit_heading()
        self._place_editor()

    def _fit_heading(self) -> None:
        """Leave out of the heading what does not fit, first steps and seconds, then the takeovers."""
        parts = [part for part in (self._share, self._takeovers, self.brief) if part.text()]
        if self.exchange.trace.prefill:
            parts.sort(key=lambda part: part is not self.brief)  # how far the prompt is read comes first
        width = self.width() - self._title.sizeHint().width()
        width -= 0 if self._fold.isHidden() else self._fold.sizeHint().width() + HEAD_GAP
        shown: list[ElidedLabel] = []
        for part in parts:
            width -= part.sizeHint().width() + HEAD_GAP
            if shown and width < HEAD_GAP:
                break
            shown.append(part)
        for part in (self.brief, self._share, self._takeovers):
            part.setVisible(bool(self.exchange.trace.started) and part in shown)
        self._title.setToolTip("" if len(shown) == len(parts) else plain_tip("\n".join(part.text() for part in parts)))

    def _lay_out(self) -> None:
        self._continue = button("Continue", lambda: self.wanted.emit(AnswerAction.CONTINUE), tip="Continue this answer")
        self._again = IconButton("again", "Regenerate (new seed)", self._asker(AnswerAction.AGAIN))
        self._compare = IconButton("compare", "Compare with other policies (Ctrl+D)", self._asker(AnswerAction.COMPARE))
        self._copy = IconButton("copy", "Copy the answer (Ctrl+Shift+C)", self._asker(AnswerAction.COPY))
        self._export = IconButton("download", "Export", self._asker(AnswerAction.EXPORT))
        head = hbox(self._title, self.brief, self._share, self._takeovers, Spacer(0), self._fold, spacing=HEAD_GAP)
        self._foot = hbox(Spacer(0), self._continue, self._copy, self._again, self._compare, self._export, spacing=2)
        column = vbox(
            head,
            self.ribbon,
            self.steps,
            4,
            self._card,
            self.scoreboard,
            self.time,
            self.used,
            self._ending,
            self._foot,
            margins=0,
            spacing=4,
        )
        # Growing steps get their room at once. Else they lie over what is below until the conversation is laid out.
        column.setSizeConstraint(QLayout.SizeConstraint.SetMinimumSize)
        self.setLayout(column)

    def _offer(self, offered: list[Remedy]) -> None:
        """Add buttons that remedy how the run ended, before those that every answer has."""
        if offered == self._remedies:
            return
        self._remedies = offered
        for press in self._remedy_buttons:
            self._foot.removeWidget(press)
            press.hide()
            press.deleteLater()
        self._remedy_buttons = [button(each.label, self._asker(each.action), tip=each.tip) for each in offered]
        for press in reversed(self._remedy_buttons):
            self._foot.insertWidget(self._foot.indexOf(self._continue), press)

    def _asker(self, request: AnswerAction | OtherPolicy) -> Callable[[], None]:
        return lambda: self.wanted.emit(request)

    def _piece_clicked(self, piece: Piece) -> None:
        self.choose(piece)
        self.piece_chosen.emit(piece)

    def _ribbon_clicked(self, index: int) -> None:
        if piece := self._segments.piece_at(index):
            self.choose(piece, reveal=True)
            self.piece_chosen.emit(piece)


def _share_text(trace: Trace) -> str:
    """Return “large wrote 38%”, and “brought 64% of the gain” if the values of the steps are known."""
    wrote = f"large wrote {trace.large_share:.0%}"
    if not trace.values:
        return wrote
    from baton_reasoning.core.thinking.values import StepValues
    from baton_reasoning.core.words.values import gain_text  # most answers have no values, and need none of this

    values = StepValues.of(trace)
    return (values and gain_text(trace, values)) or wrote


def _has_answer(trace: Trace) -> bool:
    return any(piece.in_answer and piece.text.strip() for piece in reversed(trace.pieces))
