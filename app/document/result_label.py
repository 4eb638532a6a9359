"""The result of an answer in large type; typeset where it is LaTeX."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.document.typeset import Typesetter, picture
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.markdown.formulas import Formula
from baton_reasoning.core.markdown.latex import typeset

WIDEST = 320
"""Pixels of a formula; a wider one is drawn smaller."""
_LATEX = re.compile(r"[\\^{]|\w_\w\b")


class ResultLabel(QLabel):
    """Shows a text as it is until its formula is set, and where it cannot be."""

    def __init__(self, typesetter: Typesetter) -> None:
        super().__init__()
        self._typesetter, self._text = typesetter, ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        set_role(self, Role.RESULT)
        current_theme().changed.connect(self._show)

    def text(self) -> str:
        """Return the result as it was written."""
        return self._text

    def setText(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self.setAccessibleName(f"Result: {text}")
            self._show()

    def heightForWidth(self, width: int) -> int:
        """Return the height of the text; of a formula, which Qt would give no room of its own in a label that wraps."""
        return super().heightForWidth(width) if self.pixmap().isNull() else self.sizeHint().height()

    def _show(self) -> None:
        super().setText(self._text)
        if not _LATEX.search(self._text):
            return
        self.ensurePolished()  # for the size of its letters
        colours = current_theme().colours
        size = TextStyle.of(colours, self.font()).formula_size
        formula = Formula(self._text, display=True, source=self._text)
        if not self._typesetter.is_set(formula, size):
            self._typesetter.prepare([formula], size, self._show, self)
        elif found := typeset(formula.latex, formula.display, size):
            scale = self.devicePixelRatioF()
            drawn = picture(found, colours.text, scale * min(1.0, WIDEST / found.width))
            drawn.setDevicePixelRatio(scale)
            self.setPixmap(drawn)
