"""The settings: the usual ones, or all, on one page with one search. Every change holds at once and can be reset."""

from __future__ import annotations

from PySide6.QtWidgets import QCheckBox, QDialog, QWidget

from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.controls import button, label, line_edit, scrolling
from baton_reasoning.app.toolkit.forms import FieldPath, SettingsForm
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.settings import Settings
from baton_reasoning.core.thinking.registry import POLICIES, difference, parameter_text

POLICY: FieldPath = ("run", "policy")
USUAL: frozenset[FieldPath] = frozenset(
    {
        ("appearance", "look"),
        ("appearance", "text_size"),
        ("models", "context"),
        ("run", "temperature"),
        ("run", "max_tokens"),
        (*POLICY, "policy"),
        ("run", "limits", "max_seconds"),
    }
)
"""What is shown without *Expert*, besides the policy's main parameters and whatever was changed."""


class SettingsDialog(QDialog):
    def __init__(self, preferences: Preferences, parent: QWidget, section: str = "") -> None:
        """`section`: words to search for at first, such as "policy"."""
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self._preferences = preferences
        self._kept: set[FieldPath] = set()
        """Fields that had another value than their default while this dialog was open. They stay in view."""
        self.form = SettingsForm(preferences.value, Settings())
        self.form.setContentsMargins(4, 4, 12, 12)
        self.search = line_edit("Search settings", "Search all settings", section)
        self.search.setClearButtonEnabled(True)
        self.expert = QCheckBox("Show &expert settings")
        self.expert.setChecked(preferences.value.window.expert)
        self.expert.setToolTip("All settings, not only the usual ones")
        self._advised = label("", Role.MUTED, wrap=True)
        self._nothing = label("No setting has these words.", Role.MUTED)
        self._scroll = scrolling(self.form)
        self._lay_out()
        self._show()
        self.form.changed.connect(self._take)
        preferences.changed.connect(self._show)
        self.search.textChanged.connect(self._show_rows)
        self.expert.toggled.connect(self._take_expert)

    def _lay_out(self) -> None:
        self.setLayout(
            vbox(
                self.search,
                self._advised,
                self._nothing,
                (self._scroll, 1),
                hbox(self.expert, STRETCH, button("Close", self.accept, Role.PRIMARY)),
                margins=(18, 16, 18, 14),
                spacing=12,
            )
        )
        window = self.parentWidget()
        assert window is not None
        self.resize(min(680, window.width() - 20), min(720, window.height() - 20))

    def _take(self, value: Settings) -> None:
        """Apply the settings in the form; the state of the window is not in it, and may have changed meanwhile."""
        self._preferences.replace(value.model_copy(update={"window": self._preferences.value.window}))

    def _take_expert(self, expert: bool) -> None:
        self._preferences.change_window(expert=expert)
        self._show_rows()

    def _show(self) -> None:
        self.form.show_value(self._preferences.value)
        self._advised.setText(self._advised_text())
        self._advised.setVisible(bool(self._advised.text()))
        self._show_rows()

    def _show_rows(self) -> None:
        self._kept |= {path for path in self.form.paths() if self.form.is_changed(path)}
        self.form.show_only(lambda path: self.expert.isChecked() or self._is_usual(path))
        self._nothing.setVisible(not self.form.search(self.search.text()))

    def _is_usual(self, path: FieldPath) -> bool:
        main = POLICIES.of(self._preferences.value.run.policy).main_parameters
        return path in USUAL or path in self._kept or (path[:2] == POLICY and path[2] in main)

    def _advised_text(self) -> str:
        """Say with which values the demo pair runs in place of those that were left as they are."""
        settings = self._preferences.value
        chosen, used = settings.run.policy, settings.effective_run().policy
        if used.policy != chosen.policy:  # the automatic one
            return ""
        policy = POLICIES.of(chosen)
        values = [parameter_text(policy, name, value) for name, value in difference(used, chosen).items()]
        told = f"With the demo pair, whose steps are short: {', '.join(values)}. Values of your own stay."
        return told if values else ""
