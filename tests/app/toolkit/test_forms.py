"""The form is made from the models: each field has an editor, holds to its bounds, and can be reset."""

from pathlib import Path

import pytest
import shiboken6
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox

from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.toolkit.forms import SettingsForm, entries, value_at, with_value
from baton_reasoning.core.engines.remote.connection import ServerAccess
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ColourScheme, Settings
from baton_reasoning.core.thinking.policies.automatic import Automatic
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.registry import POLICIES

FIELDS = [entry.path for entry in entries(Settings()) if not isinstance(value_at(Settings(), entry.path), BaseModel)]


def form_of(qtbot, value, defaults):
    form = SettingsForm(value, defaults)
    qtbot.addWidget(form)
    return form


@pytest.fixture
def form(qtbot):
    return form_of(qtbot, Settings(), Settings())


def reset_of(form, *path):
    return next(row.reset for row in form._rows if row.entry.path == path)


def test_every_field_has_an_editor_with_a_name_and_none_is_offered_to_be_reset(form):
    """An editor that gives another type than it was given would change a setting when it is merely left."""
    form.show()
    titles = {entry.path: entry.field.title for entry in entries(Settings())}
    assert {path: form.editor(*path).accessibleName() for path in FIELDS} == {path: titles[path] for path in FIELDS}
    assert form.paths() == FIELDS
    assert all(form.isAncestorOf(row.name) and row.name.buddy() is row.editor.widget for row in form._rows)
    assert not any("window" in path for path in FIELDS), "what the window remembers of itself is not asked"
    assert not any(reset.isVisible() for reset in form.findChildren(IconButton))
    policy, look = form.editor("run", "policy", "policy"), form.editor("appearance", "look")
    assert [policy.itemText(i) for i in range(policy.count())] == [kind.title for kind in POLICIES.values()]
    assert look.count() == len(ColourScheme)


@pytest.mark.scaled
@given(st.data())
def test_a_value_that_is_given_changes_one_field_and_its_reset_takes_it_back(qapp, data):
    form = SettingsForm(Settings(), Settings())
    boxes = {path: box for path in FIELDS if isinstance(box := form.editor(*path), QSpinBox)}
    path = data.draw(st.sampled_from(list(boxes)))
    box, default = boxes[path], value_at(Settings(), path)
    given_values: list[Settings] = []
    form.changed.connect(given_values.append)
    box.setValue(data.draw(st.integers(box.minimum(), box.maximum())))
    is_changed = form.value != Settings()
    assert given_values == ([form.value] if is_changed else [])
    assert with_value(form.value, path, default) == Settings(), "all the others are as they were"
    assert reset_of(form, *path).isVisibleTo(form) is form.is_changed(path) is is_changed
    reset_of(form, *path).click()
    assert form.value == Settings()
    assert reset_of(form, *path).isHidden()
    shiboken6.delete(form)


def test_numbers_hold_to_their_bounds_and_some_have_words(qtbot):
    with_keywords = Settings(run=RunSettings())
    form = form_of(qtbot, with_keywords, with_keywords)
    layers, limit = form.editor("models", "gpu_layers"), form.editor("run", "limits", "max_seconds")
    assert form.editor("run", "policy", "n1").minimum() == 1
    assert (layers.text(), limit.text()) == ("automatic", "no limit")
    assert form.editor("appearance", "text_size").text() == "100%"
    with qtbot.waitSignal(form.changed) as given_value:
        layers.setValue(3)
    assert given_value.args[0].models.gpu_layers == 3
    assert form_of(qtbot, LoadOptions(), LoadOptions()).editor("kv_type").currentText() == "f16"
    own = form_of(qtbot, ModelOverrides(top_k=20), ModelOverrides())
    temperature, top_k = own.editor("temperature"), own.editor("top_k")
    assert (temperature.text(), top_k.text()) == ("Default", "20"), "it may be left out"
    top_k.setValue(top_k.minimum())
    assert own.value == ModelOverrides()
    temperature.setValue(0.0)
    assert own.value == ModelOverrides(temperature=0.0)
    for policy in POLICIES.values():  # a bound of log-probabilities is negative and small
        parameters = policy.Settings()
        form.show_value(Settings(run=RunSettings(policy=parameters)))
        boxes = [(form.editor("run", "policy", name), default) for name, default in parameters]
        numbers = [(box.value(), default) for box, default in boxes if isinstance(box, QSpinBox | QDoubleSpinBox)]
        assert all(value == default for value, default in numbers)


def test_a_path_is_written_or_nothing_and_its_field_keeps_its_width_when_it_can_be_reset(qtbot):
    authority = Path("/a/ca.pem")
    form = form_of(qtbot, ServerAccess(authority=authority), ServerAccess())
    form.show()
    edit = form.editor("authority")
    assert edit.text() == str(authority)
    width = edit.width()
    for text, path in ((" ~/ca.pem ", Path.home() / "ca.pem"), (" ", None)):
        edit.setText(text)
        edit.editingFinished.emit()
        assert form.value == ServerAccess(authority=path)
        assert reset_of(form, "authority").isVisible() is (path is not None)
        form.grab()  # lays it out
        assert edit.width() == width


def test_showing_a_value_gives_none_and_may_make_other_fields_wanted(form, qtbot):
    with qtbot.assertNotEmitted(form.changed):
        form.show_value(Settings(run=RunSettings(instruction="Think.")))
    assert form.editor("run", "instruction").text() == "Think."
    own = form_of(qtbot, ModelOverrides(), ModelOverrides())
    own.show_only(lambda path: path != ("opening",) or value_at(own.value, ("tags",)) is TagSource.OTHER)
    assert not own.editor("opening").isVisibleTo(own)
    own.show_value(ModelOverrides(tags=TagSource.OTHER))
    assert own.editor("opening").isVisibleTo(own)


def test_another_policy_brings_its_own_fields_and_resetting_it_the_default_one(form, qtbot):
    policy = form.editor("run", "policy", "policy")
    index = list(POLICIES).index("token-entropy")
    policy.setCurrentIndex(index)
    with qtbot.waitSignal(form.changed) as changed:
        policy.activated.emit(index)
    assert changed.args[0].run.policy == TokenEntropy.Settings()
    assert [path[2] for path in form.paths() if path[:2] == ("run", "policy")] == ["policy", "tau", "returns_below"]
    tau = form.editor("run", "policy", "tau")
    tau.setValue(0.9)
    assert not reset_of(form, "run", "policy", "tau").isHidden()
    reset_of(form, "run", "policy", "tau").click()
    assert tau.value() == 0.45
    reset_of(form, "run", "policy", "policy").click()
    assert form.value.run.policy == Automatic.Settings()


def test_the_form_of_another_policy_is_laid_out_like_a_new_one(form, qtbot):
    new = Settings(run=RunSettings(policy=TokenEntropy.Settings()))
    form.show()
    form.editor("run", "policy", "policy").setFocus()
    form.show_value(new)
    fresh = form_of(qtbot, new, Settings())
    fresh.show()
    qtbot.waitUntil(lambda: form.sizeHint() == fresh.sizeHint())
    shown = [{row.entry.path: row.reset.isVisibleTo(each) for row in each._rows} for each in (form, fresh)]
    assert shown[0] == shown[1]
    assert form.focusWidget() is form.editor("run", "policy", "policy")
