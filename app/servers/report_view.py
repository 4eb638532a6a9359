"""What the test of a connection found, a line each, with a sign before it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from app.shared.theme import Role, set_role
from app.shared.widgets.controls import label
from core.engines.server_check import ConnectionReport, Finding, Severity
from core.errors import BatonError

VERDICTS = {
    Severity.GOOD: ("✓", Role.SUCCESS),
    Severity.BAD: ("✗", Role.DANGER),
    Severity.WARNING: ("⚠", Role.DANGER),
    Severity.PLAIN: ("·", Role.MUTED),
}


class ReportView(QWidget):
    """Hidden while there is nothing to tell."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.CARD)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._lines: list[str] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(14, 10, 14, 10)
        self._grid.setVerticalSpacing(3)
        self._grid.setHorizontalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        self.clear()

    @property
    def text(self) -> str:
        """All lines, as a screen reader has them."""
        return "\n".join(self._lines)

    def clear(self) -> None:
        self._lines.clear()
        while (item := self._grid.takeAt(0)) is not None:
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        self.hide()

    def show_report(self, report: ConnectionReport) -> None:
        """Below what is shown already."""
        self._add_head(report.host)
        for finding in report.findings:
            self._add(finding)
        if report.problem:
            self.show_problem(report.problem)

    def show_problem(self, problem: BatonError) -> None:
        self._add(Finding(Severity.BAD, str(problem)))

    def _add_head(self, words: str) -> None:
        head = label(words, Role.HEADING)
        head.setContentsMargins(0, 8 if self._lines else 0, 0, 2)
        self._grid.addWidget(head, self._grid.rowCount(), 0, 1, 2)
        self._told(words)

    def _add(self, finding: Finding) -> None:
        sign, role = VERDICTS[finding.verdict]
        words = label(finding.words)
        words.setWordWrap(True)
        words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = self._grid.rowCount()
        self._grid.addWidget(label(sign, role), row, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(words, row, 1)
        self._told(f"{sign} {finding.words}")

    def _told(self, line: str) -> None:
        self._lines.append(line)
        self.setAccessibleName(f"Result of the test: {self.text}")
        self.show()
