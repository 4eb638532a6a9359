"""Typesets formulas in a background task, so that the window only has to place them.

A formula takes 3 to 20 ms the first time; a step may hold ten of them.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence

from PySide6.QtCore import QObject
from shiboken6 import isValid

from baton_reasoning.app.document.formulas import Formula, lift_formulas
from baton_reasoning.app.document.typeset import typeset
from baton_reasoning.app.toolkit.background import StreamTask

Ready = Callable[[], None]


class Typesetter(QObject):
    """Typesets the formulas of texts, and calls back in the main thread; at once if a text has none."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs: queue.SimpleQueue[tuple[Sequence[Formula], float, Ready] | None] = queue.SimpleQueue()
        self._started = False

    def prepare(self, markdown: str, formula_size: float, ready: Ready, owner: QObject) -> None:
        """Call `ready` when the formulas are set, unless its owner was deleted."""
        formulas = lift_formulas(markdown).formulas
        if not formulas:
            ready()
            return
        if not self._started:
            self._started = True
            StreamTask(self, "typeset formulas", self._work, cancel=lambda: self._jobs.put(None)).items(
                _call_all
            ).start()
        self._jobs.put((formulas, formula_size, lambda: ready() if isValid(owner) else None))

    def _work(self) -> Iterator[Ready]:
        while (job := self._jobs.get()) is not None:
            formulas, size, ready = job
            for formula in formulas:
                typeset(formula.latex, formula.display, size)  # which is cached
            yield ready


def _call_all(ready: list[Ready]) -> None:
    for call in ready:
        call()
