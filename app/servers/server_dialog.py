"""One server, or several for one model: where it is, its key, a test with one click, and how it is to be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeVar

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QGridLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import button, combo_box, label, line_edit, scrolling
from baton_reasoning.app.toolkit.forms.form import SettingsForm
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.answers import UnknownModel
from baton_reasoning.core.engines.remote.connection import LLAMA_SERVER_PORTS, without_model
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.remote.protocol import ServedModel
from baton_reasoning.core.engines.remote.servers import ConnectionReport, Finding, Severity, try_connection
from baton_reasoning.core.errors import BatonError, Cancelled, SettingsError
from baton_reasoning.core.models.options import server_urls
from baton_reasoning.core.words.authors import SIGN

Answer = TypeVar("Answer")
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
    waits = Signal(str)
    """What a test waits for; sent from its thread."""

    def __init__(self, servers: KnownServers, address: str, probe: Probe, purpose: Purpose, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Connect to a server")
        self._servers = servers
        self._probe = probe
        self._request = LatestTask(self, "ask the server", self._show_problem)
        self._is_waiting = False
        self._is_closed = False
        self._asked_at = self._failed_at = ""
        """The address that was asked last, and the one whose last test failed: that cannot be used."""
        self._shown_for = ""
        self.known = KnownServer()
        """How the server is used, as the form shows it."""
        self.address = line_edit(
            "Address of the server", f"http://host:{LLAMA_SERVER_PORTS[0]} (separate several with commas)", address
        )
        self.model = combo_box("Model of the server")
        self.model.setPlaceholderText("choose one")
        self.key = KeyField(servers)
        self.test = button("Test connection", self._test, tip="Ask what an answer would need; nothing is written there")
        self.testing = label("", Role.MUTED)
        self.report = ReportView()
        self.fold = button("", lambda: self._unfold(self.form.isHidden()), Role.FLAT, name=USE_MORE)
        self.form = SettingsForm(self.known, KnownServer())
        self.use_buttons = self._buttons_for(purpose)
        self._lay_out()
        self._connect()
        self._unfold(False)
        self._show_known()

    def done(self, result: int) -> None:
        """Close the dialog without waiting for a silent server."""
        self._is_closed = True
        self._request.cancel()
        self.key.cancel()
        super().done(result)

    def _buttons_for(self, purpose: Purpose) -> list[QPushButton]:
        if purpose is Purpose.KEEP:
            return [button("Save", lambda: self._keep(None), Role.PRIMARY)]
        small = button(f"{SIGN[Author.SMALL]} Use as the small model", lambda: self._keep(Author.SMALL))
        large = button(f"{SIGN[Author.LARGE]} Use as the large model", lambda: self._keep(Author.LARGE), Role.PRIMARY)
        return [small, large]

    def _lay_out(self) -> None:
        top = QFormLayout()
        top.setVerticalSpacing(8)
        top.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        top.addRow("Address", self.address)
        top.addRow("Model", self.model)
        top.addRow("Key", self.key)
        top.setRowVisible(self.model, False)
        self._rows = top
        inside = QWidget()
        inside.setLayout(
            vbox(
                self.report,
                (self.fold, 0, Qt.AlignmentFlag.AlignLeft),
                self.form,
                STRETCH,
                margins=(0, 0, 8, 0),
                spacing=10,
            )
        )
        scroll = scrolling(inside)
        self.setLayout(
            vbox(
                top,
                hbox(self.test, (self.testing, 1)),
                (scroll, 1),
                hbox(STRETCH, button("Cancel", self.reject), *self.use_buttons),
                margins=(18, 16, 18, 14),
                spacing=12,
            )
        )
        self.resize(620, 560)

    def _connect(self) -> None:
        self.address.editingFinished.connect(self._show_known)
        self.address.textChanged.connect(self._enable)
        self.model.activated.connect(self._choose_model)
        for edit in (self.address, self.key.edit):
            edit.returnPressed.connect(self._test)
        self.key.edit.textChanged.connect(self._allow_again)
        self.form.changed.connect(self._allow_again)
        self.key.forgotten.connect(self._key_forgotten)
        self.form.changed.connect(self._take)
        self.waits.connect(self.testing.setText)

    def _unfold(self, unfolded: bool) -> None:
        self.form.setVisible(unfolded)
        self.fold.setText(f"{'▾' if unfolded else '▸'} {USE_MORE}")

    def _take(self, known: KnownServer) -> None:
        self.known = known

    def _allow_again(self) -> None:
        """Allow use again: something has changed since the test failed."""
        self._failed_at = ""
        self._enable()

    def _enable(self) -> None:
        usable = bool(server_urls(self.address.text())) and not self._is_waiting
        self.test.setEnabled(usable)
        for press in self.use_buttons:
            press.setEnabled(usable and self.address.text() != self._failed_at)

    def _show_known(self) -> None:
        """Show what is known of the address that stands there now."""
        self._enable()
        urls = server_urls(self.address.text())
        if not urls or urls[0] == self._shown_for:
            return
        if without_model(urls[0]) != without_model(self._shown_for):
            self._offer_models([])
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
        self._show_known()
        if not self.test.isEnabled():
            return
        known, typed, urls = self.known, self.key.typed, server_urls(self.address.text())

        def ask() -> list[ConnectionReport]:
            ids = self._probe()
            servers = [known.at(url, typed or self._servers.key(url)) for url in urls]
            return [try_connection(*server, ids, self._show_waiting) for server in servers]

        self.report.clear()
        self.testing.setText("Asking the server…")
        self._ask(ask, self._show_reports)

    def _show_waiting(self, text: str) -> None:
        """Called from the thread of a test. Raises Cancelled once the dialog is closed."""
        if self._is_closed:
            raise Cancelled
        self.waits.emit(text)

    def _show_reports(self, reports: list[ConnectionReport]) -> None:
        for report in reports:
            self.report.show_report(report)
        if self.address.text() == self._asked_at:  # another one may have been written meanwhile
            self._offer_models([model for report in reports for model in report.models])
        self._failed_at = self._asked_at if any(_is_useless(report) for report in reports) else ""
        self._answered()

    def _offer_models(self, models: Sequence[ServedModel]) -> None:
        """Offer what the servers have; a model that is chosen is written into the address."""
        self._rows.setRowVisible(self.model, bool(models))
        self.model.clear()
        for name, status in dict(models).items():
            self.model.addItem(f"{name} ({status})" if status else name, name)
        chosen = [url.partition("#")[2] for url in server_urls(self.address.text())]
        self.model.setCurrentIndex(self.model.findData(chosen[0]) if chosen else -1)

    def _choose_model(self) -> None:
        name, servers = self.model.currentData(), map(without_model, server_urls(self.address.text()))
        self.address.setText(", ".join(f"{server}#{name}" for server in servers))
        self._show_known()

    def _show_problem(self, problem: BatonError) -> None:
        self.report.clear()
        self._offer_models([])
        self.report.show_problem(problem)
        self._failed_at = self._asked_at
        self._answered()

    def _ask(self, function: Callable[[], Answer], success: Callable[[Answer], object]) -> None:
        self._is_waiting, self._asked_at = True, self.address.text()
        self._request.run(function, success)
        self._enable()

    def _answered(self) -> None:
        self._is_waiting = False
        self.testing.clear()
        self._enable()

    def _key_forgotten(self) -> None:
        self.key.show_for(server_urls(self.address.text()), KnownServer())

    def _keep(self, author: Author | None) -> None:
        """Keep the key and how each address is used; then it can be used."""
        address, known, key = self.address.text().strip(), self.known, self.key.typed

        def keep() -> BatonError | None:
            self._servers.check_name(known.name, address)
            servers = dict.fromkeys(server_urls(address), known)
            for url in servers:
                known.at(url, key or None)  # raises SettingsError if that cannot be used
            try:
                self._servers.keep(servers, key)
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


class KeyField(QWidget):
    forgotten = Signal()
    """The key that was kept is gone."""

    def __init__(self, servers: KnownServers, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._servers = servers
        self._urls: Sequence[str] = ()
        self._keyring = LatestTask(self, "ask the keyring", self._show_error)
        self.edit = QLineEdit()
        self.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self.edit.setAccessibleName("Key of the server")
        self.forget = button(
            "Forget", self._forget, tip="Delete the key that is kept for this address", name="Forget the key"
        )
        self.message = label("", Role.MUTED, wrap=True)
        self.setLayout(vbox(hbox((self.edit, 1), self.forget), self.message, margins=0, spacing=3))
        self.show_for((), KnownServer())
        # Looking for a keyring takes a moment, and one that is locked may ask the person.
        self._keyring.run(lambda: servers.keeping.value, lambda text: self._show_status(f"A key is {text}."))

    @property
    def typed(self) -> str:
        return self.edit.text()

    def show_for(self, urls: Sequence[str], known: KnownServer) -> None:
        self._urls = urls
        self.forget.setVisible(known.has_key)
        self.edit.setPlaceholderText("kept; another one replaces it" if known.has_key else "if the server wants one")

    def cancel(self) -> None:
        """Stop waiting for the keyring, since the dialog is closed."""
        self._keyring.cancel()

    def _forget(self) -> None:
        urls = self._urls

        def forget() -> None:
            for url in urls:
                self._servers.forget_key(url)

        self._keyring.run(forget, self._forgot)

    def _forgot(self, _: object) -> None:
        self._show_status("The key is forgotten.")
        self.forgotten.emit()

    def _show_status(self, text: str) -> None:
        self.message.setText(text)
        set_role(self.message, Role.MUTED)

    def _show_error(self, error: BatonError) -> None:
        self.message.setText(f"✗ {error}")
        set_role(self.message, Role.DANGER)


VERDICTS = {
    Severity.GOOD: ("✓", Role.SUCCESS),
    Severity.BAD: ("✗", Role.DANGER),
    Severity.WARNING: ("⚠", Role.DANGER),
    Severity.PLAIN: ("·", Role.MUTED),
}


class ReportView(QWidget):
    """The results of the tests; hidden while there are none."""

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
        """Add a report below what is shown already."""
        self._add_head(report.host)
        for finding in report.findings:
            self._add(finding)
        if report.problem:
            self.show_problem(report.problem)

    def show_problem(self, problem: BatonError) -> None:
        self._add(Finding(Severity.BAD, str(problem)))

    def _add_head(self, text: str) -> None:
        head = label(text, Role.HEADING)
        head.setContentsMargins(0, 8 if self._lines else 0, 0, 2)
        self._grid.addWidget(head, self._grid.rowCount(), 0, 1, 2)
        self._added(text)

    def _add(self, finding: Finding) -> None:
        sign, role = VERDICTS[finding.severity]
        text = label(finding.text, wrap=True, selectable=True)
        row = self._grid.rowCount()
        self._grid.addWidget(label(sign, role), row, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(text, row, 1)
        self._added(f"{sign} {finding.text}")

    def _added(self, line: str) -> None:
        self._lines.append(line)
        self.setAccessibleName(f"Result of the test: {self.text}")
        self.show()


def _is_useless(report: ConnectionReport) -> bool:
    """Whether the server cannot be used as it was tested; one that still loads its model can."""
    return not report.reachable or report.key_accepted is False or isinstance(report.problem, UnknownModel)
