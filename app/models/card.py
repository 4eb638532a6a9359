"""One model's card: what it is, what it shares with others, how it is loaded and writes, and its chat template."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Signal
from PySide6.QtGui import QFontDatabase, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QPlainTextEdit, QPushButton, QScrollArea, QWidget

from baton_reasoning.app.models.controller import LibraryEntry, ModelsController
from baton_reasoning.app.models.model_forms import LoadingForm, WritingForm
from baton_reasoning.app.toolkit.controls import button, label
from baton_reasoning.app.toolkit.facts import Facts
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder, in_row, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.library import BrokenFile, LocalModel
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import Fact, placement_facts
from baton_reasoning.core.words.numbers import short_path

SIDE_BY_SIDE = 720
"""Pixels that the two forms need beside each other."""
TEMPLATE_HEIGHT = 150


class ModelCardView(QScrollArea):
    use_wanted = Signal(object, object)
    """Author and LocalModel: put it into the pair."""
    reload_wanted = Signal()
    """Load the pair again, as it was chosen meanwhile."""

    def __init__(self, controller: ModelsController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model: LocalModel | None = None
        self.setWidgetResizable(True)
        self.setAccessibleName("Model card")
        self._title = label("", Role.TITLE, wrap=True)
        self._facts = Facts()
        self.loading = LoadingForm(controller)
        self.writing = WritingForm(controller)
        self.template = QPlainTextEdit()
        self.template.setReadOnly(True)
        self.template.setAccessibleName("Chat template")
        self.template.setPlaceholderText("None: plain text.")
        self.template.setFixedHeight(TEMPLATE_HEIGHT)
        self.template.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._changed = label("⚠ Changed since it was loaded.")
        self.load_again = button("Load it again", self.reload_wanted.emit)
        self._again = in_row(self._changed, self.load_again)
        self.use = {author: self._use_button(author) for author in (Author.SMALL, Author.LARGE)}
        self.delete = button("Move to the trash", self._delete, Role.DANGER)
        self._actions = in_row(*self.use.values())
        self._removal = in_row(self.delete)
        self._sections: list[QWidget] = [self._actions, self._removal]
        self._forms = hbox(
            (self._section("How it is loaded", self.loading), 1),
            (self._section("How it writes", self.writing), 1),
            spacing=24,
        )
        column = vbox(
            self._title,
            self._actions,
            self._removal,
            self._facts,
            self._again,
            self._forms,
            self._section("Chat template", self.template),
            STRETCH,
            margins=(18, 16, 18, 16),
            spacing=10,
        )
        self.setWidget(holder(column, Role.CARD))
        controller.loaded_changed.connect(lambda: self.show_row(self._model) if self._model else None)
        controller.preferences_changed.connect(self._show_whether_changed)
        self.show_row(None)

    def show_row(self, row: LibraryEntry | None) -> None:
        model = row if isinstance(row, LocalModel) else None
        self._model = model
        for part in self._sections:
            part.setVisible(model is not None)
        facts: list[Fact] = []
        if model is not None:
            self._title.setText(model.header.name)
            facts = list(facts_of(model, self._controller.inventory.models))
            if card := self._controller.loaded.get(model.header.path):
                facts += placement_facts(card)
            self.loading.show_model(model)
            self.writing.show_model(model)
            self.template.setPlainText(model.header.chat_template)
            self.delete.setEnabled(model.can_be_deleted)
            size = in_gib(model.header.file_bytes)
            self.delete.setText(f"Move to the trash ({size})" if model.can_be_deleted else "Comes with Baton")
            set_role(self.delete, Role.DANGER if model.can_be_deleted else Role.FLAT)
        elif isinstance(row, BrokenFile):
            self._title.setText(f"{row.path.name} cannot be used")
            facts = [("Why", row.reason), ("File", short_path(row.path))]
        else:
            self._title.setText("Choose a model at the left, or drop a GGUF file here.")
        self._facts.show_facts(facts)
        self._show_whether_changed()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Place both forms side by side if they fit."""
        super().resizeEvent(event)
        is_wide = event.size().width() > SIDE_BY_SIDE
        self._forms.setDirection(QBoxLayout.Direction.LeftToRight if is_wide else QBoxLayout.Direction.TopToBottom)

    def _section(self, title: str, inside: QWidget) -> QWidget:
        section = holder(vbox(label(title, Role.HEADING), inside, STRETCH, margins=(0, 6, 0, 0), spacing=10))
        self._sections.append(section)
        return section

    def _use_button(self, author: Author) -> QPushButton:
        def press() -> None:
            if self._model is not None:
                self.use_wanted.emit(author, self._model)

        return button(f"{SIGN[author]} Use as the {author.value} model", press)

    def _show_whether_changed(self) -> None:
        path = self._model.header.path if self._model else None
        self._again.setVisible(path is not None and self._controller.changed_since_loaded(path))

    def _delete(self) -> None:
        if self._model is not None:
            self._controller.delete(self._model)


def facts_of(model: LocalModel, others: tuple[LocalModel, ...]) -> Iterator[Fact]:
    """Yield what the header says."""
    header = model.header
    yield "Architecture", f"{header.architecture}, {header.block_count} blocks"
    yield "Parameters", f"{header.size_label} ({header.parameters:,})"
    yield "Quantisation", f"{header.quantisation}, {in_gib(header.file_bytes)}"
    yield "Trained context", f"{header.context_length:,} tokens" if header.context_length else "not said"
    yield "Vocabulary", f"{header.vocabulary_size:,} tokens"
    sharing = dict.fromkeys(
        other.header.name
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
    parts = f" and {len(header.shards) - 1} more" if len(header.shards) > 1 else ""
    yield "File", f"{short_path(header.path)}{parts} ({model.source.value})"
