"""The settings dialog: sections, a simple and an expert view, and a search over everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.settings.dialog import SECTIONS, SettingsDialog, section_of
from baton_reasoning.core.settings import ModelChoice, SettingsFile


@pytest.fixture
def preferences(tmp_path: Path, qtbot: QtBot) -> Preferences:
    return Preferences(SettingsFile(tmp_path / "settings.json"))


@pytest.fixture
def around(qtbot: QtBot) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.resize(1000, 800)
    return widget


def opened(preferences: Preferences, around: QWidget, section: str = "") -> SettingsDialog:
    dialog = SettingsDialog(preferences, around, section)
    dialog.show()
    return dialog


def shown(dialog: SettingsDialog) -> set[tuple[str, ...]]:
    return {path for path in dialog.form.paths() if dialog.form.editor(*path).isVisible()}


def test_every_setting_is_in_one_section_of_the_expert_view(preferences: Preferences, around: QWidget) -> None:
    dialog = opened(preferences, around)
    dialog.expert.click()
    seen: list[tuple[str, ...]] = []
    for row, place in enumerate(SECTIONS.values()):
        dialog.sections.setCurrentRow(row)
        assert shown(dialog) == {path for path in dialog.form.paths() if section_of(path) == place}
        seen += shown(dialog)
    assert sorted(seen) == sorted(dialog.form.paths())


def test_the_simple_view_has_what_is_often_changed_or_was(preferences: Preferences, around: QWidget) -> None:
    dialog = opened(preferences, around, "run")
    assert ("run", "temperature") in shown(dialog)
    assert ("run", "top_k") not in shown(dialog)
    preferences.change_run(top_k=20)
    dialog = opened(preferences, around, "run")
    assert ("run", "top_k") in shown(dialog)
    top_k = dialog.form.editor("run", "top_k")
    assert isinstance(top_k, QSpinBox)
    top_k.setValue(50)  # its default again: it does not vanish under the hand
    assert ("run", "top_k") in shown(dialog)


def test_the_search_finds_settings_of_every_section(preferences: Preferences, around: QWidget, qtbot: QtBot) -> None:
    dialog = opened(preferences, around)
    qtbot.keyClicks(dialog.search, "gpu layers")
    assert shown(dialog) == {("models", "gpu_layers")}
    qtbot.keyClicks(dialog.search, " nowhere")
    assert shown(dialog) == set()
    assert dialog._nothing.text() == "No setting has these words."
    dialog.search.clear()
    assert ("appearance", "look") in shown(dialog)


def test_the_choice_of_the_view_is_remembered(preferences: Preferences, around: QWidget) -> None:
    opened(preferences, around).expert.click()
    assert opened(preferences, around).expert.isChecked()


def test_the_parameters_of_a_policy_open_its_section(preferences: Preferences, around: QWidget, qtbot: QtBot) -> None:
    dialog = opened(preferences, around, "policy")
    assert dialog.section == ("run", "policy")
    assert ("run", "policy", "policy") in shown(dialog)
    qtbot.keyClick(dialog.sections, Qt.Key.Key_Up)
    assert dialog.sections.currentRow() == list(SECTIONS).index("Models")


def test_the_values_of_the_demo_pair_are_told_beside_the_parameters(preferences: Preferences, around: QWidget) -> None:
    dialog = opened(preferences, around, "policy")
    (told,) = (each.text() for each in dialog.findChildren(QLabel) if each.isVisible() and "demo pair" in each.text())
    assert "tokens per takeover 16" in told
    preferences.change(models=ModelChoice(small="a.gguf", large="b.gguf"))
    assert not any(each.isVisible() and "demo pair" in each.text() for each in dialog.findChildren(QLabel))


def test_a_changed_setting_leaves_what_the_window_has_kept_meanwhile(preferences: Preferences, around: QWidget) -> None:
    dialog = opened(preferences, around, "run")
    dialog.expert.click()
    top_k = dialog.form.editor("run", "top_k")
    assert isinstance(top_k, QSpinBox)
    top_k.setValue(20)
    assert preferences.value.run.top_k == 20
    assert preferences.value.window.expert
