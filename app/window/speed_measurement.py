"""Measures what the loaded models cost, once for each way of loading a file, so that speeds can be predicted."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.app.toolkit.background import BackgroundTask
from baton_reasoning.core.thinking.interruptions import Control


class SpeedMeasurement(QObject):
    """Measures a pair in a thread when it has been loaded, unless an answer begins: that goes first.

    What was not measured is measured when the pair is loaded the next time. After an answer it would push the
    conversation out of the models' caches.
    """

    measured = Signal()

    def __init__(self, models: LoadedModels, parent: QObject) -> None:
        super().__init__(parent)
        self._models = models
        self._control = Control()
        models.ready.connect(self._begin)
        for needed in (models.writing_began, models.changed):  # for an answer, or to be closed
            needed.connect(lambda: self._control.stop())

    def _begin(self) -> None:
        costs, pair = self._models.costs, self._models.pair
        if not self._models.is_writing and costs.unmeasured(pair):
            self._control = control = Control()
            measure = partial(costs.measure, pair, control.attach)
            task = BackgroundTask(self, "measure models", measure, cancel=control.stop)
            task.success(lambda _: self.measured.emit()).start()
