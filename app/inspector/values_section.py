"""What each step of an answer was worth: who is to continue the text, the curve of values, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QSignalBlocker

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.inspector.review_section import AnswerOf, ReviewSection, ReviewState
from baton_reasoning.app.session.reviews import Reviewer, ReviewKind
from baton_reasoning.app.toolkit.chart_picture import ChartPicture, ChartPoint
from baton_reasoning.app.toolkit.controls import combo_box, label, line_edit
from baton_reasoning.app.toolkit.layout import flowing, holder, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.analysis.value_estimator import ValueOptions, ValuesProgress, is_valued
from baton_reasoning.core.analysis.values import StepValues, ValuedPlace
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.export.value_curve import draw_values
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.reviews import Review, Values
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import ValuesEstimated
from baton_reasoning.core.thinking.trace import Piece, Trace, piece_before
from baton_reasoning.core.words.numbers import duration
from baton_reasoning.core.words.values import WRITER_WORDS, place_in_words, source_text, value_sentences

ABOUT = "Continuations are written from the end of each step. The share of them that ends right is the value there."
CHOOSE = "Click a point to see its step."
BEGINS = "The first continuations are written."
OWN_ANSWER = "empty: this answer’s own"


class ValuesSection(ReviewSection):
    kind = ReviewKind.VALUES

    def __init__(self, pane: AnswerPane, reviewer: Reviewer, answer_of: AnswerOf) -> None:
        super().__init__(pane, reviewer, answer_of)
        self._drawn: ValuesEstimated | None = None
        """What the curve shows."""
        self.values: StepValues | None = None
        self.places: list[ValuedPlace] = []
        """The points of the curve."""
        self.writer = combo_box("Who continues")
        for name, words in WRITER_WORDS.items():
            self.writer.addItem(words, name)
        self.expected = line_edit("Expected answer", OWN_ANSWER)
        self.form = flowing(label("Continued by"), self.writer, label("Right answer"), self.expected, self.start)
        self.curve = ChartPicture("Value by step")
        self.place = label(CHOOSE, Role.MUTED, wrap=True, selectable=True)
        self.words = label(wrap=True, selectable=True)
        self.source = label("", Role.MUTED, wrap=True, selectable=True)
        self.result = holder(vbox(self.curve, self.place, self.words, self.source, margins=0, spacing=6))
        self.column.addWidget(self.form)
        self.column.addWidget(self.result)
        self.writer.activated.connect(lambda _: self.follow())
        self.expected.textChanged.connect(lambda _: self.follow())
        self.expected.returnPressed.connect(self.start.click)
        self.curve.chosen.connect(self._pick)
        self.curve.pointed.connect(lambda text: self.place.setText(text or CHOOSE))

    def show_findings(self, trace: Trace, is_other: bool) -> None:
        if is_other:
            latest = next(reversed(trace.values.values()), None)
            expected = latest.target if latest and latest.is_expected else self.answer_of(self.pane.exchange).expected
            self.writer.setCurrentIndex(max(0, self.writer.findData(latest.writer if latest else "")))
            with QSignalBlocker(self.expected):
                self.expected.setText(expected)
        running, known = self._progress(), self._known
        self._draw(trace, running.estimated if running else known)
        self.form.setVisible(not self.is_running)
        self.start.setText("Go on" if known and not known.is_whole else "Start")
        self.start.setEnabled(not self.unavailable_reason())
        self.result.setVisible(self.values is not None)

    def describe(self) -> ReviewState:
        if self.is_running:
            found = self._progress()
            return ReviewState(progress_text(found), "", found.done, found.total) if found else ReviewState(BEGINS)
        line = self.words.text().replace("\n", " · ") if self.values and not self.is_open else ""
        if not self.is_open:
            return ReviewState(line)
        known = self._known
        about = self.price if known else f"{ABOUT}\n{self.price}"
        return ReviewState(line, self.unavailable_reason() or ("" if known and known.is_whole else about))

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _known(self) -> ValuesEstimated | None:
        """The values by the chosen writer."""
        return self.pane.exchange.trace.values.get(self.writer.currentData())

    def _progress(self) -> ValuesProgress | None:
        progress = self.reviewer.progress if self.is_running else None
        found = progress.latest if progress else None
        return found if isinstance(found, ValuesProgress) else None

    def _draw(self, trace: Trace, estimated: ValuesEstimated | None) -> None:
        if estimated is self._drawn and (self.values is None or self.values.length == trace.length):
            return
        self._drawn = estimated
        found = StepValues(trace, estimated) if estimated else None
        self.values = values = found if found and found.places else None
        if values is None:
            return
        sentences = value_sentences(trace, values)
        self.words.setText("\n".join(sentences))
        self.source.setText(source_text(values.estimated))
        self.places = [each.place for each in draw_values(values).places]
        texts = [place_in_words(place, piece_of(trace, values, place), values) for place in self.places]

        def draw(width: int) -> tuple[str, Sequence[ChartPoint]]:
            drawing = draw_values(values, width)
            points = zip(drawing.places, texts, strict=True)
            return drawing.svg, [ChartPoint(each.x, each.y, text) for each, text in points]

        self.curve.show_points(draw, " ".join(sentences))

    @property
    def expected_answer(self) -> str:
        return self.expected.text().strip()

    @property
    def review(self) -> Callable[[Grader], Review]:
        return partial(Values, ValueOptions(writer=self.writer.currentData()))

    def unavailable_reason(self) -> str:
        if (reason := super().unavailable_reason()) or not self.is_open:
            return reason
        try:
            is_valued(self.pane.exchange.trace, self.expected_answer, ValueOptions(self.writer.currentData()))
        except SettingsError as error:
            return str(error)
        return ""

    def _pick(self, index: int) -> None:
        assert self.values
        self.pane.pick(piece_of(self.pane.exchange.trace, self.values, self.places[index]))


def piece_of(trace: Trace, values: StepValues, place: ValuedPlace) -> Piece:
    """Return the piece before a place, at the beginning the first one; for replaced text, what replaced it."""
    if place.place.replaced:
        return next(worth.span.piece for worth in values.takeovers if worth.before is place)
    return piece_before(trace.pieces, place.position) or trace.pieces[0]


def progress_text(progress: ValuesProgress) -> str:
    """Return “112 of 288 continuations · 14,032 tokens · 12.3 s”."""
    done = f"{progress.done:,} of {counted(progress.total, 'continuation')}"
    return f"{done} · {counted(progress.tokens, 'token')} · {duration(progress.seconds)}"
