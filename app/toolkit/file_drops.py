"""Takes files that are dropped on a widget, and frames it while they are over it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QFrame, QWidget

from baton_reasoning.app.toolkit.theme import Role, set_role


class FileDrops(QObject):
    """Watches a widget. A drag without local files is left to it."""

    dropped = Signal(list)
    """The paths of the local files and folders; at least one."""

    def __init__(self, target: QWidget) -> None:
        super().__init__(target)
        self._target = target
        self.frame = QFrame(target)
        set_role(self.frame, Role.DROP)
        self.frame.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.frame.hide()
        target.setAcceptDrops(True)
        target.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QDropEvent):  # so is every event of a drag that enters or moves
            files = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
            if not files:
                return super().eventFilter(watched, event)
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            is_over = isinstance(event, QDragEnterEvent | QDragMoveEvent)
            self._show_frame(is_over)
            if not is_over:
                self.dropped.emit(files)
            return True
        if event.type() is QEvent.Type.DragLeave:
            self._show_frame(False)
        return super().eventFilter(watched, event)

    def _show_frame(self, shown: bool) -> None:
        self.frame.setGeometry(self._target.rect())
        self.frame.setVisible(shown)
        self.frame.raise_()
