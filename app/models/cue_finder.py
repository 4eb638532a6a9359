"""The cue profile of one model: it writes on a few problems, and its habits become a cue list that a person accepts."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QDialog,
    QHeaderView,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.shared.background import StreamTask
from baton_reasoning.app.shared.pair_loader import opened
from baton_reasoning.app.shared.theme import Role, set_role
from baton_reasoning.app.shared.widgets.controls import button, label, whole_number
from baton_reasoning.app.shared.widgets.layout import STRETCH, hbox, in_row, vbox
from baton_reasoning.core.cue_profiler import (
    PROBLEMS,
    CueProfile,
    StepOpening,
    Suits,
    Writing,
    lexicon_json,
    profile,
    write_texts,
)
from baton_reasoning.core.engines.factory import EngineFactory
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.models.library import LocalModel
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.models.source import file_source
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.cues import Lexicon

TOKENS = 1024


class CueFinder(QDialog):
    """The dialog that profiles the cues of a model. It is not modal: a large model writes for minutes."""

    policy_wanted = Signal(str)
    """Another policy than keywords, for a model without cues."""

    def __init__(self, controller: ModelsController, model: LocalModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model = model
        self._task: StreamTask[str | Writing | CueProfile] | None = None
        self._stopping = threading.Event()
        self.setWindowTitle(f"Cues of {model.header.name}")
        self.resize(680, 620)
        self.status = label(
            "The model writes alone on a few problems. How its sentences open after a step boundary shows which words "
            "the keyword policy can hold on to. It is loaded once more for this.",
            wrap=True,
        )
        self.problems = _number(1, len(PROBLEMS), len(PROBLEMS), "Problems")
        self.tokens = _number(64, 8192, TOKENS, "Tokens a problem")
        self.begin = button("Start", self._begin, Role.PRIMARY)
        self.stop = button("Stop", self._stop, tip="Judge by what is written so far")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Written")
        self.findings = CueFindings()
        self.accept_cues = button("Use these cues", self._accept, Role.PRIMARY)
        self.by_entropy = button("Use first-token entropy", lambda: self._choose("first-token-entropy"))
        self.by_opening = button("Let the large model open", lambda: self._choose("every-step"))
        self._lay_out()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._stopping.set()
        super().closeEvent(event)

    # -----------------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        top = in_row(label("Problems"), self.problems, label("Tokens each"), self.tokens, self.begin, self.stop)
        buttons = (self.by_entropy, self.by_opening, self.accept_cues)
        for press in buttons:
            press.hide()
        foot = hbox(STRETCH, *buttons)
        self.setLayout(vbox(self.status, top, self.bar, (self.findings, 1), foot))
        self.stop.hide()
        self.bar.hide()

    def _begin(self) -> None:
        count, tokens = self.problems.value(), self.tokens.value()
        file = self._model.header.path
        choices = self._controller.preferences.choices_for(file, LoadOptions())
        factory = EngineFactory(local=lambda _: choices)
        self._stopping.clear()
        self.bar.setRange(0, count * tokens)
        self.bar.setValue(0)
        self._show_running(True)

        def write() -> Iterator[str | Writing | CueProfile]:
            texts: dict[int, str] = {}
            engine = yield from opened(file_source(file), factory, "Loading…")
            try:
                for writing in write_texts(engine, PROBLEMS[:count], RunSettings(max_tokens=tokens)):
                    texts[writing.problem] = writing.text
                    if self._stopping.is_set():
                        break
                    yield writing
            finally:
                engine.close()
            yield profile(texts.values())

        task = StreamTask(self, "profile cues", write, cancel=self._stopping.set)
        self._task = task.items(self._take).done(self._ended).start()

    def _stop(self) -> None:
        if self._task is not None and not self._stopping.is_set():
            self._stopping.set()
            self._show_status("Stopping…")

    def _take(self, items: list[str | Writing | CueProfile]) -> None:
        for item in items:
            match item:
                case Writing(problem, tokens):
                    self.bar.setValue(problem * self.tokens.value() + tokens)
                case CueProfile():
                    self.show_profile(item)
                case str():
                    self._show_status(item)
        if isinstance(items[-1], Writing):
            writing = items[-1]
            self._show_status(f"Problem {writing.problem + 1} of {self.problems.value()}: {writing.tokens:,} tokens")

    def _ended(self, error: BatonError | None) -> None:
        self._task = None
        self._show_running(False)
        if error is not None:
            self._show_status(f"✗ {error}", Role.DANGER)

    def show_profile(self, found: CueProfile) -> None:
        self._show_status(f"{'✓' if found.suits is Suits.WELL else '⚠'} {found.boundaries} boundaries. {found.advice}")
        self.findings.show_profile(found)
        self.accept_cues.setVisible(self.findings.has_proposal)
        if found.suits is not Suits.UNKNOWN:
            self._controller.keep_cue_share(self._model.header.path, found.cue_share)
        for press in (self.by_entropy, self.by_opening):
            press.setVisible(found.suits in (Suits.TOO_FEW, Suits.UNKNOWN))

    def _accept(self) -> None:
        chosen, model = self.findings.chosen, self._model.header.path
        choice = self._controller.preferences.overrides_of(model)
        cue_list = lexicon_json(chosen) if chosen else ""
        self._controller.change_writing(model, choice.model_copy(update={"cue_list": cue_list}))
        self.close()

    def _choose(self, policy: str) -> None:
        self.policy_wanted.emit(policy)
        self.close()

    def _show_running(self, running: bool) -> None:
        self.bar.setVisible(running)
        self.stop.setVisible(running)
        for part in (self.begin, self.problems, self.tokens):
            part.setEnabled(not running)

    def _show_status(self, text: str, role: Role | None = None) -> None:
        self.status.setText(text)
        set_role(self.status, role or Role.BARE)


def _number(lowest: int, highest: int, value: int, name: str) -> QSpinBox:
    box = whole_number(lowest, highest)
    box.setValue(value)
    box.setAccessibleName(name)
    return box


_HEADS = ("Opening", "Times", "Share", "Before “wait”")
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class CueFindings(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: CueProfile | None = None
        self.table = QTableWidget(0, len(_HEADS))
        self.table.setHorizontalHeaderLabels(_HEADS)
        self.table.setAccessibleName("How sentences open after a boundary")
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.cues = QListWidget()
        self.cues.setAccessibleName("Proposed cues")
        openings = vbox(label("How its sentences open", Role.HEADING), self.table)
        cues = vbox(label("Proposed cues", Role.HEADING), self.cues)
        self.setLayout(hbox((openings, 3), (cues, 2), margins=0))

    @property
    def has_proposal(self) -> bool:
        return self._found is not None and any(self._found.proposed.cues.values())

    @property
    def chosen(self) -> Lexicon | None:
        """The proposed cues without those that a person took out; None if none is left."""
        items = [self.cues.item(row) for row in range(self.cues.count())] if self.has_proposal else []
        taken = {item.data(Qt.ItemDataRole.UserRole) for item in items if item.checkState() is Qt.CheckState.Checked}
        if self._found is None or not taken:
            return None
        return Lexicon(
            {
                category: {word: forms for word, forms in words.items() if (category, word) in taken}
                for category, words in self._found.proposed.cues.items()
            }
        )

    def show_profile(self, found: CueProfile) -> None:
        self._found = found
        self.table.setRowCount(len(found.openings))
        for row, opening in enumerate(found.openings):
            self._show_opening(row, opening, found.boundaries)
        self.cues.clear()
        for category, words in found.proposed.cues.items():
            for word, forms in words.items():
                times = found.times(category, (word, *forms))
                cue = QListWidgetItem(f"{word} ({category.value}), {times} times", self.cues)
                cue.setData(Qt.ItemDataRole.UserRole, (category, word))
                cue.setCheckState(Qt.CheckState.Checked)
        if not self.has_proposal:
            QListWidgetItem("none: it has no habit to hold on to", self.cues).setFlags(Qt.ItemFlag.NoItemFlags)

    def _show_opening(self, row: int, opening: StepOpening, boundaries: int) -> None:
        share = f"{opening.count / boundaries:.0%}"
        for column, text in enumerate((opening.words, str(opening.count), share, str(opening.before_wait))):
            item = QTableWidgetItem(text)
            if column:
                item.setTextAlignment(_RIGHT)
            self.table.setItem(row, column, item)
