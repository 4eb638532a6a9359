"""Where to begin: the demo pair at once, a pair that fits this machine, or a server for the large model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QScrollArea, QVBoxLayout, QWidget

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import button, label
from baton_reasoning.app.toolkit.layout import hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.diagnosis import Check, State, gpu_checks
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.models.catalog import CatalogModel, CatalogPair, FittingPair, PublishedResult, pairs_that_fit
from baton_reasoning.core.models.devices import Devices, disk_free
from baton_reasoning.core.models.download import SPARE_BYTES, DownloadManifest
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.gguf import GgufHeader
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.models.options import HubFile
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import fit_text
from baton_reasoning.core.words.speed import (
    bytes_per_second,
    estimate_from_sizes,
    speed_from_sizes,
    speed_of_files,
)

EVIDENCE = {
    PublishedResult.PAPER: "Measured in the paper.",
    PublishedResult.REBUTTAL: "Measured in the paper's discussion.",
    PublishedResult.UNTESTED: "No published benchmarks.",
}


class FittingPairs(NamedTuple):
    """The machine, and which pairs it could hold."""

    devices: Devices
    disk_free: int
    fitting: tuple[FittingPair, ...]
    gpu_checks: tuple[Check, ...] = ()
    """What `baton doctor` says about GPUs."""
    rate: float | None = None
    """`bytes_per_second` of this machine; None where it is not known, or where a GPU may hold a part of a model."""


class PairCard(NamedTuple):
    """A pair that fits, on the page."""

    pair: CatalogPair
    missing: list[CatalogModel]
    """What its button downloads; if nothing, it uses the pair."""
    press: QPushButton
    widget: QWidget


class StartTab(QScrollArea):
    demo_wanted = Signal()
    server_wanted = Signal()
    download_wanted = Signal(object)
    """A DownloadManifest; a pair makes two."""
    pair_wanted = Signal(object, object)
    """The paths of a small and a large model that are on this machine."""

    not_offered = Signal(object)
    """A HubFile in no card: of no pair that fits this machine are just the wanted files missing."""

    def __init__(self, controller: ModelsController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._wanted: tuple[HubFile, ...] = ()
        """What `offer` waits to show, until the machine has been looked at."""
        self._cards: list[PairCard] = []
        self._has_judged = False
        self._controller = controller
        self._manifests = LatestTask(self, "ask the Hub", self._show_error)
        self._fits = LatestTask(self, "judge pairs", self._show_error)
        self.status = label("", Role.MUTED, wrap=True)
        self.status.hide()
        self._machine = label("Looking at this machine…", Role.MUTED, wrap=True)
        self.warnings = label("", Role.DANGER, wrap=True, selectable=True)
        self.warnings.setAccessibleName("What this installation cannot use")
        self.warnings.hide()
        self.setWidgetResizable(True)
        inside = QWidget()
        self._column = QVBoxLayout(inside)
        self._column.setSpacing(10)
        self._column.addWidget(
            _card(
                "Try it now",
                "Two tiny models come with Baton. They solve one kind of puzzle, and show how it works.",
                button("Use the demo pair", self.demo_wanted.emit, Role.PRIMARY),
            )
        )
        self._column.addWidget(
            _card(
                "Connect to a server",
                "The large model may run elsewhere: llama-server, vLLM, SGLang or LM Studio.",
                button("Connect…", self.server_wanted.emit),
            )
        )
        self._column.addWidget(label("Pairs that fit this machine", Role.HEADING))
        self._column.addWidget(self._machine)
        self._column.addWidget(self.warnings)
        self._column.addWidget(self.status)
        self._pairs = QVBoxLayout()
        self._pairs.setSpacing(10)
        self._column.addLayout(self._pairs)
        self._column.addStretch(1)
        self.setWidget(inside)
        controller.devices_found.connect(self.refresh)
        controller.inventory_changed.connect(self.refresh)
        self.refresh()

    def offer(self, files: Sequence[HubFile]) -> None:
        """Scroll to the card that downloads just these files, with the focus on its button; or emit `not_offered`."""
        self._wanted = tuple(files)
        if self._has_judged:
            self._show_wanted()

    def _show_wanted(self) -> None:
        if not (wanted := self._wanted):
            return
        self._wanted = ()
        card = next((card for card in self._cards if {model.hub_file for model in card.missing} == {*wanted}), None)
        if card:
            self._go_to(card)
        else:
            self.not_offered.emit(wanted[0])

    def _go_to(self, card: PairCard) -> None:
        inside = self.widget()
        assert inside
        inside.adjustSize()  # the place of a card that was just made is not known before
        card.press.setFocus(Qt.FocusReason.OtherFocusReason)
        self.ensureWidgetVisible(card.widget)

    def refresh(self) -> None:
        """Judge the catalog's pairs by what the machine has now; in a thread, since it takes some milliseconds."""
        devices, folder = self._controller.devices, self._controller.folder
        headers, costs = [model.header for model in self._controller.inventory.models], self._controller.costs
        if devices is None:
            return

        def judge() -> FittingPairs:
            rate = None if devices.gpus else bytes_per_second(headers, costs)
            checks = tuple(gpu_checks(devices))
            return FittingPairs(devices, disk_free(folder), pairs_that_fit(devices), checks, rate)

        self._fits.run(judge, self._show)

    def _show(self, judged: FittingPairs) -> None:
        devices = judged.devices
        gpus = "; ".join(f"{gpu.description} with {in_gib(gpu.free_bytes)} free" for gpu in devices.gpus)
        ram = f"RAM {in_gib(devices.ram_free)} free of {in_gib(devices.ram_total)}"
        disk = f"disk {in_gib(judged.disk_free)} free"
        self._machine.setText(f"{ram} · {gpus or 'no GPU in use'} · {disk}")
        bad = [check for check in judged.gpu_checks if check.state is not State.GOOD]
        self.warnings.setText("\n".join(f"⚠ {check.subject}: {check.finding} {check.remedy}" for check in bad))
        self.warnings.setVisible(bool(bad))
        focused = next((card.pair for card in self._cards if card.press is self.window().focusWidget()), None)
        while (item := self._pairs.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._cards = [self._pair_card(pair, judged) for pair in judged.fitting]
        for card in self._cards:
            self._pairs.addWidget(card.widget)
        if not judged.fitting:
            text = "None of the known pairs fits here: search for smaller models, or connect to a server."
            self._pairs.addWidget(label(text, Role.MUTED))
        self._has_judged = self._controller.has_scanned  # before, all files seem to be missing
        if kept := next((card for card in self._cards if card.pair == focused), None):
            self._go_to(kept)  # the cards are made again whenever a file comes or goes
        if self._has_judged:
            self._show_wanted()

    def _pair_card(self, fitting: FittingPair, judged: FittingPairs) -> PairCard:
        pair = fitting.pair
        facts = "\n".join(
            f"{SIGN[author]} {model.name}: {in_gib(model.bytes)}, {model.licence}, {fit_text(place)}"
            for author, model, place in (
                (Author.SMALL, pair.small, fitting.fit.small),
                (Author.LARGE, pair.large, fitting.fit.large),
            )
        )
        needed = sum(place.gpu_bytes + place.ram_bytes for place in (fitting.fit.small, fitting.fit.large))
        small, large = self._here(pair.small), self._here(pair.large)
        if small and large:
            speed = speed_of_files(small, large, self._controller.costs)
        elif judged.rate:
            speed = speed_from_sizes(pair.small.active_bytes, pair.large.active_bytes, judged.rate)
        else:
            speed = estimate_from_sizes(pair.small.active_bytes, pair.large.active_bytes)
        memory = f"With a context of 16,384 tokens it takes {in_gib(needed)}. {speed}"
        good_for = f"{pair.good_for} {EVIDENCE[pair.evidence]}"
        missing = [model for model, here in ((pair.small, small), (pair.large, large)) if here is None]
        if small and large:
            press = button("Use this pair", lambda: self.pair_wanted.emit(small.path, large.path))
        else:
            size = sum(model.bytes for model in missing)
            press = button(f"Download {in_gib(size)}", lambda: self._fetch(missing))
            if size + SPARE_BYTES > judged.disk_free:
                memory += " ✗ The disk has not enough room for it."
        press.setAccessibleName(f"{press.text()}: {pair.small.name} with {pair.large.name}")
        card = _card(f"{pair.small.name} with {pair.large.name}", f"{facts}\n{memory}", press, good_for)
        return PairCard(pair, missing, press, card)

    def _here(self, wanted: CatalogModel) -> GgufHeader | None:
        """Return the header of a catalog model that is on this machine already."""
        for model in self._controller.inventory.models:
            if model.header.path.name == wanted.file:
                return model.header
        return None

    def _fetch(self, models: list[CatalogModel]) -> None:
        access, folder = self._controller.access(), self._controller.folder
        self._show_status("Asking the Hub for sizes and hashes…", Role.MUTED)

        def ask() -> list[DownloadManifest]:
            hub = Hub(access)
            return [hub.manifest(model.hub_file, folder) for model in models]

        self._manifests.run(ask, self._begin)

    def _begin(self, orders: list[DownloadManifest]) -> None:
        self.status.hide()
        for order in orders:
            self.download_wanted.emit(order)

    def _show_error(self, error: BatonError) -> None:
        self._show_status(f"✗ {error}", Role.DANGER)

    def _show_status(self, text: str, role: Role) -> None:
        self.status.setText(text)
        set_role(self.status, role)
        self.status.show()


def _card(title: str, text: str, press: QWidget, good_for: str = "") -> QWidget:
    purpose = [label(good_for, wrap=True)] if good_for else []
    about = vbox(label(title, Role.HEADING, wrap=True), *purpose, label(text, Role.MUTED, wrap=True))
    return holder(hbox((about, 1), (press, 0, Qt.AlignmentFlag.AlignVCenter), margins=(16, 12, 16, 12)), Role.CARD)
