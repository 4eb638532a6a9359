"""The forms of one model: how it is loaded, and how it writes. Each change applies when the model is loaded again."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QSpinBox, QWidget

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.toolkit.controls import button, combo_box, label, whole_number
from baton_reasoning.app.toolkit.forms.fields import bounds, editor_of
from baton_reasoning.app.toolkit.layout import in_row
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.models.catalog import Family, family_of
from baton_reasoning.core.models.fit import FitKind, estimate, in_gib
from baton_reasoning.core.models.library import LocalModel
from baton_reasoning.core.models.options import KvType, LoadOptions, ModelOverrides, Switch, TagSource
from baton_reasoning.core.words.labels import sampling_text

WIDTH = 180
"""Pixels: the longest number, with room for larger text."""

_NUMBERS = ("context", "batch", "threads", "gpu_layers")
_KV_TYPES = (KvType.F16, KvType.Q8_0, KvType.Q4_0, KvType.F32)


class LoadingForm(QWidget):
    """Every change counts at once, for the next time the model is loaded."""

    changed = Signal()

    def __init__(self, controller: ModelsController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model: LocalModel | None = None
        self._numbers = {name: self._number(name) for name in _NUMBERS}
        self._kv_type = combo_box()
        for kind in _KV_TYPES:
            self._kv_type.addItem(kind.name.lower(), kind)
        self._flash = combo_box()
        self._drafts = combo_box()
        for choice in Switch:
            self._flash.addItem(choice.value, choice)
            self._drafts.addItem(choice.value, choice)
        self.sentence = label("", wrap=True)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.FieldsStayAtSizeHint)
        for name, box in self._numbers.items():
            self._add(form, name, box)
        self._add(form, "kv_type", self._kv_type)
        self._add(form, "flash_attention", self._flash)
        self._add(form, "drafts", self._drafts)
        form.addRow(self.sentence)
        self._kv_type.currentIndexChanged.connect(self._take)
        self._flash.currentIndexChanged.connect(self._take)
        self._drafts.currentIndexChanged.connect(self._take)
        controller.devices_found.connect(self._update_fit)

    @property
    def choice(self) -> LoadOptions:
        values = {name: box.value() for name, box in self._numbers.items()}
        chosen = {"kv_type": self._kv_type, "flash_attention": self._flash, "drafts": self._drafts}
        return LoadOptions.model_validate(values | {name: box.currentData() for name, box in chosen.items()})

    def show_model(self, model: LocalModel) -> None:
        self._model = None  # so that filling in the fields is no choice of the person's
        self._numbers["context"].setMaximum(max(model.header.context_length or 2**20, 256))
        self._numbers["gpu_layers"].setMaximum(model.header.block_count + 1)
        self.show_values(self._controller.loading_of(model.header.path))
        self._model = model
        self._update_fit()

    def show_values(self, choice: LoadOptions) -> None:
        for name, box in self._numbers.items():
            box.setValue(getattr(choice, name))
        self._kv_type.setCurrentIndex(_KV_TYPES.index(choice.kv_type))
        self._flash.setCurrentIndex(list(Switch).index(choice.flash_attention))
        self._drafts.setCurrentIndex(list(Switch).index(choice.drafts))

    def _number(self, name: str) -> QSpinBox:
        minimum, maximum = map(int, bounds(LoadOptions.model_fields[name]))
        box = whole_number(minimum, maximum)
        box.setGroupSeparatorShown(True)
        if name == "context":
            box.setSingleStep(1024)
        if minimum <= 0:
            box.setSpecialValueText("automatic")
        box.valueChanged.connect(self._take)
        return box

    def _add(self, form: QFormLayout, name: str, field: QWidget) -> None:
        about = LoadOptions.model_fields[name]
        field.setFixedWidth(WIDTH)
        field.setAccessibleName(about.title or name)
        field.setToolTip(about.description or "")
        form.addRow(about.title or name, field)

    def _take(self) -> None:
        if self._model is not None:
            self._controller.change_loading(self._model.header.path, self.choice)
            self._update_fit()
            self.changed.emit()

    def _update_fit(self) -> None:
        """Say before loading whether it fits, and what would help if it does not."""
        if self._model is None:
            return
        choice = self.choice
        needs = estimate(self._model.header, choice)
        model, cache = in_gib(needs.shape.tensor_bytes), in_gib(needs.kv_bytes)
        parts = f"{in_gib(needs.total_bytes)}: model {model}, KV cache {cache}"
        fit = self._controller.fit_of(self._model, choice)
        lacks = bool(choice.conflict) or (fit is not None and fit.kind is FitKind.DOES_NOT_FIT)
        advice = choice.conflict or (fit.advice if fit else "")
        self.sentence.setText(f"{'✗ ' if lacks else ''}{parts}. {advice}".strip())
        set_role(self.sentence, Role.DANGER if lacks else Role.MUTED)


CHOICE_WIDTH = 210
"""Pixels: the longest choice of tags."""
_ROWS = ("temperature", "top_p", "top_k", "tags", "cue_list")


class WritingForm(QWidget):
    """Every change counts at once, for the next time the model is loaded."""

    def __init__(self, controller: ModelsController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model: LocalModel | None = None
        self._family: Family | None = None
        fields = ModelOverrides.model_fields
        self.editors = {name: editor_of(name, fields[name], self._take) for name in (*_ROWS, "opening", "closing")}
        self._own_tags = in_row(self.editors["opening"].widget, self.editors["closing"].widget)
        self._advice = label("", Role.MUTED, wrap=True)
        self.take_advice = button("Take these", self._take_advice)
        self._recommended = in_row(self._advice, self.take_advice)
        self._lay_out()
        controller.preferences_changed.connect(self._show_change)

    @property
    def choice(self) -> ModelOverrides:
        values = {name: editor.value() for name, editor in self.editors.items()}
        if values["tags"] is not TagSource.OTHER:
            values |= {"opening": "", "closing": ""}
        return ModelOverrides(**values)

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
            self._advice.setText(f"Its makers recommend {sampling_text(self._family.sampling)}.")
        self.show_values(self._controller.preferences.overrides_of(model.header.path))
        self._model = model

    def show_values(self, choice: ModelOverrides) -> None:
        for name, editor in self.editors.items():
            editor.show(getattr(choice, name))
        self._show_own_tags()

    # -----------------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, editor in self.editors.items():
            about, field = ModelOverrides.model_fields[name], editor.widget
            field.setAccessibleName(about.title or name)
            field.setToolTip(about.description or "")
            if name in _ROWS:
                field.setFixedWidth(CHOICE_WIDTH)
                form.addRow(about.title or name, field)
            else:
                field.setFixedWidth(CHOICE_WIDTH // 2 - 3)
        form.addRow("", self._own_tags)
        form.addRow(self._recommended)

    def _show_change(self) -> None:
        """Show a choice that was made elsewhere, such as the sampling that its makers recommend."""
        model = self._model
        if model is not None and self.choice != self._controller.preferences.overrides_of(model.header.path):
            self.show_model(model)

    def _take(self) -> None:
        if self._model is not None:
            self._show_own_tags()
            self._controller.change_writing(self._model.header.path, self.choice)

    def _take_advice(self) -> None:
        if self._model is None or self._family is None:
            return
        advised = self._family.sampling
        sampling = {"temperature": advised.temperature, "top_p": advised.top_p, "top_k": advised.top_k}
        self._controller.change_writing(self._model.header.path, self.choice.model_copy(update=sampling))

    def _show_own_tags(self) -> None:
        self._own_tags.setVisible(self.editors["tags"].value() is TagSource.OTHER)
