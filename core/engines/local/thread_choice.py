"""Chooses with how many threads to decode: all, or fewer while other programs keep cores busy.

The threads of a decode meet at hundreds of barriers, so one that shares its core with another program holds up all.
How many are fastest is found by trying: now and then a few decodes run with another number, which stays if they were
faster than the usual ones of as many tokens.
"""

from __future__ import annotations

from collections import deque
from statistics import median

COST = 0.01
"""Share of the time that trials may take: after one that was slow, the next one waits for so long."""
TRIAL = 5
"""Decodes of a trial: beside others the times of single ones differ by a factor of two."""
GAIN = 0.97
"""Another number of threads is taken if its decodes take at most so much of the usual time."""
GAIN_OF_MORE = 0.3
"""More threads have to gain this part of what they could: beside others they are often fast at first, and then slow."""
HOPELESS = 1.3
"""A decode that takes so many times the usual one ends a trial at once."""
SLOWER, SLOW_DECODES = 1.25, 4
"""So many decodes in a row that take so many times the usual one: a program has come, which calls for a trial."""
SHORTEST_PAUSE, LONGEST_PAUSE = 16, 200
"""Decodes between two trials."""
REMEMBERED = 32
FEWEST = 3
"""Decodes of as many tokens that make a usual time."""
LARGE = 64
"""Decodes of so many tokens, which read a text, are few and long: they use what was found by others."""


class ThreadChoice:
    """`threads` is the number for the next decode, at most `most`."""

    def __init__(self, most: int) -> None:
        self.threads = most
        self._most = most
        self._settled = most
        """The number outside trials."""
        self._recent: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        """Tokens and seconds of decodes with that number."""
        self._slow = 0
        """The last decodes that were slow, in a row."""
        self._is_alarmed = False
        """Whether decodes have become slow since the last trial."""
        self._alarms = 0
        """Trials for that reason in a row: each waits for twice as many decodes, since there may be noise only."""
        self._ratios: list[float] = []
        """The seconds of each decode of the trial / the usual ones."""
        self._since_trial = 0
        self._pause = float(SHORTEST_PAUSE)
        self._lost = 0
        """Trials lost: the next one tries another candidate, while one that gained goes on in its direction."""

    def record(self, tokens: int, seconds: float) -> None:
        """Take in what a decode of so many tokens with `threads` took."""
        if tokens >= LARGE or self._most == 1:
            return
        usual = self._usual_seconds(tokens)
        if self.threads != self._settled:
            self._record_trial(seconds / usual if usual else None)
            return
        self._recent.append((tokens, seconds))
        self._since_trial += 1
        if usual:
            self._slow = self._slow + 1 if seconds > SLOWER * usual else 0
            if self._slow >= SLOW_DECODES:  # what was usual before is so no longer
                self._pause, self._slow = min(self._pause, SHORTEST_PAUSE << self._alarms), 0
                self._is_alarmed = True
                self._recent = deque(list(self._recent)[-SLOW_DECODES:], REMEMBERED)
            if self._since_trial >= self._pause:
                self._alarms = self._alarms + 1 if self._is_alarmed else 0
                self.threads = self._candidate()

    def _usual_seconds(self, tokens: int) -> float | None:
        """The median of recent decodes of as many tokens; None if there are too few."""
        seconds = [taken for count, taken in self._recent if count == tokens]
        return median(seconds) if len(seconds) >= FEWEST else None

    def _candidate(self) -> int:
        now = self._settled
        candidates = (self._most, now - 1, now + 1, now // 2)
        turns = [candidates[(self._lost + turn) % len(candidates)] for turn in range(len(candidates))]
        return next(count for count in turns if 1 <= count <= self._most and count != now)

    def _needed(self) -> float:
        """Return which part of the usual time the decodes of the trial may take."""
        return min(GAIN, 1 - GAIN_OF_MORE * (1 - self._settled / self.threads))

    def _record_trial(self, ratio: float | None) -> None:
        """End the trial if it is decided; `ratio` is None if there is nothing to compare its last decode with."""
        if ratio is not None:
            self._ratios.append(ratio)
            if len(self._ratios) < TRIAL and ratio < HOPELESS:
                return
        if len(self._ratios) == TRIAL and median(self._ratios) <= self._needed():
            self._settled, self._alarms, self._pause = self.threads, 0, SHORTEST_PAUSE
            self._recent.clear()
        else:
            lost = sum(each - 1 for each in self._ratios)
            self._pause = min(max(lost / COST, SHORTEST_PAUSE), LONGEST_PAUSE)
            self._lost += 1
        self.threads, self._ratios, self._since_trial = self._settled, [], 0
        self._slow, self._is_alarmed = 0, False
