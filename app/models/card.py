"""One model's card: what it is, what it shares with others, its chat template, how it is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QPlainTextEdit, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.models.loading_form import LoadingForm
from app.models.room import ModelRoom
from app.models.wording import short_path
from app.placement_words import placement_facts
from app.theme import SIGN, Role, set_role
from app.widgets.controls import button, label
from core.engines.body import Author
from core.models.fit import in_gib
from core.models.library import BrokenFile, Model, same_vocabulary


class ModelCardView(QScrollArea):
    use_wanted = Signal(object, object)
    """Author and Model: put it into the pair."""

    def __init__(self, room: ModelRoom, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._room = room
        self._model: Model | None = None
        self.setWidgetResizable(True)
        self.setAccessibleName("Model card")
        self._title = label("", Role.TITLE)
        self._title.setWordWrap(True)
        self._facts = QWidget()
        self._form = QFormLayout(self._facts)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.loading = LoadingForm(room)
        self._loading_head = label("How it is loaded", Role.HEADING)
        self.template = QPlainTextEdit()
        self.template.setReadOnly(True)
        self.template.setAccessibleName("Chat template")
        self.template.setFixedHeight(130)
        self._template_head = label("Chat template", Role.HEADING)
        self.use = {author: self._use_button(author) for author in (Author.SMALL, Author.LARGE)}
        self.delete = button("Delete …", self._delete, Role.DANGER)
        self._actions = QWidget()
        row = QHBoxLayout(self._actions)
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (*self.use.values(), self.delete):
            row.addWidget(widget)
        row.addStretch(1)
        sheet = QWidget()
        set_role(sheet, Role.CARD)
        sheet.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(sheet)
        column.setContentsMargins(18, 16, 18, 16)
        column.setSpacing(10)
        for part in (
            self._title,
            self._actions,
            self._facts,
            self._loading_head,
            self.loading,
            self._template_head,
            self.template,
        ):
            column.addWidget(part)
        column.addStretch(1)
        self.setWidget(sheet)
        room.loaded_changed.connect(lambda: self.show_row(self._model) if self._model else None)
        self.show_row(None)

    def show_row(self, row: Model | BrokenFile | None) -> None:
        model = row if isinstance(row, Model) else None
        self._model = model
        for part in (self._actions, self._loading_head, self.loading, self._template_head, self.template):
            part.setVisible(model is not None)
        while self._form.rowCount():
            self._form.removeRow(0)
        if model is not None:
            self._title.setText(model.header.name)
            self._add_facts(facts_of(model, self._room.inventory.models))
            if card := self._room.loaded.get(model.header.path):
                self._add_facts(placement_facts(card))
            self.loading.show_model(model)
            template = model.header.chat_template
            self._template_head.setText("Chat template" if template else "No chat template: it is given plain text")
            self.template.setPlainText(template or "")
            self.template.setVisible(bool(template))
            self.delete.setEnabled(model.can_be_deleted)
            size = in_gib(model.header.file_bytes)
            self.delete.setText(f"Delete, frees {size}" if model.can_be_deleted else "Comes with Baton")
            set_role(self.delete, Role.DANGER if model.can_be_deleted else Role.FLAT)
        elif isinstance(row, BrokenFile):
            self._title.setText(f"{row.path.name} cannot be used")
            self._add_facts(iter((("Why", row.reason), ("File", short_path(row.path)))))
        else:
            self._title.setText("Choose a model at the left, or drop a GGUF file here.")

    def _add_facts(self, facts: Iterator[tuple[str, str]]) -> None:
        for name, value in facts:
            words = label(value)
            words.setWordWrap(True)
            words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            words.setAccessibleName(f"{name}: {value}")
            head = label(name, Role.MUTED)
            self._form.addRow(head, words)
            for part in (head, words):
                part.show()  # a layout would do it one paint later, which is seen as a flicker

    def _use_button(self, author: Author) -> QPushButton:
        def press() -> None:
            if self._model is not None:
                self.use_wanted.emit(author, self._model)

        return button(f"{SIGN[author]} Use as the {author.value} model", press)

    def _delete(self) -> None:
        if self._model is not None:
            self._room.delete(self._model)


def facts_of(model: Model, others: tuple[Model, ...]) -> Iterator[tuple[str, str]]:
    """What the header says, as (name, words)."""
    header = model.header
    yield "Architecture", f"{header.architecture}, {header.block_count} blocks"
    yield "Parameters", f"{header.size_label} ({header.parameters:,})"
    yield "Quantisation", f"{header.quantisation}, {in_gib(header.file_bytes)}"
    yield "Trained context", f"{header.context_length:,} tokens" if header.context_length else "not said"
    yield "Vocabulary", f"{header.vocabulary_size:,} tokens, {header.vocabulary_hash[:12]}"
    sharing = [
        other.header.name
        for other in others
        if same_vocabulary(other.header, header) and other.header.path != header.path
    ]
    yield "Shared with", ", ".join(sharing) or "no other model here: handoffs pass text"
    tags = header.thinking_tags
    yield "Thinking", f"{tags.opening.strip()} … {tags.closing.strip()}" if tags else "no tags: the large model opens"
    cut = header.memory_can_be_cut
    yield "Memory", "can be cut back" if cut else "cannot be cut back: a snapshot at each boundary"
    yield "Licence", header.licence or "not said"
    parts = f" and {len(header.shards) - 1} more" if len(header.shards) > 1 else ""
    yield "File", f"{short_path(header.path)}{parts} ({model.source.value})"
