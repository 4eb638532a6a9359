"""Slows down the answers of a window, so that something can happen while they are written."""

import time
from collections.abc import Iterator
from typing import Any

from baton_reasoning.app.session import run_queue
from baton_reasoning.core.run import run
from baton_reasoning.core.thinking.events import Event, TokenWritten


class SlowAnswers:
    """Waits before each token of the answers that are begun once `begin` was called."""

    def __init__(self, tokens_per_second: float = 0) -> None:
        """0 is as fast as it goes."""
        self.tokens_per_second = tokens_per_second

    def begin(self) -> None:
        vars(run_queue)["run_models"] = self._run

    def end(self) -> None:
        vars(run_queue)["run_models"] = run

    def _run(self, *arguments: Any, **options: Any) -> Iterator[Event]:
        for event in run(*arguments, **options):
            if self.tokens_per_second and isinstance(event, TokenWritten):
                time.sleep(1 / self.tokens_per_second)
            yield event
