"""How one model writes where that is other than the run's settings: sampling, thinking tags, cues of its family."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QLineEdit, QSpinBox, QWidget

from app.models.room import ModelRoom
from app.placement_words import cue_words, sampling_words
from app.theme import Role
from app.widgets.controls import button, in_row, label, steady
from core.models.families import Family, family_of
from core.models.library import Model
from core.models.preferences import Tags, WritingChoice

WIDTH = 180
"""Pixels: as in the form for loading, above it."""
LIKE_THE_RUN = "as the run"


class WritingForm(QWidget):
    """Every change counts at once, for the next time the model is loaded."""

    cues_wanted = Signal()
    """Let the model write, and see which cues it has."""

    def __init__(self, room: ModelRoom, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._room = room
        self._model: Model | None = None
        self._family: Family | None = None
        self._cue_list = ""
        self.temperature = _real(-0.05, 5.0)
        self.top_p = _real(0.0, 1.0)
        self.top_k = QSpinBox()
        self.top_k.setRange(-1, 1000)
        self.top_k.setSpecialValueText(LIKE_THE_RUN)
        self.tags = QComboBox()
        for tags in Tags:
            self.tags.addItem(tags.value, tags)
        self.opening, self.closing = QLineEdit(), QLineEdit()
        self.opening.setPlaceholderText("<think>")
        self.closing.setPlaceholderText("</think>")
        self._own_tags = in_row(self.opening, self.closing)
        self.cues = label()
        self.cues.setWordWrap(True)
        self.find_cues = button("Find its cues …", self.cues_wanted.emit, tip="Let it write on a few problems")
        self.forget_cues = button("Forget them", self._forget_cues)
        self._advice = label("", Role.MUTED)
        self._advice.setWordWrap(True)
        self.take_advice = button("Take these", self._take_advice)
        self._recommended = in_row(self._advice, self.take_advice)
        self._lay_out()
        self._connect()

    @property
    def choice(self) -> WritingChoice:
        top_k, tags = self.top_k.value(), self.tags.currentData()
        opening, closing = (edit.text() if tags is Tags.OTHER else "" for edit in (self.opening, self.closing))
        return WritingChoice(
            temperature=_value(self.temperature),
            top_p=_value(self.top_p),
            top_k=None if top_k < 0 else top_k,
            tags=tags,
            opening=opening,
            closing=closing,
            cue_list=self._cue_list,
        )

    def show_model(self, model: Model) -> None:
        self._model = None  # so that filling in the fields is no choice of the person's
        guessed = model.header.thinking_tags
        says = guessed.opening.strip() if guessed else "none"
        self.tags.setItemText(0, f"{Tags.TEMPLATE.value} ({says})")
        self._family = family_of(model.header.name)
        self._recommended.setVisible(self._family is not None)
        if self._family is not None:
            self._advice.setText(f"Its makers recommend {sampling_words(self._family.sampling)}.")
        self.show_values(self._room.preferences.writing_of(model.header.path))
        self._model = model

    def show_values(self, choice: WritingChoice) -> None:
        for box, value in ((self.temperature, choice.temperature), (self.top_p, choice.top_p)):
            box.setValue(box.minimum() if value is None else value)
        self.top_k.setValue(-1 if choice.top_k is None else choice.top_k)
        self.tags.setCurrentIndex(list(Tags).index(choice.tags))
        self.opening.setText(choice.opening)
        self.closing.setText(choice.closing)
        self._cue_list = choice.cue_list
        self._show_what_depends()

    # -----------------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name in ("temperature", "top_p", "top_k", "tags"):
            about = WritingChoice.model_fields[name]
            field: QWidget = getattr(self, name)
            field.setFixedWidth(WIDTH)
            steady(field)
            field.setAccessibleName(about.title or name)
            field.setToolTip(about.description or "")
            form.addRow(about.title or name, field)
        for edit, name in ((self.opening, "opening"), (self.closing, "closing")):
            edit.setAccessibleName(WritingChoice.model_fields[name].title or name)
            edit.setFixedWidth(WIDTH // 2 - 3)
        form.addRow("", self._own_tags)
        form.addRow("Cues", self.cues)
        form.addRow("", in_row(self.find_cues, self.forget_cues))
        form.addRow(self._recommended)

    def _connect(self) -> None:
        for box in (self.temperature, self.top_p, self.top_k):
            box.valueChanged.connect(self._take)
        self.tags.currentIndexChanged.connect(self._take)
        for edit in (self.opening, self.closing):
            edit.editingFinished.connect(self._take)
        self._room.preferences_changed.connect(self._show_change)

    def _show_change(self) -> None:
        """A choice was made elsewhere: the cues that a profile proposed, say."""
        model = self._model
        if model is not None and self.choice != self._room.preferences.writing_of(model.header.path):
            self.show_model(model)

    def _take(self) -> None:
        if self._model is not None:
            self._show_what_depends()
            self._room.change_writing(self._model.header.path, self.choice)

    def _take_advice(self) -> None:
        if self._model is None or self._family is None:
            return
        advised = self._family.sampling
        sampling = {"temperature": advised.temperature, "top_p": advised.top_p, "top_k": advised.top_k}
        self._room.change_writing(self._model.header.path, self.choice.model_copy(update=sampling))

    def _forget_cues(self) -> None:
        self._cue_list = ""
        self._take()

    def _show_what_depends(self) -> None:
        self._own_tags.setVisible(self.tags.currentData() is Tags.OTHER)
        self.cues.setText(cue_words(self._cue_list) if self._cue_list else "the run's: English, unless it has others")
        self.forget_cues.setVisible(bool(self._cue_list))


def _real(lowest: float, highest: float) -> QDoubleSpinBox:
    """Its lowest value stands for “as the run”."""
    box = QDoubleSpinBox()
    box.setDecimals(2)
    box.setSingleStep(0.05)
    box.setRange(lowest, highest)
    box.setSpecialValueText(LIKE_THE_RUN)
    return box


def _value(box: QDoubleSpinBox) -> float | None:
    return None if box.value() == box.minimum() else round(box.value(), 2)
