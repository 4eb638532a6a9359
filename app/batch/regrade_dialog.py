"""Dialog to choose another grading for the answers of a batch."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QWidget

from baton_reasoning.app.toolkit.controls import combo_box, label, line_edit
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.verdict import How, Regex

HOW_TITLES = {
    How.AUTO: "Automatic: text, letters, numbers, lists, then algebra",
    How.EXACT: "The same text",
    How.NUMERIC: "The same number",
    How.CHOICE: "The same letter (multiple choice)",
    How.MATH: "Algebra alone (math-verify)",
    How.REGEX: "A pattern of your own",
}


class RegradeDialog(QDialog):
    chosen = Signal(object)
    """A How, or a Regex."""

    def __init__(self, now: How | Regex, parent: QWidget | None = None) -> None:
        """`now`: the current grading."""
        super().__init__(parent)
        self.setWindowTitle("Grade again")
        self.setMinimumWidth(520)
        self.how, self.pattern = (
            combo_box("How answers are compared"),
            line_edit("Pattern", r"for example: answer is\s+{expected}\b"),
        )
        for how, words in HOW_TITLES.items():
            self.how.addItem(words, how)
        self.message = label("", Role.MUTED, wrap=True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.grade = self.buttons.addButton("Grade", QDialogButtonBox.ButtonRole.AcceptRole)
        set_role(self.grade, Role.PRIMARY)
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self.how.currentIndexChanged.connect(self._validate)
        self.pattern.textChanged.connect(self._validate)
        self._lay_out()
        if isinstance(now, Regex):
            self.pattern.setText(now.pattern)
        self.how.setCurrentIndex(self.how.findData(How.REGEX if isinstance(now, Regex) else now))
        self._validate()

    def _validate(self) -> None:
        """Validate the pattern while it is typed."""
        by_pattern = self.how.currentData() is How.REGEX
        self.pattern.setEnabled(by_pattern)
        self.message.setText("Answers are looked for in the texts again, then compared. No model runs.")
        set_role(self.message, Role.MUTED)
        self.grade.setEnabled(not by_pattern or bool(self.pattern.text()))
        if by_pattern:
            try:
                Regex(self.pattern.text())
            except SettingsError as error:
                self.message.setText(error.message)
                set_role(self.message, Role.DANGER)
                self.grade.setEnabled(False)
            else:
                self.message.setText(
                    "Looked for in all that stands after the thinking; {expected} is the expected answer, as it is."
                )

    def _accept(self) -> None:
        how = self.how.currentData()
        self.accept()
        self.chosen.emit(Regex(self.pattern.text()) if how is How.REGEX else how)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Compare by", self.how)
        form.addRow("Pattern", self.pattern)
        self.setLayout(vbox(form, self.message, self.buttons, margins=(20, 18, 20, 16), spacing=12))
