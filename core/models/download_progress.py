"""How far a download is, how fast it goes, and how long it will take."""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple


class Stage(Enum):
    DOWNLOADING = auto()
    WAITING = auto()
    """For the server, or for the connection to come back."""
    CHECKING = auto()


class Progress(NamedTuple):
    """How far an order is. `done` and `total` in bytes of the stage, all files together; speed in bytes a second."""

    stage: Stage
    done: int
    total: int
    speed: float = 0.0
    note: str = ""
    """Why it is waiting."""

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.done) / self.speed if self.speed > 0 else None


class Meter:
    """Counts bytes, and how fast they came in the last seconds."""

    WINDOW = 5.0  # seconds

    def __init__(self, total: int, done: int, clock: Callable[[], float]) -> None:
        self.total = total
        self.done = done
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque([(clock(), done)])

    def advance(self, size: int) -> Progress:
        self.done += size
        now = self._clock()
        self._marks.append((now, self.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > self.WINDOW:
            self._marks.popleft()
        since, before = self._marks[0]
        speed = (self.done - before) / (now - since) if now > since else 0.0
        return Progress(Stage.DOWNLOADING, self.done, self.total, speed)

    def set_back(self, size: int) -> None:
        """So many bytes have to come again."""
        if size:
            self.done -= size
            self._marks = deque([(self._clock(), self.done)])
