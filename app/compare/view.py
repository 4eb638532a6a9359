"""Two or three answers to one problem side by side: titles and results above, their text and steps below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from textwrap import shorten

from PySide6.QtCore import QEvent, QRectF, Qt, Signal
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.document.answer_pane import AnswerActions, AnswerPane
from baton_reasoning.app.document.rich_text import RichText
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import Hairline, IconButton, button, label, plain_tip, scrolling, with_key
from baton_reasoning.app.toolkit.layout import hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.analysis.differences import differing_numbers, parting, thinking_steps
from baton_reasoning.core.conversation import Exchange, ShownComparison
from baton_reasoning.core.grading.extract import answer_of_run
from baton_reasoning.core.grading.grader import Grader, Standing, standings
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.trace import Piece, Trace, thinking_pieces
from baton_reasoning.core.words.labels import method_title
from baton_reasoning.core.words.numbers import duration, in_brief

MOST_COLUMNS = 3
EDGE, GAP = 18, 26
"""Pixels at the sides, and between two columns."""
NARROWEST = 42
"""Letters in a column, about 300 pixels; where not all columns fit, they scroll sideways."""
LONGEST_OPENING = 30
"""Characters of a step that is named by its first words: many steps number themselves, and otherwise."""
LONGEST_NUMBER = 12
"""Digits of a number that are shown."""


class CompareView(QWidget):
    """The columns of one comparison."""

    left = Signal()
    choose_wanted = Signal()

    def __init__(
        self, comparison: ShownComparison, session: ChatSession, typesetter: Typesetter, actions: AnswerActions
    ) -> None:
        super().__init__()
        self.expected = comparison.expected
        self.exchanges = comparison.exchanges
        self._session = session
        self.columns = [
            AnswerColumn(exchange, title, session.show, typesetter, actions)
            for exchange, title in zip(self.exchanges, titles_of(self.exchanges), strict=True)
        ]
        self.chosen: Exchange | None = None
        """The answer of which a person has chosen a step."""
        self._seen: tuple[list[AnswerColumn], bool] = [], False
        """The answers that are over and graded, and whether no other is to come."""
        self._grading = LatestTask(self, "compare answers", one_at_a_time=True)
        self.note = label("", wrap=True, selectable=True)
        """Where the answers part, and why no times are shown."""
        self.note.setContentsMargins(EDGE, 6, EDGE, 2)
        self._lay_out()
        for column in self.columns:
            column.revealed.connect(lambda place, column=column: self._reveal(column, place))
        session.progressed.connect(self.refresh)
        session.activity_changed.connect(self.refresh_all)
        self.refresh_all()

    def refresh_all(self) -> None:
        for column in self.columns:
            self.refresh(column.exchange)

    def refresh(self, exchange: Exchange) -> None:
        """Update an answer, if it is one of these."""
        column = next((each for each in self.columns if each.exchange is exchange), None)
        if column is None:
            return
        column.follow(self._session.runs.writes(exchange), self._session.waiting_text(exchange))
        over = [each for each in self.columns if each.is_over]
        are_all_over = all(each.is_over or each.is_dropped for each in self.columns)
        if (over, are_all_over) != self._seen:
            self._seen = over, are_all_over
            self._grade(over)
            if are_all_over:
                self._align()

    def texts(self) -> list[RichText]:
        """Return answers and steps, column by column, for the find bar."""
        return [text for each in self.columns for text in (each.answer, each.steps) if not text.isHidden()]

    def unfold(self, text: RichText) -> None:
        """Nothing is folded here."""

    def choose(self, exchange: Exchange, piece: Piece, reveal: bool = False) -> None:
        """Mark a piece; `reveal` scrolls there."""
        self.chosen = exchange
        for column in self.columns:
            column.choose(piece if column.exchange is exchange else None, reveal)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange:
            self._set_narrowest()

    # -----------------------------------------------------------------------------------------------------------------

    def _grade(self, columns: Sequence[AnswerColumn]) -> None:
        """Compare answers that are over in a thread: algebra may take seconds."""
        answers = [answer_of_run(each.exchange.trace) for each in columns]

        def grade() -> list[Standing]:
            with Grader() as grader:
                return standings(answers, self.expected, grader)

        def show(found: Sequence[Standing]) -> None:
            titles = [each.title for each in columns]
            for column, standing in zip(columns, found, strict=True):
                text = standing_text(standing, titles)
                known = f"the expected answer, {self.expected}" if self.expected else ""
                column.show_verdict(standing.outcome, text, standing.answer or "", known)

        if len(columns) > (0 if self.expected else 1):  # a single answer needs the expected one
            self._grading.run(grade, show)

    def _align(self) -> None:
        """Find out where the answers part, now that all are over."""
        traces = [each.exchange.trace for each in self.columns]
        has_times = were_alike(traces)
        for column in self.columns:
            column.has_time = has_times
            column.show_facts()
        texts = [thinking_steps(trace) for trace in traces]
        where = parting_text(texts, [each.title for each in self.columns])
        self.note.setText(" ".join(filter(None, (where, "" if has_times else NO_TIMES))))
        self.note.setVisible(bool(self.note.text()))
        place = parting(texts)
        if self.chosen is None and place is not None:  # else a person reads elsewhere
            for column in self.columns:
                pieces = (piece for piece in thinking_pieces(column.exchange.trace) if piece.step == place)
                if piece := next(pieces, None):
                    column.choose(piece)

    def _reveal(self, column: AnswerColumn, place: QRectF) -> None:
        self.sideways.ensureWidgetVisible(column.head, EDGE, 0)
        top = round(column.y() + place.top())
        self.area.ensureVisible(0, top, 0, self.area.viewport().height() // 3)

    def _lay_out(self) -> None:
        self.area = scrolling(_in_a_row(self.columns, right=EDGE))
        self.area.setAccessibleName("Answers side by side")
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        bar = self.area.verticalScrollBar().sizeHint().width()
        heads = _in_a_row([each.head for each in self.columns], right=EDGE + bar)
        self._inside = holder(vbox(heads, Hairline(), (self.area, 1), margins=0, spacing=0))
        self.sideways = scrolling(self._inside)
        self.sideways.setAccessibleName("Columns")
        self.sideways.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._set_narrowest()
        self.note.hide()
        self.setLayout(vbox(self._bar(), self.note, (self.sideways, 1), margins=0, spacing=0))

    def _set_narrowest(self) -> None:
        # Not averageCharWidth: it averages all glyphs of the font, and Inter has many wide ones that are rarely used.
        narrowest = self.fontMetrics().horizontalAdvance("x" * NARROWEST)
        self._inside.setMinimumWidth(len(self.columns) * (narrowest + GAP) + EDGE)

    def _bar(self) -> QWidget:
        back = IconButton("chevron-left", with_key("Back to the conversation", "Alt+Up"), self.left.emit)
        problem = self.exchanges[0].problem
        text = label(in_brief(problem), wrap=True)
        text.setToolTip(plain_tip(problem))
        expected = [label(f"expected: {self.expected}", Role.MUTED)] if self.expected else []
        columns = button(
            "Columns…", self.choose_wanted.emit, tip=with_key("Choose other policies or answers", "Ctrl+D")
        )
        return holder(hbox(back, (text, 1), *expected, columns, margins=(EDGE - 10, 6, EDGE, 6)), Role.BAR)


class AnswerColumn(AnswerPane):
    """An answer, with its title and its result in a head that does not scroll."""

    def __init__(
        self,
        exchange: Exchange,
        title: str,
        open_it: Callable[[Exchange], object],
        typesetter: Typesetter,
        actions: AnswerActions,
    ) -> None:
        """`open_it`: shows the answer in its conversation."""
        super().__init__(exchange, typesetter, actions)
        self.title = title
        self.has_time = False
        """Whether its time can be compared with those of the other columns."""
        self.facts = label("", Role.MUTED, wrap=True)
        """Tokens, and the seconds where they can be compared."""
        self.steps.setAccessibleName(f"Steps, {title}")
        self.ribbon.setAccessibleName(f"Who wrote it, {title}")
        for part in (self.result, self.verdict):
            part.setWordWrap(True)
        self.open = button("Open", lambda: open_it(exchange), Role.FLAT, OPEN_TIP, f"Open “{title}”")
        first = hbox((label(title, Role.HEADING, wrap=True), 1), self.open)
        result = hbox(self.result, (self.verdict, 1), spacing=16)
        self.head = holder(vbox(first, result, self.facts, margins=0, spacing=2))

    def follow(self, live: bool = False, waiting: str = "") -> None:
        super().follow(live, waiting)
        if self.is_over:
            self.brief.setText(
                counted(len(self.exchange.trace.steps), "step")
            )  # the time stands in the head, if at all
            self.show_facts()

    def show_facts(self) -> None:
        """Show the time, where it can be compared, and the tokens."""
        trace = self.exchange.trace
        time = f"{duration(trace.seconds)} · " if self.has_time and trace.seconds > 0 else ""
        self.facts.setText(f"{time}{counted(trace.tokens, 'token')}" if trace.started else "")


OPEN_TIP = "Go on from this answer in its conversation: fork it, continue it, export it"
NO_TIMES = "No times are shown: the answers were not written by the same models, loaded in the same way."


def titles_of(exchanges: Sequence[Exchange]) -> list[str]:
    """Name the policy of each answer, and its seed if they have several."""
    seeds = {each.settings.seed for each in exchanges}
    return [
        method_title(each.settings) + (f", seed {each.settings.seed}" if len(seeds) > 1 else "") for each in exchanges
    ]


def were_alike(traces: Iterable[Trace]) -> bool:
    """Whether the same models wrote these answers, loaded in the same way, so that their times can be compared."""
    started = [run for trace in traces for run in (*trace.runs, trace.started) if run]
    for cards in ([each.small for each in started], [each.large for each in started]):
        known = [(card.source, card.name, card.location, card.placement) for card in cards if card]
        if any(each != known[0] for each in known):
            return False
    return True


def standing_text(standing: Standing, titles: Sequence[str]) -> str:
    """Return the verdict: ✓ right, ✗ wrong; where nothing is expected: = all agree, = as Small only, ≠ differs."""
    if standing.answer is None:
        return "✗ no answer" if standing.outcome is Outcome.WRONG else "no answer"
    if standing.outcome is not Outcome.UNSCORED:
        return ""  # in the pane's own words
    if len(standing.same) == len(titles) - 1:
        return "= all agree" if len(titles) > 2 else "= they agree"
    return f"= as {titles[standing.same[0]]}" if standing.same else "≠ differs"


def parting_text(texts: Sequence[Sequence[str]], titles: Sequence[str]) -> str:
    """Return “Small only and Keywords first differ at “That makes…”: 849 against 149.”, a sentence for each two
    neighbours that differ; if none do, that all have the same steps. `texts`: the steps of each column."""
    sentences = []
    for (one, left), (other, right) in pairwise(zip(titles, texts, strict=True)):
        if (place := parting((left, right))) is not None:
            words = shorten(left[place], LONGEST_OPENING, placeholder="…")
            where = f"“{words}”" if words else f"step {place + 1}"
            numbers = differing_numbers(left[place], right[place])
            differ = ": {} against {}".format(*map(_shortened, numbers)) if numbers else ""
            sentences.append(f"{one} and {other} first differ at {where}{differ}.")
    return " ".join(sentences) or ("All answers have the same steps." if any(texts) else "")


def _shortened(number: str) -> str:
    return number if len(number) <= LONGEST_NUMBER else f"{number[:LONGEST_NUMBER]}…"


def _in_a_row(widgets: Sequence[QWidget], right: int) -> QWidget:
    """Put a part of all columns side by side, equally wide. `right`: pixels kept free there."""
    cells = [(widget, 1, Qt.AlignmentFlag.AlignTop) for widget in widgets]
    return holder(hbox(*cells, margins=(EDGE, 8, right, 8), spacing=GAP))
