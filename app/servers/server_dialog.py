"""One server, or several for one model: where it is, its key, a test with one click, and how it is to be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.servers.key_field import KeyField
from app.servers.report_view import ReportView
from app.shared.background import LatestTask
from app.shared.forms.form import SettingsForm
from app.shared.theme import SIGN, Role
from app.shared.widgets.controls import button, label, scrolling
from core.engines.body import Author
from core.engines.server_check import ConnectionReport, try_connection
from core.engines.servers import KnownServer, KnownServers
from core.errors import BatonError, SettingsError
from core.models.source import server_urls

Probe = Callable[[], Sequence[int]]
"""The probe of vocabularies by the other model's tokenizer; empty if that cannot be had. It takes a moment."""
USE_MORE = "Prices, caps, certificates, proxy, template…"


class Purpose(Enum):
    """What the dialog was opened for: its buttons."""

    USE = "use the server as one of the two models"
    KEEP = "keep how it is used"


class ServerDialog(QDialog):
    kept = Signal(str)
    """The address that was set up; several are separated with commas."""
    use_wanted = Signal(object, str)
    """An Author and the address."""
    failed = Signal(object)
    """A BatonError: something could not be saved, and holds until Baton is closed."""

    def __init__(self, servers: KnownServers, address: str, probe: Probe, purpose: Purpose, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Connect to a server")
        self._servers = servers
        self._probe = probe
        self._question = LatestTask(self, self._say_problem)
        self._asking = False
        self._shown_for = ""
        self.known = KnownServer()
        """How the server is used, as the form shows it."""
        self.address = QLineEdit(address)
        self.address.setPlaceholderText("http://host:port (separate several servers with commas)")
        self.address.setAccessibleName("Address of the server")
        self.key = KeyField(servers)
        self.test = button("Test connection", self._test, tip="Ask what an answer would need; nothing is written there")
        self.testing = label("", Role.MUTED)
        self.report = ReportView()
        self.fold = button("", lambda: self._unfold(self.form.isHidden()), Role.FLAT)
        self.fold.setAccessibleName(USE_MORE)
        self.form = SettingsForm(self.known, KnownServer())
        self.ways = self._ways_for(purpose)
        self._lay_out()
        self._connect()
        self._unfold(False)
        self._look()

    def done(self, result: int) -> None:
        """A silent server is not waited for."""
        self._question.cancel()
        self.key.cancel()
        super().done(result)

    def _ways_for(self, purpose: Purpose) -> list[QPushButton]:
        if purpose is Purpose.KEEP:
            return [button("Keep", lambda: self._keep(None), Role.PRIMARY)]
        small = button(f"{SIGN[Author.SMALL]} Use as the small model", lambda: self._keep(Author.SMALL))
        large = button(f"{SIGN[Author.LARGE]} Use as the large model", lambda: self._keep(Author.LARGE), Role.PRIMARY)
        return [small, large]

    def _lay_out(self) -> None:
        top = QFormLayout()
        top.setVerticalSpacing(8)
        top.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        top.addRow("Address", self.address)
        top.addRow("Key", self.key)
        test = QHBoxLayout()
        test.addWidget(self.test)
        test.addWidget(self.testing, 1)
        inside = QWidget()
        body = QVBoxLayout(inside)
        body.setContentsMargins(0, 0, 8, 0)
        body.setSpacing(10)
        body.addWidget(self.report)
        body.addWidget(self.fold, 0, Qt.AlignmentFlag.AlignLeft)
        body.addWidget(self.form)
        body.addStretch(1)
        scroll = scrolling(inside)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(button("Cancel", self.reject))
        for way in self.ways:
            foot.addWidget(way)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(12)
        column.addLayout(top)
        column.addLayout(test)
        column.addWidget(scroll, 1)
        column.addLayout(foot)
        self.resize(620, 560)

    def _connect(self) -> None:
        self.address.editingFinished.connect(self._look)
        self.address.textChanged.connect(self._enable)
        for edit in (self.address, self.key.edit):
            edit.returnPressed.connect(self._test)
        self.key.forgotten.connect(self._key_forgotten)
        self.form.changed.connect(self._take)

    def _unfold(self, unfolded: bool) -> None:
        self.form.setVisible(unfolded)
        self.fold.setText(f"{'▾' if unfolded else '▸'} {USE_MORE}")

    def _take(self, known: KnownServer) -> None:
        self.known = known

    def _enable(self) -> None:
        usable = bool(server_urls(self.address.text())) and not self._asking
        for press in (self.test, *self.ways):
            press.setEnabled(usable)

    def _look(self) -> None:
        """Show what is known of the address that stands there now."""
        self._enable()
        urls = server_urls(self.address.text())
        if not urls or urls[0] == self._shown_for:
            return
        self._shown_for = urls[0]
        try:
            known = self._servers.find(urls[0])
        except SettingsError as error:
            self.report.show_problem(error)
            return
        if known != KnownServer():  # what was set before the address was written stays
            self.known = known
            self.form.show_value(known)
        self.key.show_for(urls, known)

    def _test(self) -> None:
        self._look()
        if not self.test.isEnabled():
            return
        known, typed, urls = self.known, self.key.typed, server_urls(self.address.text())

        def ask() -> list[ConnectionReport]:
            ids = self._probe()
            return [try_connection(*known.at(url, typed or self._servers.key(url)), ids) for url in urls]

        self.report.clear()
        self.testing.setText("Asking the server…")
        self._ask(ask, self._show_reports)

    def _show_reports(self, reports: list[ConnectionReport]) -> None:
        for report in reports:
            self.report.show_report(report)
        self._asked()

    def _say_problem(self, problem: BatonError) -> None:
        self.report.clear()
        self.report.show_problem(problem)
        self._asked()

    def _ask(self, question: Callable[[], object], answered: Callable[[Any], object]) -> None:
        self._asking = True
        self._question.ask(question, answered)
        self._enable()

    def _asked(self) -> None:
        self._asking = False
        self.testing.clear()
        self._enable()

    def _key_forgotten(self) -> None:
        self.key.show_for(server_urls(self.address.text()), KnownServer())

    def _keep(self, author: Author | None) -> None:
        """Keep the key and how each address is used; then it can be used."""
        address, known, key = self.address.text().strip(), self.known, self.key.typed

        def keep() -> BatonError | None:
            for url in server_urls(address):
                known.at(url, key or None)  # raises SettingsError if that cannot be used
            try:
                for url in server_urls(address):
                    self._servers.keep(url, known, key)
            except SettingsError as error:
                return error
            return None

        self._ask(keep, lambda error: self._kept(author, address, error))

    def _kept(self, author: Author | None, address: str, error: BatonError | None) -> None:
        if error:
            self.failed.emit(error)
        self.kept.emit(address)
        if author:
            self.use_wanted.emit(author, address)
        self.accept()
