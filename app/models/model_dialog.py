"""One model file: what it is, how it is loaded, how it writes, and its chat template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QWidget

from baton_reasoning.app.models.controller import ModelsController, place
from baton_reasoning.app.toolkit.controls import ElidedLabel, button, label, scrolling
from baton_reasoning.app.toolkit.forms import SettingsForm
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder, in_row, vbox
from baton_reasoning.app.toolkit.tables import Facts
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.models.fit import estimate, in_gib
from baton_reasoning.core.models.library import LocalModel
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.ollama import shown_name
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.words.labels import Fact, placement_facts
from baton_reasoning.core.words.numbers import parameter_count, short_path

SIZE = (720, 640)
TEMPLATE_HEIGHT = 150


class ModelDialog(QDialog):
    """Every change counts at once, for the next time the model is loaded."""

    def __init__(self, model: LocalModel, controller: ModelsController, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(shown_name(model.header.path))
        self._model = model
        self._controller = controller
        header = model.header
        self.facts = Facts()
        self.loading = SettingsForm(controller.loading_of(header.path), controller.usual_loading)
        self.loading.show_only(lambda path: path != ("parallel",))  # that depends on the work, not on the model
        self.writing = SettingsForm(self._overrides, ModelOverrides())
        self.fit = label("", wrap=True)
        self.template = QPlainTextEdit(header.chat_template)
        self.template.setReadOnly(True)
        self.template.setAccessibleName("Chat template")
        self.template.setPlaceholderText("None: plain text.")
        self.template.setFixedHeight(TEMPLATE_HEIGHT)
        self.template.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.load_again = button("Load it again", controller.actions.reload_models)
        self._loaded = in_row(label("Changes count when it is loaded again."), self.load_again)
        path = ElidedLabel(short_path(header.path), Role.MUTED)
        of_file = vbox(path, self.facts, _heading("Chat template"), self.template, spacing=10)
        column = vbox(
            _heading("How it is loaded"),
            self.loading,
            holder(hbox(self.fit)),
            _heading("How it writes"),
            self.writing,
            _heading("About the file"),
            holder(of_file),
            STRETCH,
        )
        foot = hbox(self._loaded, STRETCH, button("Close", self.accept), margins=(18, 10, 18, 14))
        self.setLayout(vbox((scrolling(holder(column)), 1), foot, margins=0, spacing=0))
        room = parent.size()
        self.resize(min(SIZE[0], room.width()), min(SIZE[1], room.height()))
        self.loading.changed.connect(self._take_loading)
        self.writing.changed.connect(self._take_writing)
        controller.loaded_changed.connect(self._show)
        controller.preferences_changed.connect(self._show)
        self._show()

    @property
    def _overrides(self) -> ModelOverrides:
        return self._controller.preferences.overrides_of(self._model.header.path)

    def _take_loading(self, choice: LoadOptions) -> None:
        self._controller.replace(self._controller.preferences.with_loading(self._model.header.path, choice))

    def _take_writing(self, choice: ModelOverrides) -> None:
        if choice.tags is not TagSource.OTHER:
            choice = choice.model_copy(update={"opening": "", "closing": ""})
        self._controller.replace(self._controller.preferences.with_overrides(self._model.header.path, choice))

    def _show(self) -> None:
        path, choice = self._model.header.path, self._overrides
        self.writing.show_value(choice)
        hidden: set[Any] = set() if choice.tags is TagSource.OTHER else {("opening",), ("closing",)}
        if "reasoning_effort" not in self._model.header.chat_template:
            hidden.add(("effort",))
        self.writing.show_only(lambda field: field not in hidden)
        facts = list(facts_of(self._model, self._controller.inventory.models))
        if card := self._controller.loaded.get(path):
            facts += placement_facts(card)
        self.facts.show_facts(facts)
        self._loaded.setVisible(path in self._controller.loaded)
        self._show_fit(self._controller.loading_of(path))

    def _show_fit(self, choice: LoadOptions) -> None:
        """Say before loading whether it fits, and what would help if it does not."""
        needs = estimate(self._model.header, choice)
        model, cache = in_gib(needs.shape.tensor_bytes), in_gib(needs.kv_bytes)
        devices = self._controller.devices  # None while the machine has not answered yet
        fit = place(self._model, choice, devices) if devices else None
        lacks = bool(choice.conflict) or (fit is not None and not fit.fits)
        advice = choice.conflict or (fit.advice if fit else "")
        text = f"{in_gib(needs.total_bytes)}: model {model}, KV cache {cache}. {advice}".strip()
        self.fit.setText(f"✗ {text}" if lacks else text)
        set_role(self.fit, Role.DANGER if lacks else Role.MUTED)


def _heading(text: str) -> QWidget:
    return holder(hbox(label(text, Role.HEADING)))


def facts_of(model: LocalModel, others: tuple[LocalModel, ...]) -> Iterator[Fact]:
    """Yield what the header says."""
    header = model.header
    yield "Name", header.name
    yield "Architecture", f"{header.architecture}, {header.block_count} blocks"
    yield "Parameters", f"{parameter_count(header.parameters)} ({header.parameters:,})"
    yield "Quantisation", f"{header.quantisation}, {in_gib(header.file_bytes)}"
    yield "Trained context", f"{header.context_length:,} tokens" if header.context_length else "not said"
    yield "Vocabulary", f"{header.vocabulary_size:,} tokens"
    sharing = dict.fromkeys(
        shown_name(other.header.path)
        for other in others
        if other.header.vocabulary_hash == header.vocabulary_hash and other.header.path != header.path
    )
    yield "Shared with", ", ".join(sharing) or "no other model here: handoffs pass text"
    tags = header.thinking_tags
    yield (
        "Thinking",
        f"{tags.opening.strip()} … {tags.closing.strip()}"
        if tags
        else "No thinking tags: the large model writes the opening",
    )
    cut = header.supports_truncation
    yield "KV cache", "supports rollback" if cut else "no rollback: a snapshot at each boundary"
    yield "Licence", header.licence or "not said"
    parts = f", {len(header.shards)} files" if len(header.shards) > 1 else ""
    yield "Found in", f"{model.origin.value}{parts}"
