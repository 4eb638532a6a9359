"""The settings of a model file: how it is loaded and writes, and what has changed since it was loaded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.models.model_dialog import ModelDialog
from baton_reasoning.app.models.page import ModelsPage
from baton_reasoning.core.demo_pair.settings import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import DeviceShare, ModelCard, Placement
from baton_reasoning.core.models.devices import Devices
from baton_reasoning.core.models.options import KvType, LoadOptions, ModelOverrides, Switch, TagSource, load_preferences
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.words.labels import own_facts, placement_facts
from tests.app.models.test_page import choose

pytestmark = pytest.mark.slow
CUES = '{"reflection": {"wait": ["waits"], "hmm": []}}'


def opened(page: ModelsPage, qtbot: QtBot, path: Path = SMALL_MODEL, name: str = "") -> ModelDialog:
    """The settings of this model, called by another name if one is given."""
    model = choose(page, path)
    dialog = ModelDialog(
        replace(model, header=replace(model.header, name=name or model.header.name)), page.controller, page
    )
    qtbot.addWidget(dialog)
    return dialog


def field(dialog: ModelDialog, name: str) -> Any:
    form = dialog.loading if name in LoadOptions.model_fields else dialog.writing
    return form.editor(name)


def pick(dialog: ModelDialog, name: str, text: str) -> None:
    """Choose this in a list."""
    box = field(dialog, name)
    box.setCurrentText(text)
    box.activated.emit(box.currentIndex())


def type_in(dialog: ModelDialog, name: str, text: str) -> None:
    field(dialog, name).setText(text)
    field(dialog, name).editingFinished.emit()


def is_shown(part: QWidget, dialog: ModelDialog) -> bool:
    return part.isVisibleTo(dialog)


def test_every_choice_about_writing_is_kept_and_one_that_is_taken_back_is_forgotten(page, tmp_path, qtbot):
    dialog = opened(page, qtbot)
    field(dialog, "temperature").setValue(0.8)
    field(dialog, "top_k").setValue(20)
    assert not is_shown(field(dialog, "opening"), dialog), "there are no others to be named"
    pick(dialog, "tags", "others")
    assert is_shown(field(dialog, "opening"), dialog)
    for name, text in (("opening", "[T]"), ("closing", "[/T]"), ("cue_list", CUES)):
        type_in(dialog, name, text)

    def kept() -> ModelOverrides:
        return load_preferences(Paths.under(tmp_path).model_preferences).overrides_of(SMALL_MODEL)

    assert kept() == ModelOverrides(
        temperature=0.8, top_k=20, tags=TagSource.OTHER, opening="[T]", closing="[/T]", cue_list=CUES
    )
    for name in ("temperature", "top_k"):
        field(dialog, name).setValue(field(dialog, name).minimum())
    pick(dialog, "tags", "its template's")
    type_in(dialog, "cue_list", "")
    assert kept() == ModelOverrides()


def test_what_the_makers_recommend_is_taken_with_one_click(page, qtbot):
    assert not is_shown((unknown := opened(page, qtbot)).take_advice, unknown)
    dialog = opened(page, qtbot, name="Phi 4 Reasoning Plus")
    dialog.take_advice.click()
    chosen = page.controller.preferences.overrides_of(SMALL_MODEL)
    assert (chosen.temperature, chosen.top_p, chosen.top_k) == (0.8, 0.95, 50)
    assert field(dialog, "temperature").value() == 0.8


def test_a_choice_made_while_it_is_loaded_offers_to_load_it_again(page, asked, qtbot):
    dialog = opened(page, qtbot)
    page.controller.show_loaded({SMALL_MODEL: ModelCard("demo", "", 1024)})
    assert not is_shown(dialog.load_again, dialog)
    field(dialog, "batch").setValue(64)
    assert is_shown(dialog.load_again, dialog)
    dialog.load_again.click()
    assert asked.calls == ["reload_models"]


def test_loading_choices_are_kept_and_judged_before_loading(page, tmp_path, qtbot):
    dialog = opened(page, qtbot, LARGE_MODEL)
    for name, value in (("context", 256), ("batch", 64), ("threads", 2)):
        field(dialog, name).setValue(value)
    pick(dialog, "drafts", "on")
    kept = load_preferences(Paths.under(tmp_path).model_preferences).loading_of(LARGE_MODEL)
    assert kept == LoadOptions(context=256, batch=64, threads=2, drafts=Switch.ON)
    assert "KV cache" in dialog.fit.text()


def test_what_is_chosen_for_the_program_is_no_field_of_a_model(page, qtbot):
    dialog = opened(page, qtbot)
    assert not is_shown(field(dialog, "parallel"), dialog)
    assert field(dialog, "threads").text() == "automatic"
    assert field(dialog, "gpu_layers").text() == "automatic"
    assert dialog.template.toPlainText() == choose(page, SMALL_MODEL).header.chat_template
    assert any(label.text() == "Baton demo small" for label in dialog.findChildren(QLabel))


def test_a_model_that_does_not_fit_says_what_would_help(page, monkeypatch, qtbot):
    monkeypatch.setattr(page.controller, "devices", Devices(ram_total=2**30, ram_free=2**30, gpus=()))
    dialog = opened(page, qtbot, LARGE_MODEL)
    assert dialog.fit.text().startswith("✗ ")
    assert "close other programs" in dialog.fit.text()


def test_a_cache_that_needs_flash_attention_is_refused_before_loading(page, qtbot):
    dialog = opened(page, qtbot)
    pick(dialog, "kv_type", "q8_0")
    pick(dialog, "flash_attention", "off")
    assert dialog.fit.text().startswith("✗ ")
    assert "leave that automatic, or choose f16" in dialog.fit.text()


@pytest.mark.parametrize("kept", [{"kv_type": KvType.Q4_0}, {"context": 2**20}, {"gpu_layers": 999}])
def test_what_a_file_of_settings_says_stays_when_something_else_is_chosen(page, kept, qtbot):
    page.controller.replace(page.controller.preferences.with_loading(SMALL_MODEL, LoadOptions(**kept)))
    field(opened(page, qtbot), "batch").setValue(64)
    assert page.controller.loading_of(SMALL_MODEL) == LoadOptions(**kept, batch=64)


def test_what_was_loaded_is_told_by_device_and_what_is_less_than_asked():
    shares = (DeviceShare("CUDA0", 12, 2**30, 2**20, 2**20), DeviceShare("RAM", 17, 2**30, 2**20, 2**20, 2**29))
    card = ModelCard("m", "", 4096, placement=Placement(shares, 128, 3, "q8_0", "with 12 of 29 layers on the GPU"))
    facts = dict(placement_facts(card))
    assert facts["Loaded with"] == "4,096 tokens, batch 128, 3 threads, q8_0 KV cache"
    assert facts["Less than asked"] == "⚠ m was loaded with 12 of 29 layers on the GPU: out of memory."
    assert facts["In CUDA0"] == "12 layers: weights 1.0 GiB, KV cache 1 MiB, compute 1 MiB"
    assert "(512 MiB of it pages of the file)" in facts["In RAM"]


def test_a_models_own_settings_are_told_one_by_one():
    own = ModelOverrides(
        temperature=0.8,
        top_k=20,
        tags=TagSource.OTHER,
        opening="[T]",
        closing="[/T]",
        cue_list=CUES,
    )
    assert dict(own_facts(own)) == {
        "Own sampling": "temperature 0.8, top-k 20",
        "Own tags": "[T] … [/T]",
        "Own cues": "wait, hmm",
    }
