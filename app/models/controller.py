"""What the parts of the Models page share: the files here, the machine, the choices; found out in threads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.background import BackgroundTask, LatestTask
from baton_reasoning.core.demo_pair.costly import DemoFiles
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.known_servers import KnownServers
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models.devices import Devices, find_devices
from baton_reasoning.core.models.fit import Fit, estimate, fit, fit_with_layers, in_gib
from baton_reasoning.core.models.library import BrokenFile, Inventory, LocalModel, known_folders, move_to_trash, scan
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.preferences import (
    TOKEN,
    HubAccess,
    ModelPreferences,
    load_preferences,
    save_preferences,
)
from baton_reasoning.core.models.source import DEMO_FOLDER, LocalFile, ModelSource, local_path, parse_source
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.secrets import Secrets

LibraryEntry = LocalModel | BrokenFile
"""A row of the table of files."""


class ModelsActions(WindowActions, Protocol):
    """What the Models page asks of the window."""

    def use_model(self, author: Author, source: ModelSource) -> None:
        """Load this model beside the other one in use."""

    def use_pair(self, small: ModelSource, large: ModelSource) -> None:
        """Load these two models."""


class ModelsController(QObject):
    inventory_changed = Signal()
    devices_found = Signal()
    preferences_changed = Signal()
    loaded_changed = Signal()
    pair_used = Signal()
    """A person has pressed a button to use two models: the work goes on in the chat."""

    def __init__(
        self,
        paths: Paths,
        secrets: Secrets,
        actions: ModelsActions,
        settings: Preferences,
        costs: ModelCosts,
        servers: KnownServers,
        *,
        home: Path | None = None,
        parent: QObject | None = None,
    ) -> None:
        """`home` replaces the user's own in tests."""
        super().__init__(parent)
        self.actions = actions
        self.costs = costs
        self.servers = servers
        self._paths = paths
        self._secrets = secrets
        self._settings = settings
        self._home = home
        self.inventory = Inventory((), ())
        self.has_scanned = False
        """Whether the folders have been looked at."""
        self.loaded: Mapping[Path, ModelCard] = {}
        """The models that are loaded now, and how they really were."""
        self.devices: Devices | None = None
        """None until the machine has answered."""
        self.preferences = load_preferences(paths.model_preferences)
        self._scanning = LatestTask(self, "look for models", actions.show_error)
        self._machine = LatestTask(self, "look at the machine", actions.show_error)

    @property
    def demo_files(self) -> DemoFiles:
        """The demo pair as it is loaded here. Reads files."""
        return DemoFiles(self._paths.demo_pair)

    @property
    def folder(self) -> Path:
        """Where downloads go."""
        return self.preferences.folder or self._paths.models

    def refresh(self) -> None:
        """Look at the folders again, and at the machine once."""
        recent = (parse_source(model) for pair in self._settings.value.window.recent_pairs for model in pair)
        used = (source.path for source in recent if isinstance(source, LocalFile))  # wherever they lie
        chosen = tuple(dict.fromkeys((*self.preferences.added, *used)))
        folders = known_folders(self.folder, chosen, built_in=(DEMO_FOLDER,), home=self._home)
        self._scanning.run(partial(scan, folders), self._show)
        if self.devices is None:
            self._machine.run(find_devices, self._show_devices)

    def change(self, **fields: Any) -> None:
        self.replace(self.preferences.model_copy(update=fields))

    def replace(self, preferences: ModelPreferences) -> None:
        """Use and save other choices."""
        if preferences == self.preferences:
            return
        self.preferences = preferences
        try:
            save_preferences(preferences, self._paths.model_preferences)
        except BatonError as error:
            self.actions.show_error(error)
        self.preferences_changed.emit()

    @property
    def usual_loading(self) -> LoadOptions:
        """How a model is loaded for which a person has chosen nothing."""
        return self._settings.value.models.load_options

    def loading_of(self, model: Path) -> LoadOptions:
        return self.preferences.loading_of(model) or self.usual_loading

    def show_loaded(self, loaded: Mapping[Path, ModelCard]) -> None:
        if loaded != self.loaded:  # loading says how far it is a hundred times
            self.loaded = loaded
            self.loaded_changed.emit()
            if self.has_scanned and not {model.header.path for model in self.inventory.models} >= {*loaded}:
                self.refresh()  # one of them was loaded by its path

    def add(self, paths: list[Path]) -> None:
        """Look at these files and folders from now on, where they lie."""
        self.change(added=tuple(dict.fromkeys((*self.preferences.added, *paths))))
        self.refresh()

    def delete(self, model: LocalModel) -> None:
        """Move a model to the system's trash; in a thread, since between disks its bytes may be copied."""
        name, freed = model.header.path.name, in_gib(model.header.file_bytes)
        task = BackgroundTask(self, "move a model to the trash", lambda: move_to_trash(model))
        task.success(lambda _: self.actions.say(f"{name} is in the system's trash; emptying it frees {freed}."))
        task.failure(self.actions.show_error).done(lambda _: self.refresh()).start()

    def is_in_use(self, model: ModelSource) -> bool:
        """Tell whether a file is loaded, or a server is chosen."""
        chosen, path = self._settings.value.models, local_path(model)
        return path in self.loaded if path else model in (chosen.small, chosen.large)

    def use_pair(self, small: ModelSource, large: ModelSource) -> None:
        self.actions.use_pair(small, large)
        self.pair_used.emit()

    def access(self) -> HubAccess:
        return self.preferences.access(self._secrets.find(TOKEN))

    def keep_token(self, token: str) -> str:
        """Keep or forget (“”) the Hub's token; says for how long it is kept."""
        if not token:
            self._secrets.forget(TOKEN)
            return "forgotten"
        return self._secrets.keep(TOKEN, token).value

    def _show(self, inventory: Inventory) -> None:
        self.inventory, self.has_scanned = inventory, True
        self.inventory_changed.emit()

    def _show_devices(self, devices: Devices) -> None:
        self.devices = devices
        self.devices_found.emit()


def place(model: LocalModel, choice: LoadOptions, devices: Devices) -> Fit:
    """Where the model would lie, loaded as a person chose."""
    needs = estimate(model.header, choice)
    if choice.gpu_layers >= 0:
        return fit_with_layers(needs, devices, choice.gpu_layers)
    return fit(needs, devices)
