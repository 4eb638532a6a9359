"""Choose the two models: files on this machine, addresses of servers, or the demo pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PySide6.QtCore import Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QCompleter, QDialog, QFileDialog, QGridLayout, QPushButton, QWidget

from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.app.session.preferences import Preferences, known_folder
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import FileDrops, IconButton, button, label, line_edit, plain_tip, with_key
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import AUTHOR_ROLES, Role, set_role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.known_servers import KnownServers
from baton_reasoning.core.errors import ModelFileError, SettingsError
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.library import source_named, text_of
from baton_reasoning.core.models.source import DemoModel, LocalFile, ModelSource, ServerUrls, local_path, parse_source
from baton_reasoning.core.settings import DEMO_OF, ModelChoice, Settings
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import source_name
from baton_reasoning.core.words.numbers import parameter_count, short_path
from baton_reasoning.core.words.speed import speed_of_files

SOURCE_ROLE = Qt.ItemDataRole.UserRole
"""The role of a model's path or address, which the field takes."""
LIST_WIDTH = 460
"""Pixels of the list below a field, at least: names of models are long."""
LIST_EDGES = 40
"""Pixels around a name: margins and the scroll bar."""
PAUSE_MS = 700
"""A field is checked when nothing was typed for so long, and when it is left."""
MESSAGE_LINES = 2
"""Room kept below a field, so that what is said there moves no field."""


class PairDialog(QDialog):
    chosen = Signal(object)  # a ModelChoice
    failed = Signal(object)
    """A BatonError about a server's settings, for the window's notice."""

    def __init__(self, choice: ModelChoice, models: LoadedModels, preferences: Preferences, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose two models")
        self._choice = choice
        self._servers, self._costs, self._preferences = models.servers, models.costs, preferences
        self._texts: tuple[str, ...] = ()
        """What stood in the fields when they were checked last."""
        self._found = Checked({}, {}, "")
        self._loads_when_checked = self._is_typed = False
        self.edits = {
            author: line_edit(f"File or address of the {author.value} model", "Model file or server URL")
            for author in (Author.SMALL, Author.LARGE)
        }
        self.offered = QStandardItemModel(self)
        self._search = LatestTask(self, "look for models")
        self._checking = LatestTask(self, "read the headers of models")
        """In a thread: the header of a large vocabulary takes many milliseconds."""
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        """Runs while a field is typed into: half a path is not reported as wrong."""
        self._pause.timeout.connect(self._check)
        self.messages = {author: label("", Role.MUTED, wrap=True) for author in self.edits}
        self.server_buttons: dict[Author, QPushButton] = {}
        self.warning = label("", Role.DANGER, wrap=True)
        self.warning.setAccessibleName("Warning about the pair")
        self.speed = label("", Role.MUTED, wrap=True)
        self.speed.setAccessibleName("Expected speed of the pair")
        self.load = button("Load", self._take, Role.PRIMARY)
        self.load.setDefault(True)
        for said in (self.speed, self.warning):
            said.hide()
        self._lay_out()
        for press in self.findChildren(QPushButton):
            press.setAutoDefault(press is self.load)  # Enter loads, wherever the focus is
        self._check()

    def offer(self, look: Callable[[], Sequence[Path]]) -> None:
        """Offer models below the fields: recent ones at once; when `look` has them, the files on this machine too, with
        the servers that have a name."""

        def show(servers: dict[str, str], here: Sequence[Path]) -> None:
            self.offered.clear()
            offered = list(offered_models(self._preferences.value, servers, map(str, here)))
            for source, title in offered:
                item = QStandardItem(title)
                item.setData(source, SOURCE_ROLE)
                item.setToolTip(plain_tip(source))
                self.offered.appendRow(item)
            widest = max((self.fontMetrics().horizontalAdvance(title) for _, title in offered), default=0)
            for edit in self.edits.values():
                popup = edit.completer().popup()
                assert popup is not None
                popup.setMinimumWidth(max(LIST_WIDTH, widest + LIST_EDGES))

        show({}, ())
        self._search.run(lambda: (self._servers.names(), look()), lambda found: show(*found))

    def _completer(self, author: Author) -> QCompleter:
        """Complete models by any part of their path or address."""
        completer = QCompleter(self.offered, self.edits[author])
        completer.setCompletionRole(SOURCE_ROLE)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setMaxVisibleItems(12)
        popup = completer.popup()
        assert popup is not None
        popup.setAccessibleName(f"Recent and local models for the {author.value} model")
        set_role(popup, Role.MENU)
        popup.setMinimumWidth(LIST_WIDTH)
        popup.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        return completer

    def _show_offered(self, author: Author) -> None:
        """Show all models, whatever stands in the field."""
        completer = self.edits[author].completer()
        self.edits[author].setFocus()
        completer.setCompletionPrefix("")
        completer.complete()

    def exchange(self) -> None:
        small, large = self.edits.values()
        one, other = small.text(), large.text()
        small.setText(other)
        large.setText(one)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setVerticalSpacing(6)
        grid.setHorizontalSpacing(10)
        for row, author in enumerate(self.edits):
            for column, part in enumerate(self._field(author)):
                grid.addWidget(part, 2 * row, column)
            grid.addWidget(self.messages[author], 2 * row + 1, 1, 1, 4)
        buttons = hbox(
            button("Swap", self.exchange, tip="Swap the small and the large model"),
            STRETCH,
            button("Cancel", self.reject),
            self.load,
        )
        self.setLayout(vbox(grid, self.speed, self.warning, buttons, margins=(18, 16, 18, 14), spacing=14))

    def _field(self, author: Author) -> tuple[QWidget, ...]:
        """Prepare the field of a model; return it with its name and its buttons."""
        edit, message, model = self.edits[author], self.messages[author], f"{author.value} model"
        if (source := self._choice.get(author)) is not DEMO_OF[author]:  # whose field is empty
            edit.setText(text_of(source))
        edit.setMinimumWidth(240)
        edit.textEdited.connect(self._typed)  # Qt emits it before textChanged
        edit.editingFinished.connect(self._check)
        edit.textChanged.connect(partial(self._text_changed, author))
        edit.setCompleter(self._completer(author))
        FileDrops(edit).dropped.connect(lambda files: edit.setText(str(files[0])))
        message.setAlignment(Qt.AlignmentFlag.AlignTop)
        message.setMinimumHeight(MESSAGE_LINES * self.fontMetrics().lineSpacing())
        server = partial(self._set_up_server, author)
        self.server_buttons[author] = button("Server…", server, name=f"Key, test and use of the {model}'s server")
        return (
            label(f"{SIGN[author]} {model.capitalize()}", AUTHOR_ROLES[author]),
            edit,
            IconButton("chevron-down", f"Recent and local models for the {model}", partial(self._show_offered, author)),
            button("Choose…", partial(self._browse, author), name=f"Choose the file of the {model}"),
            self.server_buttons[author],
        )

    def _browse(self, author: Author) -> None:
        folder = known_folder(self._preferences.value.window.model_folder) or Path.home()
        start = self.edits[author].text() or str(folder)
        file, _ = QFileDialog.getOpenFileName(
            self, f"The {author.value} model", start, "Models (*.gguf);;All files (*)"
        )
        if file:
            self._preferences.change_window(model_folder=str(Path(file).parent))
            self.edits[author].setText(file)
            empty = next((edit for edit in self.edits.values() if not edit.text()), None)
            (empty or self.load).setFocus()

    def _typed(self) -> None:
        self._is_typed = True
        self._pause.start()

    def _text_changed(self, author: Author, _text: str) -> None:
        """Check what stands there now; what a person still types is not reported as wrong."""
        is_typed, self._is_typed = self._is_typed, False
        if is_typed:
            self._checking.cancel()
            self._texts = ()
            self.messages[author].clear()
            self.load.setEnabled(False)
        else:
            self._check()

    def _check(self) -> None:
        """Describe the files from their headers, before anything is loaded."""
        self._pause.stop()
        small, large = texts = tuple(edit.text().strip() for edit in self.edits.values())
        if texts != self._texts:
            self._texts = texts
            self.load.setEnabled(True)  # where it is pressed before the answer, `_show` goes on
            self._checking.run(partial(check, small, large, self._servers, self._costs), self._show)

    def _show(self, found: Checked) -> None:
        self._found = found
        for author, (text, is_wrong) in found.messages.items():
            self.messages[author].setText(text)
            set_role(self.messages[author], Role.DANGER if is_wrong else Role.MUTED)
        self.speed.setText(found.speed)
        self.speed.setVisible(bool(found.speed))
        self.warning.setText(f"⚠ {found.warning}")
        self.warning.setVisible(bool(found.warning))
        self.load.setEnabled(len(found.sources) == len(self.edits))
        self.load.setText("Load anyway" if found.warning else "Load")
        goes_on, self._loads_when_checked = self._loads_when_checked and not found.warning, False
        if goes_on and self.load.isEnabled():
            self._choose()

    def _set_up_server(self, author: Author) -> None:
        """Open the dialog of the server at this address."""
        from baton_reasoning.app.window.server_dialog import ServerDialog

        edit = self.edits[author]
        address = edit.text().strip() if edit.text().strip().startswith("http") else ""
        form = ServerDialog(self._servers, address, self)
        form.kept.connect(lambda _, address: edit.setText(address))
        form.failed.connect(self.failed)
        form.finished.connect(form.deleteLater)
        form.open()

    def _take(self) -> None:
        if self._checking.busy:
            self._loads_when_checked = True
        else:
            self._choose()

    def _choose(self) -> None:
        sources = {author.value: source for author, source in self._found.sources.items()}
        self.chosen.emit(self._choice.model_copy(update=sources))
        self.accept()


class Checked(NamedTuple):
    """What is known of two fields."""

    sources: dict[Author, ModelSource]
    """What the fields name; a field that is wrong or still empty is left out."""
    messages: dict[Author, tuple[str, bool]]
    """What is said of each, and whether it is wrong."""
    warning: str
    speed: str = ""


def check(small: str, large: str, servers: KnownServers, costs: ModelCosts) -> Checked:
    """Check what two fields name, of which both or none may be empty. Reads files, so call it in a thread."""
    texts, found = {Author.SMALL: small, Author.LARGE: large}, Checked({}, {}, "")
    for author, text in texts.items():
        try:
            if not text and any(texts.values()):
                found.messages[author] = (f"Choose the {author.value} model, too.", False)
                continue
            source = _source_of(text, author, servers)
            found.messages[author] = _source_text(source) if text else f"The demo's {author.value} model", False
            found.sources[author] = source
        except (ModelFileError, SettingsError) as error:
            found.messages[author] = str(error), True
    if len(found.sources) < len(texts):
        return found
    one, other = found.sources.values()
    if warning := pair_warning(one, other):
        return found._replace(warning=warning)
    if isinstance(one, LocalFile) and isinstance(other, LocalFile):
        return found._replace(speed=speed_of_files(read_header(one.path), read_header(other.path), costs))
    return found


def _source_of(text: str, author: Author, servers: KnownServers) -> ModelSource:
    """Return what a field names. Raises SettingsError, ModelFileError."""
    path = QUrl(text).toLocalFile() if text.startswith("file:") else text
    return source_named(servers.address_of(path) or path, DEMO_OF[author])


def pair_warning(small: ModelSource, large: ModelSource) -> str:
    """Return why the two models make no sensible pair, in a sentence or two; "" if nothing speaks against it.

    Files are judged by their headers. Raises ModelFileError.
    """
    for author, source, other in ((Author.SMALL, small, large), (Author.LARGE, large, small)):
        if isinstance(source, DemoModel) and not isinstance(other, DemoModel):
            return (
                f"The demo's {author.value} model solves only the demo's problems. Choose another {author.value} model."
            )
    small_file, large_file = local_path(small), local_path(large)
    if small_file is None or large_file is None:
        return ""
    fewer, more = read_header(large_file).parameters, read_header(small_file).parameters
    if fewer < more:
        sizes = f"{parameter_count(fewer)} parameters against {parameter_count(more)}"
        return f"The large model is smaller than the small one ({sizes}). “Swap” exchanges them."
    return ""


def _source_text(source: ModelSource) -> str:
    """Describe the source without loading it. Raises ModelFileError."""
    if isinstance(source, ServerUrls):
        return "A server. Its key, a test, prices and caps are behind “Server…”."
    if (path := local_path(source)) is None:
        raise ModelFileError(
            f"{source} is on the Hub.", f"Download it on the {with_key('Models page', 'Ctrl+3')}, then choose it."
        )
    header = read_header(path)
    return f"{header.name or path.stem} · {header.architecture} · {header.quantisation}"


def offered_models(chosen: Settings, servers: dict[str, str], here: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each model once, with its title: in use, recent, on a server that has a name, on this machine.

    `servers`: names by address; `here`: paths.
    """
    models = chosen.models
    in_use = [str(source) for source in (models.small, models.large) if not isinstance(source, DemoModel)]
    recent = [model for pair in chosen.window.recent_pairs for model in pair]
    for text in dict.fromkeys((*in_use, *recent, *servers, *here)):
        source = parse_source(text)
        folder = short_path(source.path.parent) if isinstance(source, LocalFile) else ""
        yield text_of(source), " · ".join(filter(None, (servers.get(text, ""), source_name(source), folder)))
