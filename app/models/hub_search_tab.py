"""Search the Hub: repositories at the left, the quantisations of the chosen one at the right, judged for here."""

from __future__ import annotations

import re
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.models.downloads import Downloads
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import button, label, line_edit
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.tables import RowTable
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.models.devices import Devices, disk_free
from baton_reasoning.core.models.download import SPARE_BYTES
from baton_reasoning.core.models.fit import Fit, FitKind, estimate, fit, in_gib, rough_shape
from baton_reasoning.core.models.hub import Hub, Listing, Quantisation, Repository, manifest_for, recommended
from baton_reasoning.core.models.options import HubFile, LoadOptions
from baton_reasoning.core.table import Column
from baton_reasoning.core.words.labels import fit_text

_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?[BM](?:-A\d+B)?)(?![\w.])", re.IGNORECASE)
_COLUMNS = (Column("Quantisation", False), Column("Size"), Column("On this machine, about", False), Column("", False))


class RepositoryFits(NamedTuple):
    """What a repository holds, and where each choice would lie; None where the machine has not answered."""

    listing: Listing
    places: tuple[Fit | None, ...]
    disk_free: int


class HubSearchTab(QWidget):
    def __init__(self, controller: ModelsController, downloads: Downloads, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._downloads = downloads
        self._controller = controller
        self._request = LatestTask(self, "ask the Hub", self._show_error)
        self._listing: Listing | None = None
        self._wanted: HubFile | None = None
        """What `look_for` is to select once it is listed."""
        self.query = line_edit("Search the Hub", "Search GGUF models on the Hub, or owner/name")
        self.query.returnPressed.connect(self.search)
        self.status = label("", Role.MUTED, wrap=True)
        self.results = QListWidget()
        self.results.setAccessibleName("Repositories")
        self.results.currentItemChanged.connect(lambda item: self._list(item))
        self.choices = RowTable("Quantisations", _COLUMNS)
        self.choices.chosen_changed.connect(self._show_button)
        self.lack = label("", Role.DANGER)
        self._disk_free = 0
        self.fetch = button("Download", self.download, Role.PRIMARY)
        chooser = vbox((self.choices, 1), hbox(STRETCH, self.lack, self.fetch))
        head = hbox((self.query, 1), button("Search", self.search))
        margins = (0, 10, 0, 0)
        self.setLayout(vbox(head, self.status, (hbox((self.results, 2), (chooser, 3)), 1), margins=margins))
        self._show_button()

    def search(self) -> None:
        text = self.query.text().strip()
        if not text:
            return
        access = self._controller.access()

        def find() -> tuple[Repository, ...]:
            return Hub(access).search(text)

        self._wanted = None
        self._show_status("Searching…")
        self._request.run(find, self._show_results)

    def look_for(self, file: HubFile) -> None:
        """List its repository and select its quantisation."""
        self.query.setText(file.repository)
        self.search()
        self._wanted = file

    def download(self) -> None:
        if self._listing is not None and (choice := self._chosen()) is not None:
            self._downloads.begin(manifest_for(self._listing, choice, self._controller.folder))

    # -----------------------------------------------------------------------------------------------------------------

    def _show_results(self, found: tuple[Repository, ...]) -> None:
        self.results.clear()
        self._show_listing(None)
        wanted: QListWidgetItem | None = None
        for repository in found:
            facts = [size_in(repository.name), repository.licence or "licence not said"]
            facts.append(f"{repository.downloads:,} downloads a month")
            gate = " · terms to agree to" if repository.gated else ""
            item = QListWidgetItem(f"{repository.name}\n{' · '.join(filter(None, facts))}{gate}", self.results)
            item.setData(Qt.ItemDataRole.UserRole, repository.name)
            if self._wanted and repository.name == self._wanted.repository:
                wanted = item
        self._show_status(
            f"{len(found)} repositories with GGUF files" if found else "Nothing was found; try fewer words."
        )
        if self._wanted and wanted is None:  # its name may be no match for the Hub's search
            wanted = QListWidgetItem(self._wanted.repository, self.results)
            wanted.setData(Qt.ItemDataRole.UserRole, self._wanted.repository)
        if wanted:
            self.results.setCurrentItem(wanted)

    def _list(self, item: QListWidgetItem | None) -> None:
        if item is None:
            return
        name, access = str(item.data(Qt.ItemDataRole.UserRole)), self._controller.access()

        devices, folder = self._controller.devices, self._controller.folder

        def list_files() -> RepositoryFits:
            listing = Hub(access).list_files(name)
            places = tuple(place_of(listing, choice, devices) for choice in listing.choices)
            return RepositoryFits(listing, places, disk_free(folder))

        self._show_listing(None)
        self._show_status(f"Listing {name}…")
        self._request.run(list_files, self._show_listing)

    def _show_listing(self, judged: RepositoryFits | None) -> None:
        self._listing = listing = judged.listing if judged else None
        self._disk_free = judged.disk_free if judged else 0
        choices, places = (judged.listing.choices, judged.places) if judged else ((), ())
        best = recommended(choice for choice, place in zip(choices, places, strict=True) if may_fit(place))
        asked = self._wanted.quantisation if self._wanted else ""
        chosen = next((choice for choice in choices if choice.label == asked), best)
        rows, tips = [], []
        for choice, place in zip(choices, places, strict=True):
            parts = f" in {len(choice.files)} parts" if len(choice.files) > 1 else ""
            star = "★ recommended" if choice is best else ""
            rows.append((choice.label, f"{in_gib(choice.bytes)}{parts}", fit_text(place) if place else "", star))
            tips.append(place.advice if place else "")
        self.choices.show_rows(rows, tips, [choices.index(chosen)] if chosen else [])
        if listing is not None:
            name = listing.repository.name
            page = f"{self._controller.access().endpoint}/{name}"
            gate = f" Its makers want you to agree to their terms on {page}." if listing.repository.gated else ""
            weights = f", {listing.parameters / 1e9:.3g} billion parameters" if listing.parameters else ""
            self._show_status(f"{name}{weights}. The disk has {in_gib(self._disk_free)} free.{gate}")
        self._show_button()

    def _chosen(self) -> Quantisation | None:
        return self._listing.choices[self.choices.chosen[0]] if self._listing and self.choices.chosen else None

    def _show_button(self) -> None:
        choice = self._chosen()
        self.fetch.setEnabled(choice is not None)
        self.fetch.setText(f"Download {choice.label} ({in_gib(choice.bytes)})" if choice else "Download")
        lacks = choice is not None and choice.bytes + SPARE_BYTES > self._disk_free
        self.lack.setText(f"✗ The disk has only {in_gib(self._disk_free)} free" if lacks else "")

    def _show_status(self, text: str) -> None:
        self.status.setText(text)
        set_role(self.status, Role.MUTED)

    def _show_error(self, error: BatonError) -> None:
        self.status.setText(f"✗ {error}")
        set_role(self.status, Role.DANGER)


def place_of(listing: Listing, choice: Quantisation, devices: Devices | None) -> Fit | None:
    """Return how it would fit, guessed from its size."""
    if devices is None:
        return None
    return fit(estimate(rough_shape(choice.bytes, listing.parameters), LoadOptions()), devices)


def may_fit(place: Fit | None) -> bool:
    return place is None or place.kind is not FitKind.DOES_NOT_FIT


def size_in(name: str) -> str:
    """Return “14B” of “owner/Qwen3-14B-GGUF”: the Hub's search lists no sizes, but most names hold one."""
    found = _SIZE.search(name)
    return found[1].upper() if found else ""
