"""How one model writes where that is other than the run's settings: sampling, thinking tags, cues of its family."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QWidget

from app.models.controller import ModelsController
from app.shared.forms.fields import editor_of
from app.shared.labels import cue_words, sampling_words
from app.shared.theme import Role
from app.shared.widgets.controls import button, in_row, label, steady
from core.models.catalog import Family, family_of
from core.models.library import LocalModel
from core.models.overrides import ModelOverrides, TagSource

WIDTH = 210
"""Pixels: the longest choice of tags."""
_ROWS = ("temperature", "top_p", "top_k", "tags")


class WritingForm(QWidget):
    """Every change counts at once, for the next time the model is loaded."""

    cues_wanted = Signal()
    """Let the model write, and see which cues it has."""

    def __init__(self, controller: ModelsController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model: LocalModel | None = None
        self._family: Family | None = None
        self._cue_list = ""
        fields = ModelOverrides.model_fields
        self.editors = {name: editor_of(name, fields[name], self._take) for name in (*_ROWS, "opening", "closing")}
        self._own_tags = in_row(self.editors["opening"].widget, self.editors["closing"].widget)
        self.cues = label()
        self.cues.setWordWrap(True)
        self.find_cues = button("Detect cue words…", self.cues_wanted.emit, tip="The model writes on a few problems")
        self.forget_cues = button("Forget them", self._forget_cues)
        self._advice = label("", Role.MUTED)
        self._advice.setWordWrap(True)
        self.take_advice = button("Take these", self._take_advice)
        self._recommended = in_row(self._advice, self.take_advice)
        self._lay_out()
        controller.preferences_changed.connect(self._show_change)

    @property
    def choice(self) -> ModelOverrides:
        values = {name: editor.value() for name, editor in self.editors.items()}
        if values["tags"] is not TagSource.OTHER:
            values |= {"opening": "", "closing": ""}
        return ModelOverrides(**values, cue_list=self._cue_list)

    def show_model(self, model: LocalModel) -> None:
        self._model = None  # so that filling in the fields is no choice of the person's
        guessed = model.header.thinking_tags
        says = guessed.opening.strip() if guessed else "none"
        tags = self.editors["tags"].widget
        assert isinstance(tags, QComboBox)
        tags.setItemText(0, f"{TagSource.TEMPLATE.value} ({says})")
        self._family = family_of(model.header.name)
        self._recommended.setVisible(self._family is not None)
        if self._family is not None:
            self._advice.setText(f"Its makers recommend {sampling_words(self._family.sampling)}.")
        self.show_values(self._controller.preferences.overrides_of(model.header.path))
        self._model = model

    def show_values(self, choice: ModelOverrides) -> None:
        for name, editor in self.editors.items():
            editor.show(getattr(choice, name))
        self._cue_list = choice.cue_list
        self._show_what_depends()

    # -----------------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, editor in self.editors.items():
            about, field = ModelOverrides.model_fields[name], editor.widget
            field.setAccessibleName(about.title or name)
            field.setToolTip(about.description or "")
            steady(field)
            if name in _ROWS:
                field.setFixedWidth(WIDTH)
                form.addRow(about.title or name, field)
            else:
                field.setFixedWidth(WIDTH // 2 - 3)
        form.addRow("", self._own_tags)
        form.addRow("Cues", self.cues)
        form.addRow("", in_row(self.find_cues, self.forget_cues))
        form.addRow(self._recommended)

    def _show_change(self) -> None:
        """A choice was made elsewhere: the cues that a profile proposed, say."""
        model = self._model
        if model is not None and self.choice != self._controller.preferences.overrides_of(model.header.path):
            self.show_model(model)

    def _take(self) -> None:
        if self._model is not None:
            self._show_what_depends()
            self._controller.change_writing(self._model.header.path, self.choice)

    def _take_advice(self) -> None:
        if self._model is None or self._family is None:
            return
        advised = self._family.sampling
        sampling = {"temperature": advised.temperature, "top_p": advised.top_p, "top_k": advised.top_k}
        self._controller.change_writing(self._model.header.path, self.choice.model_copy(update=sampling))

    def _forget_cues(self) -> None:
        self._cue_list = ""
        self._take()

    def _show_what_depends(self) -> None:
        self._own_tags.setVisible(self.editors["tags"].value() is TagSource.OTHER)
        self.cues.setText(cue_words(self._cue_list) if self._cue_list else "English (default)")
        self.forget_cues.setVisible(bool(self._cue_list))
