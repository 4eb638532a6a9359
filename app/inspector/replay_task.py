"""A replay beside the main thread: one at a time, the newest request wins, and takeovers arrive as they come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.shared.background import StreamTask
from baton_reasoning.app.shared.steps.ribbon_follower import segment_of
from baton_reasoning.app.shared.timer import single_shot_timer
from baton_reasoning.app.shared.widgets.ribbon import RibbonLayout, RibbonSegment
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.cues import Lexicon
from baton_reasoning.core.thinking.events import Event
from baton_reasoning.core.thinking.policy import Policy, PolicyContext
from baton_reasoning.core.thinking.registry import POLICIES, make_policy
from baton_reasoning.core.thinking.replay.recording import Recording, Takeover
from baton_reasoning.core.thinking.replay.replay import (
    Place,
    PlaceKind,
    Replay,
    compare,
    recordings_of,
    remarks,
    stretches,
)
from baton_reasoning.core.thinking.trace import Trace

SOON_MS = 60
"""A value that is being turned changes many times; the replay waits for so long a rest."""


class ReplayRequest(NamedTuple):
    trace: Trace
    settings: RunSettings
    lexicon: Lexicon


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """So far, or to the end: then with the ribbon as it would be. All that is shown is worked out here, in the thread,
    since there may be tens of thousands of places."""

    trace: Trace
    """The recorded run."""
    places: Sequence[Place] | None
    """None if the policy decides on the whole answer, so that there is nothing to compare."""
    segments: list[RibbonSegment]
    layout: RibbonLayout
    positions: list[int]
    """Where each segment begins in the text."""
    marks: Mapping[PlaceKind, list[float]]
    """Where the places of each kind lie along the text, 0 to 1, in order."""
    remarks: Sequence[str]
    is_whole: bool


class ReplayTask(QObject):
    changed = Signal(object)
    """A ReplayOutcome."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._request: ReplayRequest | None = None
        self._replay: Replay | None = None
        self._task: StreamTask[ReplayOutcome] | None = None
        self._read: tuple[Trace | None, int, list[Recording]] = (None, 0, [])
        """The last trace that was read, how many events of it, and what came of them."""
        self._soon = single_shot_timer(self, SOON_MS, self._begin)

    @property
    def busy(self) -> bool:
        return self._soon.isActive() or self._task is not None

    def want(self, request: ReplayRequest) -> None:
        self._request = request
        self._soon.start()

    def _begin(self) -> None:
        if self._task:
            self._stop()  # what is wanted now begins when it has ended
            return
        request, self._request = self._request, None
        if request is None or not request.trace.events:
            return
        events = tuple(request.trace.events)
        task = StreamTask(self, "replay", lambda: self._work(request, events), cancel=self._stop)
        task.items(lambda outcomes: self.changed.emit(outcomes[-1]))
        self._task = task.done(self._ended).start()

    def _stop(self) -> None:
        if self._replay:
            self._replay.stop()

    def _ended(self, _error: BatonError | None) -> None:
        self._task = self._replay = None
        if self._request:
            self._begin()

    def _work(self, request: ReplayRequest, events: Sequence[Event]) -> Iterator[ReplayOutcome]:
        """Replay the run. Runs in a thread."""
        trace, settings = request.trace, request.settings
        if self._read[:2] != (trace, len(events)):
            self._read = trace, len(events), recordings_of(events)
        recordings = self._read[2]

        def make() -> Policy:
            return make_policy(settings.policy, PolicyContext(settings.seed, request.lexicon))

        if self._request:
            return  # another one is wanted already
        replay = self._replay = Replay(recordings, make, settings.limits)
        recorded = [took for recording in recordings for took in recording.takeovers]
        policy = POLICIES.of(settings.policy)
        notes = remarks(trace, policy)
        if policy.answers_again:
            yield ReplayOutcome(trace, None, [], RibbonLayout([]), [], {}, notes, is_whole=True)
            return
        replayed: list[Takeover] = []
        shown = 1
        for took in replay.takeovers():
            replayed.append(took)
            if len(replayed) == 2 * shown:  # so that a long answer costs twice a short one, not its square
                shown = len(replayed)
                yield outcome(trace, recorded, replayed, notes, default_writer=policy.default_writer)
        if not replay.stopped:
            notes = [*notes, *replay.remarks()]
            yield outcome(trace, recorded, replayed, notes, is_whole=True, default_writer=policy.default_writer)


def outcome(
    trace: Trace,
    recorded: Sequence[Takeover],
    replayed: Sequence[Takeover],
    notes: Sequence[str],
    is_whole: bool = False,
    default_writer: Author = Author.SMALL,
) -> ReplayOutcome:
    """Return what to show of a replay: before its end, only of the text that it has passed.

    `default_writer`: of the policy that is replayed.
    """
    passed = recorded if is_whole else [took for took in recorded if took.start <= replayed[-1].start]
    places = compare(passed, replayed)
    drawn = replayed if is_whole else (*replayed, *recorded[len(passed) :])
    parts = list(stretches(trace, drawn, default_writer))
    segments = [segment_of(part) for part in parts]
    total = sum(segment.tokens for segment in segments) or 1
    marks: dict[PlaceKind, list[float]] = {kind: [] for kind in PlaceKind}
    index = before = 0
    for place in places:
        while index + 1 < len(parts) and parts[index + 1].position <= place.takeover.start:
            before += segments[index].tokens
            index += 1
        marks[place.kind].append(before / total)
    return ReplayOutcome(
        trace,
        places,
        segments,
        RibbonLayout(segments),
        [part.position for part in parts],
        marks,
        notes,
        is_whole,
    )
