"""What a replay is asked to do: a policy, its preset, the parameters that matter for it, and its cues."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLineEdit, QWidget

from baton_reasoning.app.shared.forms.fields import Editor, editor_of
from baton_reasoning.app.shared.theme import Role
from baton_reasoning.app.shared.widgets.controls import combo_box, label, plain_tip
from baton_reasoning.core.demo_pair.settings import DEMO_SETTINGS
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.cues import Category, Lexicon, english
from baton_reasoning.core.thinking.policy import Policy, PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES, matching_preset, settings_for

OWN_VALUES = "own values"
CUES = (Category.REFLECTION, Category.AFFIRMATION, Category.VERIFICATION)
CUES_ROW = 50
"""The first row of the cues, below the parameters of any policy."""


class ReplayChoice(QWidget):
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = RunSettings()
        self._lexicon = english()
        self.policy, self.preset = combo_box(), combo_box()
        for index, kind in enumerate(POLICIES.values()):
            self.policy.addItem(kind.title)
            self.policy.setItemData(index, plain_tip(kind.summary), Qt.ItemDataRole.ToolTipRole)
        self.policy.activated.connect(self._take_policy)
        self.preset.activated.connect(self._take_preset)
        self.editors: dict[str, Editor] = {}
        """The editors of the chosen policy's parameters."""
        self._editors_of = ""
        self.cues = {category: QLineEdit() for category in CUES}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        self._parameter_rows: list[QWidget] = []
        self._add(0, "Policy", self.policy)
        self._preset_row = self._add(1, "Preset", self.preset, "Values that belong together.")
        self._cue_rows: list[QWidget] = []
        for row, (category, edit) in enumerate(self.cues.items(), CUES_ROW):
            edit.textEdited.connect(self._take_cues)
            self._cue_rows += self._add(row, f"{category.value.capitalize()} cues", edit, "Separated by commas.")
        self._show()

    def begin_with(self, settings: RunSettings) -> None:
        """Show the run's own policy and parameters."""
        self._settings = settings
        self._lexicon = settings.lexicon or english()
        for category, edit in self.cues.items():
            edit.setText(", ".join(self._lexicon.cues.get(category, ())))
            edit.setCursorPosition(0)
        self._show()

    @property
    def settings(self) -> RunSettings:
        return self._settings

    @property
    def lexicon(self) -> Lexicon:
        """The cues in the fields; one that is known keeps its inflections."""
        known = {**english().cues.get(Category.VERIFICATION, {})}
        for words in (*english().cues.values(), *self._lexicon.cues.values()):
            known |= words
        written = {
            category: {
                word: known.get(word, ())
                for word in map(str.strip, edit.text().lower().split(","))
                if word
            }
            for category, edit in self.cues.items()
        }  # fmt: skip
        return Lexicon(written)

    def _add(self, row: int, title: str, editor: QWidget, tip: str = "") -> tuple[QWidget, QWidget]:
        editor.setAccessibleName(title)
        editor.setToolTip(tip)
        text = label(title, Role.MUTED, wrap=True)
        text.setBuddy(editor)
        self._grid.addWidget(text, row, 0, Qt.AlignmentFlag.AlignVCenter)
        self._grid.addWidget(editor, row, 1)
        return text, editor

    def _take_policy(self, index: int) -> None:
        self._choose(settings_for(list(POLICIES)[index], self._settings.policy))

    def _take_preset(self, index: int) -> None:
        if preset := self._policy.presets.get(self.preset.itemText(index)):
            self._choose(preset)

    def _take_parameters(self) -> None:
        values = {name: editor.value() for name, editor in self.editors.items()}
        self._choose(self._settings.policy.model_copy(update=values))

    def _take_cues(self) -> None:
        self.changed.emit()

    @property
    def _policy(self) -> type[Policy]:
        return POLICIES.of(self._settings.policy)

    def _choose(self, policy: PolicySettings) -> None:
        if policy != self._settings.policy:
            self._settings = self._settings.model_copy(update={"policy": policy})
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        chosen = self._settings.policy
        if chosen.policy != self._editors_of:
            self._make_editors()
        self.policy.setCurrentIndex(list(POLICIES).index(chosen.policy))
        self.preset.setCurrentText(matching_preset(chosen, DEMO_SETTINGS.policy) or OWN_VALUES)
        for name, editor in self.editors.items():
            editor.widget.blockSignals(True)
            editor.show(getattr(chosen, name))
            editor.widget.blockSignals(False)

    def _make_editors(self) -> None:
        policy = self._policy
        self._editors_of = policy.name
        for widget in self._parameter_rows:
            self._grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self.editors, self._parameter_rows = {}, []
        fields = policy.Settings.model_fields
        for row, name in enumerate(policy.main_parameters or [name for name in fields if name != "policy"], 2):
            editor = self.editors[name] = editor_of(name, fields[name], self._take_parameters)
            title, tip = fields[name].title or name, fields[name].description or ""
            self._parameter_rows += self._add(row, title, editor.widget, tip)
        self.preset.clear()
        self.preset.addItems([*policy.presets, OWN_VALUES])
        for widgets, shown in ((self._preset_row, bool(policy.presets)), (self._cue_rows, policy.reads_cues)):
            for widget in widgets:
                widget.setVisible(shown)
