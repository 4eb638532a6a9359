"""A model's card: how it writes, what it is given, which cues it has, and what has changed since it was loaded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLineEdit
from pytestqt.qtbot import QtBot

from baton_reasoning.app.models.cue_finder import CueFinder
from baton_reasoning.app.models.model_forms import WritingForm
from baton_reasoning.app.models.page import ModelsPage
from baton_reasoning.app.models.prompt_view import PromptView
from baton_reasoning.app.shared.background import BackgroundTasks
from baton_reasoning.app.shared.labels import own_facts, placement_facts
from baton_reasoning.core.cue_profiler import Suits, profile
from baton_reasoning.core.demo_pair.settings import SMALL_MODEL
from baton_reasoning.core.engines import template_renderer
from baton_reasoning.core.engines.model_card import DeviceShare, ModelCard, Placement
from baton_reasoning.core.models.loading import KvType, LoadOptions, Switch
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.models.preferences import load_preferences
from baton_reasoning.core.paths import Paths
from tests.app.models.test_page import choose

pytestmark = [pytest.mark.slow, pytest.mark.qt_log_ignore("This plugin does not support")]
WAITING = "Begin.\n\n" + "Wait, is it so?\n\nHence it is.\n\n" * 15
PLAIN = "Begin.\n\n" + "Hence it is.\n\nThen it is.\n\n" * 15


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
    for name, tag in (("opening", "[T]"), ("closing", "[/T]")):
        edit = form.editors[name].widget
        assert isinstance(edit, QLineEdit)
        edit.setText(tag)
        edit.editingFinished.emit()

    def kept() -> ModelOverrides:
        return load_preferences(Paths.under(tmp_path).model_preferences).overrides_of(SMALL_MODEL)

    assert kept() == ModelOverrides(temperature=0.8, top_k=20, tags=TagSource.OTHER, opening="[T]", closing="[/T]")
    for name in ("temperature", "top_k"):
        number(form, name).setValue(number(form, name).minimum())
    tags.setCurrentIndex(0)
    tags.activated.emit(0)
    assert kept() == ModelOverrides()


def test_what_the_makers_recommend_is_taken_with_one_click(page: ModelsPage, monkeypatch: pytest.MonkeyPatch) -> None:
    model = choose(page, SMALL_MODEL)
    assert not page.here.card.writing.take_advice.isVisibleTo(page.here.card)
    object.__setattr__(model.header, "name", "Phi 4 Reasoning Plus")
    page.here.card.show_row(model)
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


def test_a_prompt_is_shown_with_signs_where_it_differs_from_the_known_one(page: ModelsPage, qtbot: QtBot) -> None:
    view = PromptView()
    qtbot.addWidget(view)
    model = choose(page, SMALL_MODEL)
    object.__setattr__(model.header, "name", "Qwen3 1.7B")
    view.show_header(model.header)
    qtbot.waitUntil(lambda: bool(view.prompt.toPlainText()))
    assert view.sentence.text().startswith("⚠ Other than what Qwen3 models")
    signs = {line[0] for line in view.prompt.toPlainText().splitlines()}
    assert {"+", "−"} <= signs
    BackgroundTasks.of(view).close()


def test_a_template_that_never_ends_is_said_and_the_window_goes_on(
    page: ModelsPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_renderer, "SECONDS", 0.5)
    view = PromptView()
    qtbot.addWidget(view)
    model = choose(page, SMALL_MODEL)
    loop = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
    object.__setattr__(model.header, "chat_template", loop)
    view.show_header(model.header)
    qtbot.waitUntil(
        lambda: view.sentence.text().startswith("✗ The model's chat template cannot be used: it did not finish"),
    )
    BackgroundTasks.of(view).close()


@pytest.fixture
def found(page: ModelsPage, qtbot: QtBot) -> Iterator[CueFinder]:
    """The cue profile of the demo pair's small model; whatever it does is ended with the test."""
    made = CueFinder(page.controller, choose(page, SMALL_MODEL))
    qtbot.addWidget(made)
    yield made
    BackgroundTasks.of(made).close()


def test_a_model_is_let_write_and_its_profile_shown(page: ModelsPage, found: CueFinder, qtbot: QtBot) -> None:
    page.controller.change_loading(SMALL_MODEL, LoadOptions(context=1024, threads=1))
    found.problems.setValue(2)
    found.tokens.setValue(64)
    found.begin.click()
    assert found.stop.isVisibleTo(found)
    qtbot.waitUntil(lambda: found.findings.table.rowCount() > 0)
    qtbot.waitUntil(lambda: found.begin.isEnabled())
    assert "boundaries. " in found.status.text()


def test_writing_can_be_stopped_and_is_judged_so_far(page: ModelsPage, found: CueFinder, qtbot: QtBot) -> None:
    page.controller.change_loading(SMALL_MODEL, LoadOptions(context=1024, threads=1))
    found.begin.click()
    qtbot.waitUntil(lambda: found.bar.value() > 0)
    found.stop.click()
    qtbot.waitUntil(lambda: "boundaries" in found.status.text())


def test_accepted_cues_are_the_models_own_without_those_that_a_person_took_out(
    page: ModelsPage, found: CueFinder
) -> None:
    found.show_profile(profile([WAITING + "Let me see.\n\nSo.\n\n" * 3]))
    names = [found.findings.cues.item(row).text() for row in range(found.findings.cues.count())]
    assert names[0].startswith("wait (reflection), 15 times")
    found.findings.cues.item(len(names) - 1).setCheckState(Qt.CheckState.Unchecked)
    found.accept_cues.click()
    cues = json.loads(page.controller.preferences.overrides_of(SMALL_MODEL).cue_list)
    assert "wait" in cues["reflection"]
    assert sum(map(len, cues.values())) == len(names) - 1
    assert page.here.card.writing.cues.text().startswith("wait")
    page.here.card.writing.forget_cues.click()
    assert page.controller.preferences.overrides_of(SMALL_MODEL) == ModelOverrides()


def test_a_model_without_cues_is_warned_of_with_two_ways_on(page: ModelsPage, found: CueFinder, qtbot: QtBot) -> None:
    without = profile([PLAIN])
    assert without.suits is Suits.TOO_FEW
    found.show_profile(without)
    assert found.status.text().startswith("⚠ ")
    assert page.controller.preferences.cue_share_of(SMALL_MODEL) == 0
    with qtbot.waitSignal(found.policy_wanted) as wanted:
        found.by_entropy.click()
    assert wanted.args == ["first-token-entropy"]
    assert found.by_opening.isVisibleTo(found)


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
        cue_list='{"reflection": {"wait": ["waits"], "hmm": []}}',
    )
    assert dict(own_facts(own)) == {
        "Own sampling": "temperature 0.8, top-k 20",
        "Own tags": "[T] … [/T]",
        "Own cues": "wait, hmm",
    }
