"""The form is made from the models: each field has an editor, holds to its bounds, and can be reset."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox

from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.toolkit.forms.form import SettingsForm, entries, value_at
from baton_reasoning.core.engines.remote.connection import ServerAccess
from baton_reasoning.core.models.options import LoadOptions, ModelOverrides, TagSource
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ColourScheme, Settings
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.registry import POLICIES


@pytest.fixture
def form(qtbot):
    form = SettingsForm(Settings(), Settings())
    qtbot.addWidget(form)
    return form


def test_every_field_has_an_editor_with_a_name(form):
    for entry in entries(Settings()):
        if not isinstance(value_at(Settings(), entry.path), BaseModel):
            assert form.editor(*entry.path).accessibleName() == entry.field.title


def test_what_the_window_remembers_of_itself_is_not_asked():
    assert not any("window" in entry.path for entry in entries(Settings()))


def test_no_value_is_offered_to_be_reset_that_is_the_default(form):
    """An editor that gives another type than it was given would change a setting when it is merely left."""
    form.show()
    assert not any(reset.isVisible() for reset in form.findChildren(IconButton))


def test_another_value_is_given_with_all_the_others_as_they_were(form, qtbot):
    n1 = form.editor("run", "policy", "n1")
    assert isinstance(n1, QSpinBox)
    with qtbot.waitSignal(form.changed) as changed:
        n1.setValue(33)
    given = changed.args[0]
    assert given.run.policy == Keywords.Settings(n1=33)
    assert given == Settings(run=given.run)


def test_numbers_hold_to_the_bounds_of_the_field(form):
    n1 = form.editor("run", "policy", "n1")
    assert isinstance(n1, QSpinBox)
    assert n1.minimum() == 1


def test_choices_are_those_of_the_enum_and_of_the_registry(form):
    look, policy = form.editor("appearance", "look"), form.editor("run", "policy", "policy")
    assert isinstance(look, QComboBox)
    assert isinstance(policy, QComboBox)
    assert look.count() == len(ColourScheme)
    assert [policy.itemText(i) for i in range(policy.count())] == [kind.title for kind in POLICIES.values()]


def test_a_field_is_reset_by_itself(form, qtbot):
    box = form.editor("appearance", "text_size")
    assert isinstance(box, QSpinBox)
    box.setValue(150)
    row = next(row for row in form._rows if row.entry.path == ("appearance", "text_size"))
    assert not row.reset.isHidden()
    with qtbot.waitSignal(form.changed) as changed:
        row.reset.click()
    assert changed.args[0] == Settings()
    assert box.value() == 100
    assert row.reset.isHidden()


def test_a_path_is_written_or_nothing(qtbot):
    form = SettingsForm(ServerAccess(authority=Path("/a/ca.pem")), ServerAccess())
    qtbot.addWidget(form)
    edit = form.editor("authority")
    assert isinstance(edit, QLineEdit)
    assert edit.text() == "/a/ca.pem"
    for text, path in ((" ~/ca.pem ", Path.home() / "ca.pem"), (" ", None)):
        edit.setText(text)
        edit.editingFinished.emit()
        assert form.value == ServerAccess(authority=path)


def test_search_leaves_what_has_the_words(form):
    form.search("verification")
    assert form.editor("run", "policy", "n2").isVisibleTo(form)
    assert not form.editor("appearance", "look").isVisibleTo(form)
    head = form.head("appearance")
    assert head
    assert not head.isVisibleTo(form)
    form.search("")
    assert form.editor("appearance", "look").isVisibleTo(form)


def test_showing_a_value_gives_none(form, qtbot):
    with qtbot.assertNotEmitted(form.changed):
        form.show_value(Settings(run=Settings().run.model_copy(update={"instruction": "Think."})))
    edit = form.editor("run", "instruction")
    assert isinstance(edit, QLineEdit)
    assert edit.text() == "Think."


def test_a_number_that_may_be_left_out_has_a_word_for_that(qtbot):
    form = SettingsForm(ModelOverrides(top_k=20), ModelOverrides())
    qtbot.addWidget(form)
    temperature, top_k = form.editor("temperature"), form.editor("top_k")
    assert isinstance(temperature, QDoubleSpinBox)
    assert isinstance(top_k, QSpinBox)
    assert (temperature.text(), top_k.text()) == ("Default", "20")
    with qtbot.waitSignal(form.changed) as given:
        top_k.setValue(top_k.minimum())
    assert given.args == [ModelOverrides()]
    with qtbot.waitSignal(form.changed) as given:
        temperature.setValue(0.0)
    assert given.args == [ModelOverrides(temperature=0.0)]


def test_a_number_that_stands_for_something_is_shown_as_a_word(form, qtbot):
    layers, limit = form.editor("models", "gpu_layers"), form.editor("run", "limits", "max_seconds")
    assert isinstance(layers, QSpinBox)
    assert isinstance(limit, QDoubleSpinBox)
    assert (layers.text(), limit.text()) == ("automatic", "no limit")
    with qtbot.waitSignal(form.changed) as given:
        layers.setValue(3)
    assert given.args[0].models.gpu_layers == 3


def test_the_members_of_an_enum_may_have_names_of_their_own(qtbot):
    form = SettingsForm(LoadOptions(), LoadOptions())
    qtbot.addWidget(form)
    cache = form.editor("kv_type")
    assert isinstance(cache, QComboBox)
    assert cache.currentText() == "f16"


def test_which_fields_are_shown_may_depend_on_the_value(qtbot):
    form = SettingsForm(ModelOverrides(), ModelOverrides())
    qtbot.addWidget(form)
    form.show()
    form.show_only(lambda path: path != ("opening",) or value_at(form.value, ("tags",)) is TagSource.OTHER)
    assert not form.editor("opening").isVisible()
    form.show_value(ModelOverrides(tags=TagSource.OTHER))
    assert form.editor("opening").isVisible()


def test_only_the_fields_of_the_chosen_policy_are_shown(form, qtbot):
    policy = form.editor("run", "policy", "policy")
    assert isinstance(policy, QComboBox)
    index = list(POLICIES).index("token-entropy")
    policy.setCurrentIndex(index)
    with qtbot.waitSignal(form.changed) as changed:
        policy.activated.emit(index)
    assert changed.args[0].run.policy == TokenEntropy.Settings()
    shown = [row.entry.path[2] for row in form._rows if row.entry.path[:2] == ("run", "policy")]
    assert shown == ["policy", "tau", "returns_below"]
    tau = form.editor("run", "policy", "tau")
    assert isinstance(tau, QDoubleSpinBox)
    tau.setValue(0.9)
    row = next(row for row in form._rows if row.entry.path == ("run", "policy", "tau"))
    assert not row.reset.isHidden()
    row.reset.click()
    assert tau.value() == 0.45


def test_resetting_the_policy_brings_the_default_policy_back(qtbot):
    form = SettingsForm(Settings(run=RunSettings(policy=TokenEntropy.Settings())), Settings())
    qtbot.addWidget(form)
    row = next(row for row in form._rows if row.entry.path == ("run", "policy", "policy"))
    with qtbot.waitSignal(form.changed) as changed:
        row.reset.click()
    assert changed.args[0].run.policy == Keywords.Settings()


def test_the_form_of_another_policy_is_laid_out_like_a_new_one(qtbot):
    changed, new = SettingsForm(Settings(), Settings()), Settings(run=RunSettings(policy=TokenEntropy.Settings()))
    qtbot.addWidget(changed)
    changed.show()
    policy = changed.editor("run", "policy", "policy")
    policy.setFocus()
    changed.show_value(new)
    fresh = SettingsForm(new, Settings())
    qtbot.addWidget(fresh)
    fresh.show()
    qtbot.waitUntil(lambda: changed.sizeHint() == fresh.sizeHint())
    assert {row.entry.path: row.reset.isVisibleTo(changed) for row in changed._rows} == {
        row.entry.path: row.reset.isVisibleTo(fresh) for row in fresh._rows
    }
    assert changed.focusWidget() is changed.editor("run", "policy", "policy")


@pytest.mark.parametrize("name", POLICIES)
def test_a_parameter_can_have_its_default_in_the_form(qtbot, name):
    """A bound of log-probabilities is negative and small: its editor has the range and the decimals for it."""
    value = Settings(run=RunSettings(policy=POLICIES[name].Settings()))
    form = SettingsForm(value, value)
    qtbot.addWidget(form)
    for parameter, default in POLICIES[name].Settings():
        editor = form.editor("run", "policy", parameter)
        if isinstance(editor, QSpinBox | QDoubleSpinBox):
            assert editor.value() == default
