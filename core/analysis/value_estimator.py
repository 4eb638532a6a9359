"""Estimates the value of each step of a finished text: the share of continuations from there that end right.

    places ──► continuations, K a place ──► answers, graded ──► ValuesEstimated

Coarse to fine: of a long text each place first gets a quarter of K, the ends and the takeovers all of it. K is full
where the continuations of a few places on either side differ, so that a change is found wherever it lies; halving the
text between places that differ would miss a value that rises and falls again. (One that does so from one step to the
next may still be missed; `every_step` leaves nothing out.)

Continuation k of a place has random numbers of its own, which follow from the run's seed, the place and k. So an
estimate that was stopped goes on as if it had not been: unfinished continuations are written again.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from baton_reasoning.core.analysis.opinion import several_models_error
from baton_reasoning.core.analysis.rollouts import RolloutNumber, Rollouts
from baton_reasoning.core.analysis.values import (
    RIGHT,
    UNFINISHED,
    UNGRADED,
    WRONG,
    StepValues,
    TextPlace,
    ValuedPlace,
    places_of,
    takeover_spans,
)
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, Cancelled, SettingsError
from baton_reasoning.core.grading.extract import answer_of_run
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import Grading, GradingMethod, Outcome
from baton_reasoning.core.run import Pair
from baton_reasoning.core.thinking.events import Finish, PlaceOutcomes, ValuesEstimated
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requirements import unmet_need
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace

USUAL_ROLLOUTS = 16
SHORT = 24
"""All places of a text with so few get K continuations at once."""
COARSE = 4
"""Each place of a longer text first gets K / COARSE continuations."""
WINDOW = 4
"""Places on either side whose continuations are pooled to find where a value changes."""
LARGE_DIFFERENCE = 0.2
"""Between neighbours, or between the values on either side of them: each of the two gets all K continuations."""
PROGRESS_SECONDS = 0.2
USUAL_TEMPERATURE = 0.6
"""Of continuations of a run with temperature 0, which would otherwise all be the same."""
SHORTEST_LIMIT = 64
TIMES_THE_TEXT = 2
"""The token limit of a continuation is so many times the text's tokens, at least SHORTEST_LIMIT."""
SIGNS = {Outcome.CORRECT: RIGHT, Outcome.WRONG: WRONG, Outcome.UNSCORED: UNGRADED}
WRITERS = ("small", "large", "policy")


class ValueOptions(NamedTuple):
    """What to estimate."""

    writer: str = "small"
    """Who writes the continuations: a model alone, or the policy of the run."""
    rollouts: int = USUAL_ROLLOUTS
    """K: continuations of each place."""
    every_step: bool = False
    """Give all places K continuations, however long the text is."""
    only_takeovers: bool = False
    """Value only the beginning and what the worth of takeovers needs."""


class ValuesProgress(NamedTuple):
    """Progress in continuations; `total` grows when places are refined."""

    done: int
    total: int
    tokens: int
    """Written so far."""
    seconds: float
    estimated: ValuesEstimated
    """So far."""


def first_places(trace: Trace, options: ValueOptions) -> dict[TextPlace, int]:
    """Return how many continuations each place gets before any refinement, in order."""
    every, spans = places_of(trace), list(takeover_spans(trace))
    takeovers = {place for span in spans for place in (span.baseline, TextPlace(span.end))}
    if options.only_takeovers:
        return {place: options.rollouts for place in every if place in takeovers or place == every[0]}
    if options.every_step or len(every) <= SHORT:
        return dict.fromkeys(every, options.rollouts)
    few = -(-options.rollouts // COARSE)
    fully = {every[0], every[-1], *takeovers, *(TextPlace(span.start) for span in spans)}
    return {place: options.rollouts if place in fully else few for place in every}


def is_valued(trace: Trace, expected: str, options: ValueOptions) -> bool:
    """Tell whether the trace has all continuations that an estimate would begin with, so that no model is needed.

    Raises SettingsError if the steps of this text cannot be valued.
    """
    _settings_of(trace, expected)
    earlier = trace.values.get(options.writer)
    asked = (expected.strip() or answer_of_run(trace), bool(expected.strip()), trace.length)
    if earlier is None or not earlier.is_whole or (earlier.target, earlier.is_expected, earlier.length) != asked:
        return False
    known = {TextPlace(each.position, each.replaced): len(each.outcomes) for each in earlier.places}
    end = TextPlace(trace.length) if earlier.ends_right is not None else None
    return all(known.get(place, 0) >= number for place, number in first_places(trace, options).items() if place != end)


class ValueEstimator:
    """Estimates the values of one text once. Call `run` once; `stop` from any thread."""

    def __init__(
        self,
        pair: Pair,
        trace: Trace,
        grader: Grader,
        expected: str = "",
        options: ValueOptions = ValueOptions(),  # noqa: B008 - immutable
        how: Grading = GradingMethod.AUTO,
    ) -> None:
        """`expected`: the right answer; if it is empty, the text's own counts, and values say agreement.

        Raises SettingsError for a text whose steps cannot be valued, and if a model is missing.
        """
        settings = _settings_of(trace, expected)
        if error := _missing_writer(pair, settings, options.writer):
            raise error
        self._trace, self._grader, self._options, self._how = trace, grader, options, how
        writers = [card for author, card in pair.cards.items() if options.writer in (author.value, "policy")]
        self.model = " and ".join(card.label for card in writers)
        self._expected = expected.strip()
        self.target = self._expected or answer_of_run(trace) or ""
        """The answer that counts as right."""
        self._limit = min(settings.max_tokens, max(SHORTEST_LIMIT, TIMES_THE_TEXT * trace.tokens))
        temperature = settings.temperature or USUAL_TEMPERATURE
        self._rollouts = Rollouts(
            pair,
            trace,
            settings.model_copy(update={"temperature": temperature, "alternatives": 0}),
            options.writer,
            limit=self._limit,
            expected=self._expected,
            how=how,
        )
        self._all = places_of(trace)
        self._signs: dict[str | None, str] = {}
        """By the answer that was given."""
        self._earlier = self._continued()
        known = self._earlier.places if self._earlier else ()
        self._outcomes = {TextPlace(each.position, each.replaced): each.outcomes for each in known}
        self._tokens = 0

    def stop(self) -> None:
        """Stop; finished continuations are kept, and a later estimate continues from them."""
        self._rollouts.stop()

    def run(self) -> Generator[ValuesProgress | ValuesEstimated | str, None, None]:
        """Yield progress, then what was estimated, even if it was stopped; nothing that the trace holds already.

        At the end come notices, a sentence each. Before it raises EngineError (a model was lost, its context is full),
        it yields what is finished.
        """
        began = time.monotonic()
        try:
            with self._rollouts.opened():
                yield from self._rounds(began)
        except Cancelled:
            pass
        except BatonError:
            yield from self._unless_known(self._estimated(time.monotonic() - began, is_whole=False))
            raise
        yield from self._unless_known(self._estimated(time.monotonic() - began, not self._rollouts.stopped))
        yield from self._rollouts.notices

    def _rounds(self, began: float) -> Iterator[ValuesProgress]:
        wanted, done, total = self._measurable(first_places(self._trace, self._options)), 0, 0
        while not self._rollouts.stopped:
            missing = sorted(self._missing(wanted), key=lambda which: (which.place.order, which.number))
            if not missing:
                return
            total += len(missing)
            shown = time.monotonic()
            for written in self._rollouts.write(missing):
                self._tokens += written.tokens
                self._note(written.which, self._sign(written.given))
                done += 1
                if time.monotonic() - shown > PROGRESS_SECONDS:
                    shown = time.monotonic()
                    yield self._progress(done, total, began)
            yield self._progress(done, total, began)
            wanted = self._refined()

    def _progress(self, done: int, total: int, began: float) -> ValuesProgress:
        seconds = time.monotonic() - began
        return ValuesProgress(done, total, self._tokens, seconds, self._estimated(seconds, is_whole=False))

    def _unless_known(self, estimated: ValuesEstimated) -> Iterator[ValuesEstimated]:
        """Yield the estimate unless the trace has it already."""
        known = self._trace.values.get(self._options.writer)
        if estimated.places and (
            known is None or estimated.places != known.places or (estimated.is_whole and not known.is_whole)
        ):
            yield estimated

    def _estimated(self, seconds: float, is_whole: bool) -> ValuesEstimated:
        trace, earlier = self._trace, self._earlier
        return ValuesEstimated(
            trace.ended.at if trace.ended else 0.0,
            self._options.writer,
            self.model,
            trace.length,
            self.target,
            bool(self._expected),
            self._limit,
            tuple(
                PlaceOutcomes(place.position, self._outcomes[place], place.replaced)
                for place in sorted(self._outcomes, key=lambda place: place.order)
            ),
            self._verdict(),
            is_whole,
            self._tokens + (earlier.tokens if earlier else 0),
            seconds + (earlier.seconds if earlier else 0.0),
        )

    # Places --------------------------------------------------------------------------------------------------------

    def _measurable(self, wanted: Mapping[TextPlace, int]) -> dict[TextPlace, int]:
        """Leave out the end of a graded text, whose value is its verdict."""
        is_graded = self._verdict() is not None
        return {
            place: wanted[place]
            for place in self._all
            if place in wanted and not (is_graded and place.position == self._trace.length)
        }

    def _refined(self) -> dict[TextPlace, int]:
        """Return how many continuations each place needs in all, from its outcomes and its neighbours'."""
        if self._options.only_takeovers:
            return {}
        places = StepValues(self._trace, self._estimated(0.0, is_whole=False)).places
        differ = set[TextPlace]()
        for index, (before, after) in enumerate(pairwise(places), 1):
            left, right = places[max(0, index - WINDOW) : index], places[index : index + WINDOW]
            if _may_differ(left, right) or _may_differ([before], [after]):
                differ |= {before.place, after.place}
        return self._measurable(dict.fromkeys(differ, self._options.rollouts))

    def _missing(self, wanted: Mapping[TextPlace, int]) -> Iterator[RolloutNumber]:
        for place, number in wanted.items():
            known = self._outcomes.get(place, "")
            for k in range(max(number, len(known))):
                if known[k : k + 1] in ("", UNFINISHED):
                    yield RolloutNumber(place, k)

    # Outcomes ------------------------------------------------------------------------------------------------------

    def _continued(self) -> ValuesEstimated | None:
        """Return the earlier estimate that this one continues."""
        earlier = self._trace.values.get(self._options.writer)
        asked = (self.model, self.target, bool(self._expected), self._limit, self._trace.length)
        found = earlier and (earlier.model, earlier.target, earlier.is_expected, earlier.limit, earlier.length)
        return earlier if found == asked else None

    def _note(self, which: RolloutNumber, sign: str) -> None:
        place, number = which
        known = self._outcomes.get(place, "").ljust(number + 1, UNFINISHED)
        self._outcomes[place] = known[:number] + sign + known[number + 1 :]

    def _sign(self, given: str | None) -> str:
        if given not in self._signs:
            self._signs[given] = SIGNS[self._grader.grade(self.target, given, self._how).outcome]
        return self._signs[given]

    def _verdict(self) -> bool | None:
        if self._trace.finish is not Finish.END_OF_TEXT:
            return None
        sign = self._sign(answer_of_run(self._trace, self._expected or None, self._how))
        return None if sign == UNGRADED else sign == RIGHT


def _missing_writer(pair: Pair, settings: RunSettings, writer: str) -> SettingsError | None:
    if writer == "policy":
        return unmet_need(POLICIES.of(settings.policy), pair.cards)
    if pair.get(Author(writer)) is None:
        return SettingsError(f"The {writer} model is to write the continuations, and there is none.", "Load one.")
    return None


def _may_differ(left: Sequence[ValuedPlace], right: Sequence[ValuedPlace]) -> bool:
    """Tell whether the pooled values of two groups of places differ much."""
    before, after = (
        sum(each.right for each in side) / max(1, sum(each.rollouts for each in side)) for side in (left, right)
    )
    return abs(after - before) >= LARGE_DIFFERENCE


def _settings_of(trace: Trace, expected: str) -> RunSettings:
    """Return the settings of the run. Raises SettingsError if the steps of this text cannot be valued."""
    if not trace.pieces or trace.started is None:
        raise SettingsError("There is no text whose steps could be valued.", "Ask something first.")
    if error := several_models_error(trace):
        raise error
    if not expected.strip() and not answer_of_run(trace):
        raise SettingsError(
            "This text has no answer with which the continuations could be compared.", "Give the expected answer."
        )
    if trace.started.policy not in POLICIES:
        raise SettingsError("The settings of this run cannot be read.", "It was written by another version of Baton.")
    return RunSettings.stored(trace.started.settings)
