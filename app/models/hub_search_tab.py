"""Search the Hub: repositories at the left, the quantisations of the chosen one at the right, judged for here."""

from __future__ import annotations

from itertools import compress
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
from baton_reasoning.core.models.devices import Devices, disk_free
from baton_reasoning.core.models.fit import Fit, estimate, fit, in_gib, rough_shape
from baton_reasoning.core.models.hub import Hub, Listing, Quantisation, Repository, manifest_for, recommended
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.table import Column
from baton_reasoning.core.words.labels import fit_text

_COLUMNS = (Column("Quantisation", False), Column("Size"), Column("Fits, about", False), Column("", False))


class JudgedRepository(NamedTuple):
    """What a repository holds, and where each choice would lie; None where the machine has not answered."""

    listing: Listing
    places: tuple[Fit | None, ...]
    disk_free: int


class HubSearchTab(QWidget):
    def __init__(self, controller: ModelsController, downloads: Downloads) -> None:
        super().__init__()
        self._downloads = downloads
        self._controller = controller
        self._request = LatestTask(self, "ask the Hub", lambda error: self._show_status(f"✗ {error}", Role.DANGER))
        self._judged: JudgedRepository | None = None
        self.query = line_edit("Search the Hub", "Search GGUF models on the Hub, or owner/name")
        self.query.returnPressed.connect(self.search)
        self.status = label("", Role.MUTED, wrap=True)
        self.results = QListWidget()
        self.results.setAccessibleName("Repositories")
        self.results.currentItemChanged.connect(lambda item: self._list(item))
        self.choices = RowTable("Quantisations", _COLUMNS)
        self.choices.chosen_changed.connect(self._show_button)
        self.fetch = button("Download", self.download, Role.PRIMARY)
        chooser = vbox((self.choices, 1), hbox(STRETCH, self.fetch))
        head = hbox((self.query, 1), button("Search", self.search))
        margins = (0, 10, 0, 0)
        self.setLayout(vbox(head, self.status, (hbox((self.results, 2), (chooser, 3)), 1), margins=margins))
        self._show_button()

    def search(self) -> None:
        text = self.query.text().strip()
        if not text:
            return
        hub = Hub(self._controller.access())
        self._show_status("Searching…")
        self._request.run(lambda: hub.search(text), self._show_results)

    def download(self) -> None:
        if self._judged and self._chosen:
            self._downloads.begin(manifest_for(self._judged.listing, self._chosen, self._controller.folder))

    # -----------------------------------------------------------------------------------------------------------------

    def _show_results(self, found: tuple[Repository, ...]) -> None:
        self.results.clear()
        self._show_listing(None)
        for repository in found:
            gate = " · terms to agree to" if repository.gated else ""
            facts = f"{repository.licence or 'licence not said'} · {repository.downloads:,} downloads a month{gate}"
            item = QListWidgetItem(f"{repository.name}\n{facts}", self.results)
            item.setData(Qt.ItemDataRole.UserRole, repository.name)
        self._show_status(
            f"{len(found)} repositories with GGUF files" if found else "Nothing was found; try fewer words."
        )

    def _list(self, item: QListWidgetItem | None) -> None:
        if item is None:
            return
        name, hub = str(item.data(Qt.ItemDataRole.UserRole)), Hub(self._controller.access())
        devices, folder = self._controller.devices, self._controller.folder

        def list_files() -> JudgedRepository:
            listing = hub.list_files(name)
            places = tuple(place_of(listing, choice, devices) for choice in listing.choices)
            return JudgedRepository(listing, places, disk_free(folder))

        self._show_listing(None)
        self._show_status(f"Listing {name}…")
        self._request.run(list_files, self._show_listing)

    def _show_listing(self, judged: JudgedRepository | None) -> None:
        self._judged = judged
        choices, places = (judged.listing.choices, judged.places) if judged else ((), ())
        may_fit = [place is None or place.fits for place in places]
        best = recommended(compress(choices, may_fit))
        rows, tips = [], []
        for choice, place in zip(choices, places, strict=True):
            parts = f" in {len(choice.files)} parts" if len(choice.files) > 1 else ""
            star = "★ recommended" if choice is best else ""
            rows.append((choice.label, f"{in_gib(choice.bytes)}{parts}", fit_text(place) if place else "", star))
            tips.append(place.advice if place else "")
        self.choices.show_rows(rows, tips, [choices.index(best)] if best else [])
        if judged:
            listing, name = judged.listing, judged.listing.repository.name
            page = f"{self._controller.access().endpoint}/{name}"
            gate = f" Its makers want you to agree to their terms on {page}." if listing.repository.gated else ""
            weights = f", {listing.parameters / 1e9:.3g} billion parameters" if listing.parameters else ""
            self._show_status(f"{name}{weights}. The disk has {in_gib(judged.disk_free)} free.{gate}")

    @property
    def _chosen(self) -> Quantisation | None:
        return self._judged.listing.choices[self.choices.chosen[0]] if self._judged and self.choices.chosen else None

    def _show_button(self) -> None:
        choice = self._chosen
        self.fetch.setEnabled(choice is not None)
        self.fetch.setText(f"Download {choice.label} ({in_gib(choice.bytes)})" if choice else "Download")

    def _show_status(self, text: str, role: Role = Role.MUTED) -> None:
        self.status.setText(text)
        set_role(self.status, role)


def place_of(listing: Listing, choice: Quantisation, devices: Devices | None) -> Fit | None:
    """Return how it would fit, guessed from its size."""
    if devices is None:
        return None
    return fit(estimate(rough_shape(choice.bytes, listing.parameters), LoadOptions()), devices)
