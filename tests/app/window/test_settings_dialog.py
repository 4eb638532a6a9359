"""The settings dialog: the usual settings or all, on one page, and a search over everything."""

import pytest
from PySide6.QtWidgets import QLabel, QWidget

from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.window.settings_dialog import SettingsDialog
from baton_reasoning.core.settings import ModelChoice, SettingsFile
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.registry import POLICIES

MOST = 12
"""Settings that a person meets without *Expert*."""


@pytest.fixture
def preferences(tmp_path, qtbot):
    return Preferences(SettingsFile(tmp_path / "settings.json"))


@pytest.fixture
def opened(preferences, qtbot):
    around = QWidget()
    qtbot.addWidget(around)
    around.resize(1000, 800)

    def opened(section=""):
        dialog = SettingsDialog(preferences, around, section)
        dialog.show()
        return dialog

    return opened


def shown(dialog):
    return {path for path in dialog.form.paths() if dialog.form.editor(*path).isVisible()}


def heads(dialog):
    return [head.text() for head, _ in dialog.form._heads if head.isVisible()]


def words(dialog):
    return [each.text() for each in dialog.findChildren(QLabel) if each.isVisible()]


@pytest.mark.parametrize("policy", POLICIES)
def test_few_settings_are_shown_until_all_are_asked_for(preferences, opened, policy):
    preferences.change_run(policy=POLICIES[policy].Settings())
    dialog = opened()
    assert len(shown(dialog)) <= MOST
    assert {("appearance", "look"), ("run", "policy", "policy"), ("run", "temperature")} <= shown(dialog)
    look = dialog.form.editor("appearance", "look")
    dialog.grab()  # lays everything out
    usual = look.mapTo(dialog, look.rect().topLeft()).x()
    dialog.expert.click()
    dialog.grab()
    assert look.mapTo(dialog, look.rect().topLeft()).x() == usual, "fields stay where they are"
    assert shown(dialog) == set(dialog.form.paths())
    assert heads(dialog) == ["Appearance", "Models", "Answers", "Policy", "Limits"]
    assert opened().expert.isChecked(), "the choice is remembered"


def test_a_setting_that_was_changed_stays_among_the_usual_ones(preferences, opened):
    assert ("run", "top_k") not in shown(opened())
    preferences.change_run(top_k=20)
    dialog = opened()
    assert ("run", "top_k") in shown(dialog)
    preferences.change_window(sidebar=False)
    dialog.form.editor("run", "top_k").setValue(50)  # its default again: it does not vanish under the hand
    assert ("run", "top_k") in shown(dialog)
    assert preferences.value.run.top_k == 50
    assert not preferences.value.window.sidebar, "what the window has kept meanwhile stays"


def test_the_search_finds_all_settings_and_may_be_asked_for_at_first(opened, qtbot):
    dialog = opened()
    qtbot.keyClicks(dialog.search, "gpu layers")
    assert shown(dialog) == {("models", "gpu_layers")}
    dialog = opened("policy")
    assert ("run", "policy", "policy") in shown(dialog)
    assert heads(dialog) == ["Policy"]
    dialog.search.setText("nowhere")
    assert shown(dialog) == set()
    assert "No setting has these words." in words(dialog)
    dialog.search.clear()
    assert ("appearance", "look") in shown(dialog)


def test_the_values_of_the_demo_pair_are_told(preferences, opened):
    preferences.change_run(policy=Keywords.Settings())
    dialog = opened()
    (told,) = (text for text in words(dialog) if "demo pair" in text)
    assert "tokens per takeover 16" in told
    preferences.change(models=ModelChoice(small="a.gguf", large="b.gguf"))
    assert not any("demo pair" in text for text in words(dialog))
