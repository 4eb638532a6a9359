"""One server, or several for one model: where it is, its key, a test with one click, and how it is to be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QFormLayout, QLineEdit, QPushButton, QWidget

from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import button, combo_box, label, line_edit, scrolling
from baton_reasoning.app.toolkit.forms import SettingsForm
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder, vbox
from baton_reasoning.app.toolkit.tables import Facts
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.connection import without_model
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.remote.protocol import ServedModel
from baton_reasoning.core.engines.remote.servers import ConnectionReport, Severity, try_connection
from baton_reasoning.core.errors import BatonError, Cancelled, SettingsError
from baton_reasoning.core.models.source import server_urls
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import Fact

Answer = TypeVar("Answer")
USE_MORE = "Prices, caps, certificates, proxy, template…"
SIGNS = {Severity.GOOD: "✓", Severity.BAD: "✗", Severity.WARNING: "⚠", Severity.PLAIN: "·"}


class ServerDialog(QDialog):
    kept = Signal(object, str)
    """The Author whose model the server is to be, if any, and its address; several are separated with commas."""
    failed = Signal(object)
    """A BatonError: something could not be saved, and holds until Baton is closed."""
    waits = Signal(str)
    """What a test waits for; sent from its thread."""

    def __init__(self, servers: KnownServers, address: str, parent: QWidget, *, to_use: bool = False) -> None:
        """`to_use`: offer to use the server as one of the two models; else only save its settings."""
        super().__init__(parent)
        self.setWindowTitle("Connect to a server")
        self._servers = servers
        self._request = LatestTask(self, "ask the server", self._show_problem)
        self._is_waiting = False
        self._is_closed = False
        self._shown_for = ""
        self.address = line_edit("Address of the server", "http://host:9931 (separate several with commas)", address)
        self.model = combo_box("Model of the server")
        self.model.setPlaceholderText("choose one")
        self.key = KeyField(servers)
        self.test = button("Test connection", self._test, tip="Ask what an answer would need; nothing is written there")
        self.testing = label("", Role.MUTED)
        self.report = Facts()
        self._card = holder(vbox(self.report, margins=(14, 10, 14, 10)), Role.CARD)
        self._card.hide()
        self.fold = button("", lambda: self._unfold(self.form.isHidden()), Role.FLAT)
        self.form = SettingsForm(KnownServer(), KnownServer())
        self.use_buttons = self._buttons_for(to_use)
        self._lay_out()
        self._connect()
        self._unfold(False)
        self._show_known()

    @property
    def known(self) -> KnownServer:
        """How the server is used, as the form shows it."""
        assert isinstance(self.form.value, KnownServer)
        return self.form.value

    def done(self, result: int) -> None:
        """Close the dialog without waiting for a silent server."""
        self._is_closed = True
        self._request.cancel()
        super().done(result)

    def _buttons_for(self, to_use: bool) -> list[QPushButton]:
        if not to_use:
            return [button("Save", lambda: self._keep(None), Role.PRIMARY)]
        small = button(f"{SIGN[Author.SMALL]} Use as the small model", lambda: self._keep(Author.SMALL))
        large = button(f"{SIGN[Author.LARGE]} Use as the large model", lambda: self._keep(Author.LARGE), Role.PRIMARY)
        return [small, large]

    def _lay_out(self) -> None:
        self._rows = QFormLayout()
        self._rows.setVerticalSpacing(8)
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._rows.addRow("Address", self.address)
        self._rows.addRow("Model", self.model)
        self._rows.addRow("Key", self.key)
        self._rows.setRowVisible(self.model, False)
        fold = (self.fold, 0, Qt.AlignmentFlag.AlignLeft)
        inside = holder(vbox(self._card, fold, self.form, STRETCH, margins=(0, 0, 8, 0), spacing=10))
        self.setLayout(
            vbox(
                self._rows,
                hbox(self.test, (self.testing, 1)),
                (scrolling(inside), 1),
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
        self.waits.connect(self.testing.setText)

    def _unfold(self, unfolded: bool) -> None:
        self.form.setVisible(unfolded)
        self.fold.setText(f"{'▾' if unfolded else '▸'} {USE_MORE}")
        self.fold.setAccessibleName(f"{'Hide' if unfolded else 'Show'}: {USE_MORE}")

    def _enable(self) -> None:
        usable = bool(server_urls(self.address.text())) and not self._is_waiting
        for press in (self.test, *self.use_buttons):
            press.setEnabled(usable)

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
            self._report(("Problem", f"✗ {error}"))
            return
        if known != KnownServer():  # what was set before the address was written stays
            self.form.show_value(known)
        self.key.show_for(urls, known.has_key)

    def _test(self) -> None:
        self._show_known()
        if not self.test.isEnabled():
            return
        known, typed, urls = self.known, self.key.typed, server_urls(self.address.text())

        def ask() -> list[ConnectionReport]:
            servers = [known.at(url, typed or self._servers.key(url)) for url in urls]
            return [try_connection(*server, on_wait=self._show_waiting) for server in servers]

        self._report()
        self.testing.setText("Asking the server…")
        self._ask(ask, self._show_reports)

    def _show_waiting(self, text: str) -> None:
        """Called from the thread of a test. Raises Cancelled once the dialog is closed."""
        if self._is_closed:
            raise Cancelled
        self.waits.emit(text)

    def _report(self, *facts: Fact) -> None:
        self.report.show_facts(list(facts))
        self._card.setVisible(bool(facts))

    def _show_reports(self, reports: list[ConnectionReport]) -> None:
        self._offer_models([model for report in reports for model in report.models])
        self._answered(*map(_report_fact, reports))

    def _show_problem(self, problem: BatonError) -> None:
        self._answered(("Problem", f"✗ {problem}"))

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

    def _ask(self, function: Callable[[], Answer], success: Callable[[Answer], object]) -> None:
        self._is_waiting = True
        self._request.run(function, success)
        self._enable()

    def _answered(self, *facts: Fact) -> None:
        self._report(*facts)
        self._is_waiting = False
        self.testing.clear()
        self._enable()

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
        self.kept.emit(author, address)
        self.accept()


def _report_fact(report: ConnectionReport) -> Fact:
    """Return the name of a server, and the lines of its test."""
    lines = [f"{SIGNS[finding.severity]} {finding.text}" for finding in report.findings]
    if report.problem:
        lines.append(f"✗ {report.problem}")
    return report.host, "\n".join(lines)


class KeyField(QWidget):
    """The key of a server: typed, kept in the keyring, or forgotten."""

    def __init__(self, servers: KnownServers) -> None:
        super().__init__()
        self._servers = servers
        self._urls: Sequence[str] = ()
        self._keyring = LatestTask(self, "ask the keyring", lambda error: self._show(f"✗ {error}", Role.DANGER))
        self.edit = line_edit("Key of the server")
        self.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self.forget = button(
            "Forget", self._forget, tip="Delete the key that is kept for this address", name="Forget the key"
        )
        self.message = label("", Role.MUTED, wrap=True)
        self.setLayout(vbox(hbox((self.edit, 1), self.forget), self.message, margins=0, spacing=3))
        self.show_for((), False)
        # Looking for a keyring takes a moment, and one that is locked may ask the person.
        self._keyring.run(lambda: servers.keeping.value, lambda text: self._show(f"A key is {text}."))

    @property
    def typed(self) -> str:
        return self.edit.text()

    def show_for(self, urls: Sequence[str], has_key: bool) -> None:
        self._urls = urls
        self.forget.setVisible(has_key)
        self.edit.setPlaceholderText("kept; another one replaces it" if has_key else "if the server wants one")

    def _forget(self) -> None:
        urls = self._urls

        def forget() -> None:
            for url in urls:
                self._servers.forget_key(url)

        self._keyring.run(forget, self._forgot)

    def _forgot(self, _: object) -> None:
        self._show("The key is forgotten.")
        self.show_for(self._urls, False)

    def _show(self, text: str, role: Role = Role.MUTED) -> None:
        self.message.setText(text)
        set_role(self.message, role)
