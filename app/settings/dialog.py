"""The settings in sections, the usual ones or all. Every change holds at once, and can be reset by itself."""

from __future__ import annotations

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QDialog, QListWidget, QWidget

from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.controls import button, label, line_edit, scrolling
from baton_reasoning.app.toolkit.forms.form import Path, SettingsForm
from baton_reasoning.app.toolkit.layout import Spacer, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.demo_pair.settings import DEMO_SETTINGS
from baton_reasoning.core.run import effective_settings
from baton_reasoning.core.settings import Settings
from baton_reasoning.core.thinking.registry import POLICIES, difference, parameter_text

SECTIONS: dict[str, Path] = {
    "Appearance": ("appearance",),
    "Models": ("models",),
    "Policy": ("run", "policy"),
    "Solving": ("run",),
    "Limits": ("run", "limits"),
    "Updates": ("updates",),
}
"""Each with the place of its fields; a field belongs to the section with the longest place that fits."""
USUAL: frozenset[Path] = frozenset(
    {
        ("models", "context"),
        ("run", "policy", "policy"),
        ("run", "seed"),
        ("run", "temperature"),
        ("run", "max_tokens"),
        ("run", "system"),
        ("run", "limits", "max_seconds"),
        ("run", "limits", "repetition"),
    }
)
"""What the simple view shows, besides appearance, updates, the policy's main parameters, and whatever was changed."""
LIST_WIDTH = 12
"""Characters of the list of sections."""


class SettingsDialog(QDialog):
    def __init__(self, preferences: Preferences, parent: QWidget, section: str = "") -> None:
        """`section`: the last name of a place in `SECTIONS`; by default the first one is shown."""
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self._preferences = preferences
        self._kept: set[Path] = set()
        """Fields that were at another value than their default while this dialog was open: they do not vanish."""
        self.form = SettingsForm(preferences.value, Settings())
        self.form.changed.connect(self._take)
        self.search = line_edit("Search settings", "Search all settings")
        self.search.setClearButtonEnabled(True)
        self.sections = QListWidget()
        self.sections.setAccessibleName("Sections")
        self.sections.addItems(list(SECTIONS))
        self.expert = QCheckBox("Show &expert settings")
        self.expert.setChecked(preferences.value.window.expert)
        self.expert.setToolTip("All settings, not only the usual ones")
        self._nothing, self._advised = label("", Role.MUTED, wrap=True), label("", Role.MUTED, wrap=True)
        self._scroll = scrolling(self.form)
        self.form.setContentsMargins(4, 4, 12, 12)
        self._lay_out()
        preferences.changed.connect(self._show)
        self.search.textChanged.connect(self._show_rows)
        self.sections.currentRowChanged.connect(self._turn)
        self.expert.toggled.connect(self._take_expert)
        names = [place[-1] for place in SECTIONS.values()]
        self.sections.setCurrentRow(names.index(section) if section in names else 0)

    @property
    def section(self) -> Path:
        return list(SECTIONS.values())[max(0, self.sections.currentRow())]

    def _lay_out(self) -> None:
        self.sections.setFixedWidth(LIST_WIDTH * self.fontMetrics().averageCharWidth() + 40)
        self.setLayout(
            vbox(
                self.search,
                (hbox(self.sections, (vbox(self._advised, self._nothing, (self._scroll, 1)), 1), spacing=14), 1),
                hbox(self.expert, Spacer(0), button("Close", self.accept, Role.PRIMARY)),
                margins=(16, 14, 16, 12),
                spacing=10,
            )
        )
        window = self.parentWidget()
        assert window is not None
        self.resize(min(820, window.width() - 20), min(640, window.height() - 20))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.sections.doItemsLayout()  # rows that were laid out before the style know no padding

    def _take(self, value: Settings) -> None:
        """Apply the settings in the form; the state of the window is not in it, and may have changed meanwhile."""
        self._preferences.replace(value.model_copy(update={"window": self._preferences.value.window}))

    def _show(self) -> None:
        self.form.show_value(self._preferences.value)
        self._show_rows()

    def _turn(self, _row: int) -> None:
        self.search.clear()
        self._show_rows()
        self._scroll.verticalScrollBar().setValue(0)

    def _take_expert(self, expert: bool) -> None:
        self._preferences.change_window(expert=expert)
        self._show_rows()

    def _show_rows(self) -> None:
        self._kept |= {path for path in self.form.paths() if self.form.is_changed(path)}
        self.form.show_only(self._is_wanted)
        found = self.form.search(self.search.text())
        self.sections.setEnabled(not self.search.text().strip())
        self._nothing.setText("" if found else "No setting has these words.")
        self._nothing.setVisible(not found)

        advised = self._advised_text() if self.section == SECTIONS["Policy"] else ""
        self._advised.setText(advised)
        self._advised.setVisible(bool(advised))

    def _advised_text(self) -> str:
        """Say with which values the demo pair runs in place of those that were left as they are."""
        settings = self._preferences.value
        chosen = settings.run.policy
        used = effective_settings(settings.run, DEMO_SETTINGS if settings.models.is_demo else None).policy
        policy = POLICIES.of(chosen)
        values = [parameter_text(policy, name, value) for name, value in difference(used, chosen).items()]
        return (
            f"With the demo pair, whose steps are short: {', '.join(values)}. Values of your own stay."
            if values
            else ""
        )

    def _is_wanted(self, path: Path) -> bool:
        return section_of(path) == self.section and (self.expert.isChecked() or self._is_usual(path))

    def _is_usual(self, path: Path) -> bool:
        policy = POLICIES.of(self._preferences.value.run.policy)
        main = path[:2] == ("run", "policy") and path[2] in policy.main_parameters
        return path in USUAL or path[0] in ("appearance", "updates") or main or path in self._kept


def section_of(path: Path) -> Path:
    """Return the path of the section that has this field."""
    return max((place for place in SECTIONS.values() if path[: len(place)] == place), key=len)
