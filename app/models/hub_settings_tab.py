"""Where models are kept and how the Hub is reached: folders, mirror, offline, token."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QCheckBox, QFileDialog, QFormLayout, QLineEdit, QWidget

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.toolkit.controls import ElidedLabel, IconButton, button, label, line_edit
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.preferences import ENDPOINT
from baton_reasoning.core.words.numbers import short_path

OTHERS = "Models of Ollama, LM Studio, llama.cpp and the Hugging Face cache are found as well."


class HubSettingsTab(QWidget):
    def __init__(self, controller: ModelsController) -> None:
        super().__init__()
        self._controller = controller
        self._folder = ElidedLabel()
        self._rows = vbox(margins=0)
        self.folders = holder(self._rows)
        self.mirror = line_edit("Address of the Hub or of a mirror", ENDPOINT)
        self.mirror.editingFinished.connect(self._take_mirror)
        self.token = line_edit("Access token", "hf_… (for gated and private models)")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.returnPressed.connect(self._take_token)
        self.status = label("", Role.MUTED)
        self.offline = QCheckBox("Offline: never ask the Hub")
        self.offline.toggled.connect(lambda on: controller.change(offline=on))
        form = QFormLayout()
        form.addRow("Downloads go to", _beside(self._folder, button("Change…", self._choose_folder)))
        form.addRow("Also looked into", _beside(self.folders, button("Add a folder…", self._add_folder)))
        form.addRow("", label(OTHERS, Role.MUTED, wrap=True))
        form.addRow("Hub", self.mirror)
        form.addRow("Token", _beside(self.token, button("Save", self._take_token)))
        form.addRow("", self.status)
        form.addRow("", self.offline)
        self.setLayout(vbox(form, STRETCH))
        controller.preferences_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        preferences = self._controller.preferences
        self._folder.setText(short_path(self._controller.folder))
        self._show_folders(preferences.added)
        self.mirror.setText("" if preferences.endpoint == ENDPOINT else preferences.endpoint)
        self.offline.setChecked(preferences.offline)

    def _show_folders(self, folders: tuple[Path, ...]) -> None:
        while (item := self._rows.takeAt(0)) is not None:
            if (row := item.widget()) is not None:
                row.hide()
                row.deleteLater()
        for folder in folders:
            name = ElidedLabel(short_path(folder))
            forget = IconButton("close", f"Look no more into {short_path(folder)}", partial(self._forget, folder))
            self._rows.addWidget(_beside(name, forget))
        if not folders:
            self._rows.addWidget(label("nothing else", Role.MUTED))

    def _forget(self, folder: Path) -> None:
        """Look no more into a folder; its files stay where they are."""
        others = tuple(other for other in self._controller.preferences.added if other != folder)
        self._controller.change(added=others)
        self._controller.refresh()

    def _take_mirror(self) -> None:
        address = self.mirror.text().strip().rstrip("/") or ENDPOINT
        if "://" not in address:
            address = f"https://{address}"
        self._controller.change(endpoint=address)

    def _take_token(self) -> None:
        try:
            kept = self._controller.keep_token(self.token.text().strip())
        except SettingsError as error:
            self.status.setText(f"✗ {error}")
            return
        self.token.clear()
        self.status.setText(f"The token is {kept}.")

    def _choose_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Keep models in", str(self._controller.folder)):
            self._controller.change(folder=Path(folder))
            self._controller.refresh()

    def _add_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Look for models in", str(Path.home())):
            self._controller.add([Path(folder)])


def _beside(wide: QWidget, narrow: QWidget) -> QWidget:
    return holder(hbox((wide, 1), narrow, margins=0))
