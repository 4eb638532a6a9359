"""Pairs for this machine in one table; the chosen one, at first the recommended, on a card above it."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.models.downloads import Downloads
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import button, label, scrolling
from baton_reasoning.app.toolkit.layout import STRETCH, flowing, hbox, holder, vbox
from baton_reasoning.app.toolkit.tables import RowTable
from baton_reasoning.app.toolkit.theme import AUTHOR_ROLES, Role, set_role
from baton_reasoning.core.diagnosis import Check, State, gpu_checks
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, SettingsError
from baton_reasoning.core.model_costs import USUAL_SHARE
from baton_reasoning.core.models.catalog import USUAL_CONTEXT, PublishedResult
from baton_reasoning.core.models.devices import Devices, disk_free
from baton_reasoning.core.models.download import DownloadManifest
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.pairs import USUAL_ANSWER, JudgedPair, PairKind, judge_pairs, recommended
from baton_reasoning.core.table import NOTHING, columns_of
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.numbers import rough_duration

EVIDENCE = {
    PublishedResult.PAPER: "Measured in the paper.",
    PublishedResult.REBUTTAL: "Measured in the paper's discussion.",
    PublishedResult.UNTESTED: "No published benchmarks.",
}
COLUMNS = columns_of(("Pair", f"{USUAL_ANSWER:,} tokens", "Download", "Memory", "Time"))
CAPTIONS = (f"for {USUAL_ANSWER:,} tokens", "to download", "of memory", "of the time of the large model alone")
TITLES = {
    PairKind.FILES: "Fits this machine",
    PairKind.DEMO: "To see how it works",
    PairKind.SERVER: "With your server",
}
UNCHECKED = " Names and sizes have not been checked against the Hub."
NOTES = (
    f"The fastest first: by an answer of {USUAL_ANSWER:,} tokens, of which the large model writes {USUAL_SHARE:.0%}. "
    f"Memory: with a context of {USUAL_CONTEXT:,} tokens. Time: of the large model alone. ≈ is estimated from the "
    "sizes of the files, until the models have run here."
)


class Machine(NamedTuple):
    """This machine, and which pairs it could hold."""

    devices: Devices
    disk_free: int
    pairs: tuple[JudgedPair, ...]
    gpu_checks: tuple[Check, ...]
    """What `baton doctor` says about GPUs."""
    trouble: str
    """Why the known servers are missing; empty if they are not."""


class PairsTab(QWidget):
    def __init__(self, controller: ModelsController, downloads: Downloads) -> None:
        super().__init__()
        self._controller = controller
        self._downloads = downloads
        self._manifests = LatestTask(self, "ask the Hub", self._show_error)
        self._judging = LatestTask(self, "judge pairs", self._show_error)
        self._pairs: tuple[JudgedPair, ...] = ()
        self._best: JudgedPair | None = None
        self._wanted: tuple[str, str] | None = None
        """The key of what is being downloaded to be used."""
        self.heading = label("Looking at this machine…", Role.HEADING)
        self.names = {author: label("", Role.TITLE) for author in AUTHOR_ROLES}
        self.about = label("", wrap=True)
        self.figures = [(label("", Role.TITLE), label("", Role.MUTED)) for _ in COLUMNS[1:]]
        self.press = button("", self._press, Role.PRIMARY)
        self.status = label("", Role.MUTED, wrap=True)
        self.machine = label("", Role.MUTED, wrap=True)
        self.warnings = label("", Role.DANGER, wrap=True, selectable=True)
        self.warnings.setAccessibleName("What this installation cannot use")
        self.warnings.hide()
        self.table = RowTable("Pairs that fit this machine", COLUMNS, shows_all=True)
        self.table.chosen_changed.connect(self._show_chosen)
        self._card = self._make_card()
        self._others = holder(vbox(self.table, label(NOTES, Role.MUTED, wrap=True), margins=0))
        server = button("Connect to a server…", controller.actions.connect_server)
        about = vbox(label("Pairs that fit this machine", Role.HEADING), self.machine, spacing=2)
        head = hbox((about, 1), server)
        column = vbox(self._card, self.warnings, head, self._others, STRETCH, margins=(0, 10, 0, 0), spacing=12)
        self.setLayout(vbox(scrolling(holder(column)), margins=0))
        controller.devices_found.connect(self.refresh)
        controller.inventory_changed.connect(self.refresh)
        controller.loaded_changed.connect(self._show_chosen)
        controller.loaded_changed.connect(self.refresh)  # a server may be new
        downloads.changed.connect(self._show_chosen)
        downloads.stopped.connect(self._forget_wanted)
        self._show_chosen()
        self.refresh()

    def refresh(self) -> None:
        """Judge the pairs by what the machine has now; in a thread, since that reads files."""
        controller, devices, folder = self._controller, self._controller.devices, self._controller.folder
        models = controller.inventory.models
        if devices is None or not controller.has_scanned:  # before, all files seem to be missing
            return

        def judge() -> Machine:
            free, servers, trouble = disk_free(folder), dict[str, str](), ""
            try:
                servers = controller.servers.titles()
            except SettingsError as error:
                trouble = str(error)
            pairs = judge_pairs(devices, free, models, controller.costs, controller.demo_files, servers)
            return Machine(devices, free, pairs, tuple(gpu_checks(devices)), trouble)

        self._judging.run(judge, self._show)

    def showEvent(self, event: QShowEvent) -> None:
        """Judge again: models may have been measured meanwhile."""
        super().showEvent(event)
        self.refresh()

    # -----------------------------------------------------------------------------------------------------------------

    def _make_card(self) -> QWidget:
        signs = vbox(*(label(SIGN[author], role) for author, role in AUTHOR_ROLES.items()), spacing=2)
        names = holder(hbox(signs, (vbox(*self.names.values(), spacing=2), 1), margins=0, spacing=8))
        numbers = flowing(*(holder(vbox(*figure, margins=0, spacing=2)) for figure in self.figures), gap=28)
        self._of_pair = (names, numbers, self.press)
        action = hbox(self.press, (self.status, 1), spacing=12)
        column = vbox(self.heading, names, self.about, numbers, action, margins=(20, 16, 20, 16), spacing=12)
        return holder(column, Role.CARD)

    def _show(self, machine: Machine) -> None:
        chosen = self._chosen.key if self._chosen else None
        self._pairs = machine.pairs
        self._best = recommended(machine.pairs)
        gpus = [f"{gpu.description} with {in_gib(gpu.free_bytes)} free" for gpu in machine.devices.gpus]
        ram = f"RAM {in_gib(machine.devices.ram_free)} free of {in_gib(machine.devices.ram_total)}"
        self.machine.setText(" · ".join((ram, *gpus, f"disk {in_gib(machine.disk_free)} free")))
        bad = [check for check in machine.gpu_checks if check.state is not State.GOOD]
        warnings = [f"{check.subject}: {check.finding} {check.remedy}" for check in bad]
        warnings += [machine.trouble] if machine.trouble else []
        self.warnings.setText("\n".join(f"⚠ {warning}" for warning in warnings))
        self.warnings.setVisible(bool(warnings))
        self.heading.setText("There is no pair to recommend here")
        self.about.setText("Search the Hub for smaller models, or connect to a server.")
        tips = [purpose_of(each) for each in self._pairs]
        kept = [row for row, each in enumerate(self._pairs) if each.key == chosen]
        best = [row for row, each in enumerate(self._pairs) if each is self._best]
        self.table.show_rows([self._cells(each) for each in self._pairs], tips, kept or best)
        self._others.setVisible(bool(self._pairs))
        self._use_wanted()

    def _cells(self, judged: JudgedPair) -> tuple[str, ...]:
        star = "★ " if judged is self._best else ""
        return f"{star}{judged.name}", *figures_of(judged)

    @property
    def _chosen(self) -> JudgedPair | None:
        return self._pairs[self.table.chosen[0]] if self.table.chosen else None

    def _show_chosen(self) -> None:
        judged = self._chosen
        for part in self._of_pair:
            part.setVisible(judged is not None)
        if judged is None:
            return
        self.heading.setText("★ Recommended for this machine" if judged is self._best else TITLES[judged.kind])
        for author, model in ((Author.SMALL, judged.small), (Author.LARGE, judged.large)):
            self.names[author].setText(model.name)
        licences = ", ".join(dict.fromkeys(filter(None, (judged.small.licence, judged.large.licence))))
        unchecked = "" if all(model.is_checked for model in judged.missing) else UNCHECKED
        self.about.setText(f"{purpose_of(judged)}{f' Licence: {licences}.' if licences else ''}{unchecked}")
        for (value, caption), figure, text in zip(self.figures, figures_of(judged), CAPTIONS, strict=True):
            value.setText(figure.replace("≈", "about"))
            caption.setText(f"{text}, estimated" if figure.startswith("≈") else text)
            both = value.parentWidget()
            assert both
            both.setVisible(figure not in (NOTHING, judged.kind.value))
        self._show_action(judged)

    def _show_action(self, judged: JudgedPair) -> None:
        """Say what the button does for this pair, or why it can do nothing."""
        getting = any(self._downloads.is_getting(model.file) for model in judged.missing)
        in_use = all(self._controller.is_in_use(model.source) for model in (judged.small, judged.large))
        if in_use:
            text = "✓ In use"
        elif not judged.missing:
            text = "Use this pair"
        else:
            text = "Downloading…" if getting else f"Get and use it ({in_gib(judged.download_bytes)})"
        self.press.setText(text)
        self.press.setAccessibleName(f"{text}: {judged.name}")
        self.press.setEnabled(not (in_use or getting))
        if judged.disk_lacks:
            self._show_status("✗ The disk has not enough room for it.", Role.DANGER)
        elif self._wanted and getting:
            self._show_status("The pair is used as soon as both files are here.")
        elif not self._manifests.busy:
            self._show_status("")

    def _press(self) -> None:
        judged = self._chosen
        if judged and judged.missing:
            self._get(judged)
        elif judged:
            self._controller.use_pair(judged.small.source, judged.large.source)

    def _get(self, judged: JudgedPair) -> None:
        """Download what is missing; `_use_wanted` loads the pair when all is here."""
        access, folder, missing = self._controller.access(), self._controller.folder, judged.missing
        self._wanted = judged.key
        self._show_status("Asking the Hub for sizes and hashes…")

        def ask() -> list[DownloadManifest]:
            hub = Hub(access)
            return [hub.manifest(model.hub_file, folder) for model in missing]

        self._manifests.run(ask, self._begin)

    def _begin(self, orders: list[DownloadManifest]) -> None:
        for order in orders:
            self._downloads.begin(order)

    def _use_wanted(self) -> None:
        """Load the pair that was downloaded to be used, without leaving the page."""
        judged = next((each for each in self._pairs if each.key == self._wanted), None)
        if judged and not judged.missing:
            self._wanted = None
            self._controller.actions.use_pair(judged.small.source, judged.large.source)

    def _forget_wanted(self) -> None:
        self._wanted = None

    def _show_error(self, error: BatonError) -> None:
        self._wanted = None
        self._show_status(f"✗ {error}", Role.DANGER)

    def _show_status(self, text: str, role: Role = Role.MUTED) -> None:
        self.status.setText(text)
        set_role(self.status, role)


def purpose_of(judged: JudgedPair) -> str:
    """Return what a pair is good for, and who has shown that."""
    return f"{judged.good_for} {EVIDENCE[judged.evidence]}" if judged.evidence else judged.good_for


def figures_of(judged: JudgedPair) -> tuple[str, str, str, str]:
    """Return an answer's time, where the pair is, memory, and time beside the large model alone; ≈ if estimated."""
    rough = "" if judged.is_measured else "≈ "
    answer = f"{rough}{rough_duration(judged.answer_seconds)}" if judged.answer_seconds else NOTHING
    return answer, judged.place, in_gib(judged.memory), f"{rough}{judged.time:.0%}" if judged.time else NOTHING
