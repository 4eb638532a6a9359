"""What a replay is asked to do: a policy, its preset, the parameters that matter for it, and its cues."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QLineEdit, QWidget

from app.shared.forms.fields import Editor, editor_of
from app.shared.theme import Role
from app.shared.widgets.controls import label
from core.run import RunSettings
from core.settings import matching_preset
from core.thinking.cues import Category, Lexicon, english
from core.thinking.policies import POLICIES, PolicySettings
from core.thinking.presets import PRESETS

OWN_VALUES = "own values"
PARAMETERS = {
    "keywords": ("c", "n1", "n2"),
    "first-token-entropy": ("tau", "step_cap"),
    "step-score": ("threshold", "weighted"),
    "every-step": ("opening", "n1"),
    "random": ("p", "n1"),
}
"""Those that decide where a policy steps in, or for how long; `never` and `always` have none."""
CUES = (Category.REFLECTION, Category.AFFIRMATION, Category.VERIFICATION)


class ReplayChoice(QWidget):
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = RunSettings()
        self._lexicon = english()
        self.policy, self.preset = QComboBox(), QComboBox()
        self.policy.addItems([kind.title for kind in POLICIES.values()])
        self.preset.addItems([*PRESETS, OWN_VALUES])
        self.policy.activated.connect(self._take_policy)
        self.preset.activated.connect(self._take_preset)
        names = dict.fromkeys(name for names in PARAMETERS.values() for name in names)
        self.editors: dict[str, Editor] = {
            name: editor_of(name, PolicySettings.model_fields[name], self._take_parameters) for name in names
        }
        self.cues = {category: QLineEdit() for category in CUES}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        self._rows: dict[str, tuple[QWidget, QWidget]] = {}
        self._add("policy", "Policy", self.policy)
        self._add("preset", "Preset", self.preset)
        for name, editor in self.editors.items():
            field = PolicySettings.model_fields[name]
            self._add(name, field.title or name, editor.widget, field.description or "")
        for category, edit in self.cues.items():
            edit.textEdited.connect(self._take_cues)
            self._add(category.value, f"{category.value.capitalize()} cues", edit, "With commas between them.")
        self._show()

    def begin_with(self, settings: RunSettings) -> None:
        """The run's own policy and parameters, from which a person departs."""
        self._settings = settings
        self._lexicon = settings.lexicon or english(settings.parameters.match, settings.parameters.one_cue)
        for category, edit in self.cues.items():
            edit.setText(", ".join(self._lexicon.cues.get(category, ())))
            edit.setCursorPosition(0)
        self._show()

    @property
    def settings(self) -> RunSettings:
        return self._settings

    @property
    def lexicon(self) -> Lexicon:
        """The cues that are written there; one that was known before keeps its inflections."""
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
        return Lexicon(written, self._settings.parameters.match)

    def _add(self, name: str, title: str, editor: QWidget, tip: str = "") -> None:
        editor.setAccessibleName(title)
        editor.setToolTip(tip)
        words = label(title, Role.MUTED)
        words.setBuddy(editor)
        row = len(self._rows)
        self._grid.addWidget(words, row, 0, Qt.AlignmentFlag.AlignVCenter)
        self._grid.addWidget(editor, row, 1)
        self._rows[name] = words, editor

    def _take_policy(self, index: int) -> None:
        self._change(self._settings.model_copy(update={"policy": list(POLICIES)[index]}))

    def _take_preset(self, index: int) -> None:
        name = self.preset.itemText(index)
        if name in PRESETS:
            values = PRESETS[name].model_dump()
            self._change(self._settings.model_copy(update={"parameters": self._parameters(values)}))

    def _take_parameters(self) -> None:
        values = {name: editor.value() for name, editor in self.editors.items()}
        self._change(self._settings.model_copy(update={"parameters": self._parameters(values)}))

    def _take_cues(self) -> None:
        self.changed.emit()

    def _parameters(self, values: dict[str, object]) -> PolicySettings:
        parameters = self._settings.parameters.model_copy(update=values)
        # A person who sets c means that c: the preset's ceiling must not hold it down.
        return parameters.model_copy(update={"c_most": max(parameters.c, parameters.c_most)})

    def _change(self, settings: RunSettings) -> None:
        if settings != self._settings:
            self._settings = settings
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        settings = self._settings
        self.policy.setCurrentIndex(list(POLICIES).index(settings.policy) if settings.policy in POLICIES else 0)
        self.preset.setCurrentText(matching_preset(settings.parameters) or OWN_VALUES)
        for name, editor in self.editors.items():
            editor.widget.blockSignals(True)
            editor.show(getattr(settings.parameters, name))
            editor.widget.blockSignals(False)
        by_words = settings.policy == "keywords"
        shown = {"policy", *PARAMETERS.get(settings.policy, ())}
        shown |= {"preset", *(category.value for category in CUES)} if by_words else set()
        for name, row in self._rows.items():
            for widget in row:
                widget.setVisible(name in shown)
