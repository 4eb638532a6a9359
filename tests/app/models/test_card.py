"""A model's card: how it writes, its chat template, and what has changed since it was loaded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QComboBox, QLineEdit, QSpinBox
from pytestqt.qtbot import QtBot

from baton_reasoning.app.models.model_forms import WritingForm
from baton_reasoning.app.models.page import ModelsPage
from baton_reasoning.core.demo_pair.settings import SMALL_MODEL
from baton_reasoning.core.engines.base import DeviceShare, ModelCard, Placement
from baton_reasoning.core.models.options import KvType, LoadOptions, ModelOverrides, Switch, TagSource, load_preferences
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.words.labels import own_facts, placement_facts
from tests.app.models.test_page import choose

pytestmark = pytest.mark.slow
CUES = '{"reflection": {"wait": ["waits"], "hmm": []}}'


def number(form: WritingForm, name: str) -> Any:
    """The box of a whole number, or of another."""
    return form.editors[name].widget


def test_every_choice_about_writing_is_kept_and_one_that_is_taken_back_is_forgotten(
    page: ModelsPage, tmp_path: Path
) -> None:
    choose(page, SMALL_MODEL)
    form = page.here.card.writing
    number(form, "temperature").setValue(0.8)
    number(form, "top_k").setValue(20)
    tags = form.editors["tags"].widget
    assert isinstance(tags, QComboBox)
    tags.setCurrentIndex(list(TagSource).index(TagSource.OTHER))
    tags.activated.emit(tags.currentIndex())
    for name, tag in (("opening", "[T]"), ("closing", "[/T]"), ("cue_list", CUES)):
        edit = form.editors[name].widget
        assert isinstance(edit, QLineEdit)
        edit.setText(tag)
        edit.editingFinished.emit()

    def kept() -> ModelOverrides:
        return load_preferences(Paths.under(tmp_path).model_preferences).overrides_of(SMALL_MODEL)

    assert kept() == ModelOverrides(
        temperature=0.8, top_k=20, tags=TagSource.OTHER, opening="[T]", closing="[/T]", cue_list=CUES
    )
    for name in ("temperature", "top_k"):
        number(form, name).setValue(number(form, name).minimum())
    tags.setCurrentIndex(0)
    tags.activated.emit(0)
    cues = form.editors["cue_list"].widget
    assert isinstance(cues, QLineEdit)
    cues.clear()
    cues.editingFinished.emit()
    assert kept() == ModelOverrides()


def test_what_the_makers_recommend_is_taken_with_one_click(page: ModelsPage, monkeypatch: pytest.MonkeyPatch) -> None:
    model = choose(page, SMALL_MODEL)
    assert not page.here.card.writing.take_advice.isVisibleTo(page.here.card)
    page.here.card.show_row(replace(model, header=replace(model.header, name="Phi 4 Reasoning Plus")))
    page.here.card.writing.take_advice.click()
    chosen = page.controller.preferences.overrides_of(SMALL_MODEL)
    assert (chosen.temperature, chosen.top_p, chosen.top_k) == (0.8, 0.95, 50)


def test_a_choice_made_while_it_is_loaded_offers_to_load_it_again(page: ModelsPage, qtbot: QtBot) -> None:
    choose(page, SMALL_MODEL)
    page.controller.show_loaded({SMALL_MODEL: ModelCard("demo", "", 1024)})
    assert not page.here.card.load_again.isVisibleTo(page.here.card)
    page.here.card.loading.show_values(LoadOptions(batch=64))
    assert page.here.card.load_again.isVisibleTo(page.here.card)
    with qtbot.waitSignal(page.reload_wanted):
        page.here.card.load_again.click()


def test_drafting_is_chosen_for_a_model(page: ModelsPage) -> None:
    choose(page, SMALL_MODEL)
    box = page.here.card.loading.findChildren(QComboBox)[-1]
    assert box.accessibleName() == "Drafts"
    box.setCurrentIndex(list(Switch).index(Switch.ON))
    assert page.controller.loading_of(SMALL_MODEL).drafts is Switch.ON


def test_a_cache_that_needs_flash_attention_is_refused_before_loading(page: ModelsPage) -> None:
    choose(page, SMALL_MODEL)
    page.here.card.loading.show_values(LoadOptions(kv_type=KvType.Q8_0, flash_attention=Switch.OFF))
    assert page.here.card.loading.sentence.text().startswith("✗ ")
    assert "leave that automatic, or choose f16" in page.here.card.loading.sentence.text()


def test_a_q4_0_cache_stays_when_something_else_is_chosen(page: ModelsPage) -> None:
    page.controller.change_loading(SMALL_MODEL, LoadOptions(context=512, kv_type=KvType.Q4_0))
    choose(page, SMALL_MODEL)
    (batch,) = [box for box in page.here.card.loading.findChildren(QSpinBox) if box.accessibleName() == "Batch"]
    batch.setValue(64)
    assert page.controller.loading_of(SMALL_MODEL) == LoadOptions(context=512, kv_type=KvType.Q4_0, batch=64)


def test_what_was_loaded_is_told_by_device_and_what_is_less_than_asked() -> None:
    shares = (DeviceShare("CUDA0", 12, 2**30, 2**20, 2**20), DeviceShare("RAM", 17, 2**30, 2**20, 2**20, 2**29))
    card = ModelCard("m", "", 4096, placement=Placement(shares, 128, 3, "q8_0", "with 12 of 29 layers on the GPU"))
    facts = dict(placement_facts(card))
    assert facts["Loaded with"] == "4,096 tokens, batch 128, 3 threads, q8_0 KV cache"
    assert facts["Less than asked"] == "⚠ m was loaded with 12 of 29 layers on the GPU: out of memory."
    assert facts["In CUDA0"] == "12 layers: weights 1.0 GiB, KV cache 1 MiB, compute 1 MiB"
    assert "(512 MiB of it pages of the file)" in facts["In RAM"]


def test_a_models_own_settings_are_told_one_by_one() -> None:
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
