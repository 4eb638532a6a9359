"""Estimates what each step of a finished text is worth: continuations are written from places of it, and graded.

    places ──► continuations, K a place ──► answers, graded ──► ValuesEstimated

Coarse to fine: of a long text each place first gets a quarter of K, the ends and the takeovers all of it. K is full
where the continuations of a few places on either side differ, so that a change is found wherever it lies; halving the
text between places that differ would miss a value that rises and falls again. (One that does so from one step to the
next may still be missed; `every_step` leaves nothing out.) Where a difference of neighbours is large and not beyond
chance, K grows further.

Continuation k of a place has random numbers of its own, which follow from the run's seed, the place and k. So an
estimate that was stopped goes on as if it had not been: unfinished continuations are written again.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from typing import NamedTuple

from pydantic import ValidationError

from core.engines.base import Branch, Continuation, Notice, Session, Stop, WritesBranches
from core.engines.body import Author, Body, Part
from core.engines.random_numbers import number_at, stream_of
from core.errors import BatonError, Cancelled, EngineLost, SettingsError
from core.grading.extraction import answer_of, answer_of_continuation
from core.grading.grader import Grader
from core.grading.verdict import How, Outcome, Regex
from core.live_values import USUAL_TEMPERATURE
from core.run import Pair, run, unmet_need
from core.thinking.control import Control
from core.thinking.events import Finish, PlaceOutcomes, TextInserted, ValuesEstimated
from core.thinking.registry import POLICIES
from core.thinking.run_settings import RunSettings
from core.thinking.trace import Trace
from core.thinking.values import (
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

USUAL_CONTINUATIONS = 16
SHORT = 24
"""Places of a text of which all get K at once."""
COARSE = 4
"""Of a longer text, each place first gets K / COARSE continuations."""
WINDOW = 4
"""Places on either side whose continuations are counted together, to find where a value changes."""
LARGE_DIFFERENCE = 0.2
"""Between neighbours; if it is not beyond chance, K doubles there, up to MOST_GROWTH times the usual number."""
MOST_GROWTH = 4
ALIKE = 4
"""Equal continuations from the beginning, and no others, from which a person is told."""
PROGRESS_SECONDS = 0.2
SHORTEST_LIMIT = 64
TIMES_THE_TEXT = 2
"""Tokens that a continuation may have: so many times the text's, at least SHORTEST_LIMIT."""
SIGNS = {Outcome.CORRECT: RIGHT, Outcome.WRONG: WRONG, Outcome.UNSCORED: UNGRADED}
WRITERS = ("small", "large", "policy")
_POLICY_OF = {"small": "never", "large": "always"}


class ValueOptions(NamedTuple):
    """What to estimate."""

    writer: str = "small"
    """Who writes the continuations: the small or the large model alone, or the policy of the run."""
    continuations: int = USUAL_CONTINUATIONS
    """K, a place."""
    every_step: bool = False
    """All places get K continuations, however long the text is."""
    only_takeovers: bool = False
    """Value only the beginning and what the worth of takeovers needs."""
    parallel: int = 4
    """Continuations at once on a server, and of a policy."""


class ValuesPlan(NamedTuple):
    """What an estimate begins with; coarse to fine may add places."""

    places: int
    continuations: int
    tokens: int
    """As far as the continuations are as long as the rest of the text."""


class ValuesProgress(NamedTuple):
    """How far an estimate is; `total` grows with the places that turn out to matter."""

    done: int
    total: int
    tokens: int
    """Written so far."""
    seconds: float
    estimated: ValuesEstimated
    """What is known so far."""


def value_error(pair: Pair, trace: Trace, expected: str, options: ValueOptions = ValueOptions()) -> BatonError | None:  # noqa: B008
    """Return why the steps of this text cannot be valued: no text, no answer to compare with, or a model is missing."""
    if error := text_error(trace, expected):
        return error
    settings = _settings_of(trace)
    assert settings is not None
    if options.writer == "policy":
        return unmet_need(POLICIES.of(settings.policy), pair.cards)
    author = Author(options.writer)
    if pair.get(author) is None:
        return SettingsError(f"The {author.value} model is to write the continuations, and there is none.", "Load one.")
    return None


def text_error(trace: Trace, expected: str) -> BatonError | None:
    """Return why no model could value the steps of this text, before any is loaded."""
    if not trace.pieces or trace.started is None:
        return SettingsError("There is no text whose steps could be valued.", "Ask something first.")
    if not expected.strip() and not answer_of(trace):
        return SettingsError(
            "This text has no answer with which the continuations could be compared.", "Give the expected answer."
        )
    if _settings_of(trace) is None:
        return SettingsError("The settings of this run cannot be read.", "It was written by another version of Baton.")
    return None


def first_places(trace: Trace, options: ValueOptions) -> dict[TextPlace, int]:
    """Return how many continuations each place gets at first, in order."""
    every, spans = places_of(trace), list(takeover_spans(trace))
    takeovers = {place for span in spans for place in (span.baseline, TextPlace(span.end))}
    if options.only_takeovers:
        return {place: options.continuations for place in every if place in takeovers or place == every[0]}
    if options.every_step or len(every) <= SHORT:
        return dict.fromkeys(every, options.continuations)
    few = -(-options.continuations // COARSE)
    fully = {every[0], every[-1], *takeovers, *(TextPlace(span.start) for span in spans)}
    return {place: options.continuations if place in fully else few for place in every}


def is_valued(trace: Trace, expected: str, options: ValueOptions) -> bool:
    """Tell whether the trace holds all values that an estimate with these options would begin with.

    Then no model is needed to show them.
    """
    earlier = trace.values.get(options.writer)
    asked = (expected.strip() or answer_of(trace), bool(expected.strip()), trace.length)
    if earlier is None or not earlier.is_whole or (earlier.target, earlier.is_expected, earlier.length) != asked:
        return False
    known = {TextPlace(each.position, each.replaced): len(each.outcomes) for each in earlier.places}
    end = TextPlace(trace.length) if earlier.ends_right is not None else None
    return all(known.get(place, 0) >= number for place, number in first_places(trace, options).items() if place != end)


def is_news(earlier: ValuesEstimated | None, estimated: ValuesEstimated) -> bool:
    """Tell whether an estimate found out anything after an earlier one, so that it is worth keeping."""
    if earlier is None or not estimated.places:
        return bool(estimated.places)
    return estimated.places != earlier.places or (estimated.is_whole and not earlier.is_whole)


class ValueEstimator:
    """Estimates the values of one text once. Call `run` once; `stop` from any thread."""

    def __init__(
        self,
        pair: Pair,
        trace: Trace,
        grader: Grader,
        expected: str = "",
        options: ValueOptions = ValueOptions(),  # noqa: B008 - immutable
        how: How | Regex = How.AUTO,
    ) -> None:
        """`expected`: the right answer; if it is empty, the text's own counts, and values say agreement.

        Raises the error of `value_error`.
        """
        if error := value_error(pair, trace, expected, options):
            raise error
        assert trace.started is not None
        settings = _settings_of(trace)
        assert settings is not None
        self._pair, self._trace, self._grader, self._options, self._how = pair, trace, grader, options, how
        writers = (Author.SMALL, Author.LARGE) if options.writer == "policy" else (Author(options.writer),)
        self.model = " and ".join(card.name for author, card in pair.cards.items() if author in writers)
        self._expected = expected.strip()
        self.target = self._expected or answer_of(trace) or ""
        """The answer that counts as right."""
        temperature = settings.temperature or USUAL_TEMPERATURE
        self._limit = min(settings.max_tokens, max(SHORTEST_LIMIT, TIMES_THE_TEXT * trace.tokens))
        self._settings = settings.model_copy(update={"temperature": temperature, "alternatives": 0})
        self._all = places_of(trace)
        self._spans = list(takeover_spans(trace))
        self._parts = trace.parts()
        self._replaced = {span.start: span.piece.replaced for span in self._spans}
        self._signs: dict[tuple[str, bool], str] = {}
        """What is known of an answer: its sign, by the answer."""
        self._outcomes = self._known()
        self._tokens = 0
        self._notices: list[str] = []
        self._texts: list[str] = []
        """The continuations from the beginning, where each is a run."""
        self._stopped = threading.Event()
        self._controls: set[Control] = set()
        self._session: Session | None = None
        self._lock = threading.Lock()

    @property
    def plan(self) -> ValuesPlan:
        """Return what the estimate will begin with; nothing of it was written before."""
        missing = Counter(
            place for place, _ in self._missing(self._measurable(first_places(self._trace, self._options)))
        )
        after = {place: self._tokens_after(place) for place in missing}
        tokens = sum(number * after[place] for place, number in missing.items())
        return ValuesPlan(len(missing), missing.total(), tokens)

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know of how the continuations were written, a sentence each."""
        alike = len(self._texts) if len(set(self._texts)) == 1 else 0
        same = (
            f"All {alike} continuations from the beginning are the same: if the server draws by a seed of its own, "
            "the values rest on one of them."
        )
        return tuple(dict.fromkeys([*self._notices, *([same] if alike >= ALIKE else [])]))

    def stop(self) -> None:
        """Stop writing; what is finished is kept, and a later estimate goes on from it."""
        self._stopped.set()
        with self._lock:
            controls, session = list(self._controls), self._session
        for control in controls:
            control.stop()
        if session:
            session.cancel()

    def run(self) -> Generator[ValuesProgress | ValuesEstimated, None, None]:
        """Yield progress, then what was estimated, even if it was stopped.

        Before it raises EngineError (a model was lost, its context is full), it yields what is finished.
        """
        began = time.monotonic()
        try:
            with self._opened():
                yield from self._rounds(began)
        except Cancelled:
            pass
        except BatonError:
            yield self._estimated(time.monotonic() - began, is_whole=False)
            raise
        yield self._estimated(time.monotonic() - began)

    def _rounds(self, began: float) -> Iterator[ValuesProgress]:
        wanted, done, total = self._measurable(first_places(self._trace, self._options)), 0, 0
        while not self._stopped.is_set():
            jobs = sorted(self._missing(wanted), key=lambda job: (job[0].order, job[1]))
            if not jobs:
                return
            total += len(jobs)
            shown = time.monotonic()
            for place, number, sign in self._carried_out(jobs):
                self._note(place, number, sign)
                done += 1
                if time.monotonic() - shown > PROGRESS_SECONDS:
                    shown = time.monotonic()
                    yield self._progress(done, total, began)
            yield self._progress(done, total, began)
            wanted = self._refined()

    def _progress(self, done: int, total: int, began: float) -> ValuesProgress:
        seconds = time.monotonic() - began
        return ValuesProgress(done, total, self._tokens, seconds, self._estimated(seconds, is_whole=False))

    def _estimated(self, seconds: float, is_whole: bool | None = None) -> ValuesEstimated:
        trace, earlier = self._trace, self._earlier()
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
            not self._stopped.is_set() if is_whole is None else is_whole,
            self._tokens + (earlier.tokens if earlier else 0),
            seconds + (earlier.seconds if earlier else 0.0),
        )

    # Places --------------------------------------------------------------------------------------------------------

    def _measurable(self, wanted: Mapping[TextPlace, int]) -> dict[TextPlace, int]:
        """Leave out the end of a text that has a verdict."""
        is_graded = self._verdict() is not None
        return {
            place: wanted[place]
            for place in self._all
            if place in wanted and not (is_graded and place.position == self._trace.length)
        }

    def _refined(self) -> dict[TextPlace, int]:
        """Return how many continuations each place needs in all, by what is known of it and its neighbours."""
        values = StepValues(self._trace, self._estimated(0.0))
        wanted: Counter[TextPlace] = Counter()
        if not self._options.only_takeovers:
            for index in range(1, len(values.places)):
                pair = values.places[index - 1 : index + 1]
                left, right = (values.places[max(0, index - WINDOW) : index], values.places[index : index + WINDOW])
                if _may_differ(left, right) or _may_differ(*([each] for each in pair)):
                    for each in pair:
                        wanted[each.place] = max(wanted[each.place], self._options.continuations)
                self._grow(pair[0], pair[1], wanted)
        for worth in values.takeovers:
            self._grow(worth.before, worth.after, wanted)
        return self._measurable(wanted)

    def _grow(self, one: ValuedPlace, other: ValuedPlace, wanted: Counter[TextPlace]) -> None:
        """Double K at two places that have K each, if their values differ much, but not beyond chance."""
        usual = self._options.continuations
        known = [len(self._outcomes.get(each.place, "")) for each in (one, other)]
        if min(known) < usual or StepValues.differ(one, other):
            return
        if abs(one.value.value - other.value.value) >= LARGE_DIFFERENCE:
            for each, number in zip((one, other), known, strict=True):
                wanted[each.place] = max(wanted[each.place], min(MOST_GROWTH * usual, 2 * number))

    def _missing(self, wanted: Mapping[TextPlace, int]) -> Iterator[tuple[TextPlace, int]]:
        for place, number in wanted.items():
            known = self._outcomes.get(place, "")
            for k in range(max(number, len(known))):
                if known[k : k + 1] in ("", UNFINISHED):
                    yield place, k

    def _tokens_after(self, place: TextPlace) -> int:
        return sum(len(piece.tokens) for piece in self._trace.pieces if piece.position + piece.length > place.position)

    # Outcomes ------------------------------------------------------------------------------------------------------

    def _earlier(self) -> ValuesEstimated | None:
        """Return an earlier estimate that this one continues."""
        earlier = self._trace.values.get(self._options.writer)
        asked = (self.model, self.target, bool(self._expected), self._limit, self._trace.length)
        found = earlier and (earlier.model, earlier.target, earlier.is_expected, earlier.limit, earlier.length)
        return earlier if found == asked else None

    def _known(self) -> dict[TextPlace, str]:
        earlier = self._earlier()
        return {TextPlace(each.position, each.replaced): each.outcomes for each in earlier.places} if earlier else {}

    def _note(self, place: TextPlace, number: int, sign: str) -> None:
        known = self._outcomes.get(place, "").ljust(number + 1, UNFINISHED)
        self._outcomes[place] = known[:number] + sign + known[number + 1 :]

    def _sign(self, answer: str | None) -> str:
        key = (answer or "", answer is None)
        if key not in self._signs:
            self._signs[key] = SIGNS[self._grader.grade(self.target, answer, self._how).outcome]
        return self._signs[key]

    def _verdict(self) -> bool | None:
        if self._trace.finish is not Finish.END_OF_TEXT:
            return None
        sign = self._sign(answer_of(self._trace, self._expected or None))
        return None if sign == UNGRADED else sign == RIGHT

    # Continuations -------------------------------------------------------------------------------------------------

    def _carried_out(self, jobs: Sequence[tuple[TextPlace, int]]) -> Iterator[tuple[TextPlace, int, str]]:
        """Write and grade a continuation for each job; fewer if it is stopped."""
        if isinstance(self._session, WritesBranches):
            yield from self._by_branches(self._session, jobs)
        else:
            yield from self._by_runs(jobs)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Keep a session of the writer open that writes branches, if its engine has such; they share what it reads."""
        assert self._trace.started
        engine = self._pair.get(Author(self._options.writer)) if self._options.writer != "policy" else None
        if engine is None or not engine.card.writes_branches:
            yield
            return
        sampling = engine.card.overrides.sampling(self._settings.sampling)
        with closing(engine.open(self._trace.started.conversation, sampling, self._attach)):
            yield

    def _attach(self, session: Session) -> None:
        with self._lock:
            self._session = session
        if self._stopped.is_set():
            session.cancel()

    def _by_branches(
        self, session: WritesBranches, jobs: Sequence[tuple[TextPlace, int]]
    ) -> Iterator[tuple[TextPlace, int, str]]:
        assert self._session
        bodies = {place: self._body(place) for place, _ in jobs}
        branches = [Branch(bodies[place], self._stream(place, k), self._limit) for place, k in jobs]
        tags = self._session.card.thinking
        for item in session.write_branches(branches):
            if isinstance(item, Notice):
                self._notices.append(item.text)
            else:
                place, number = jobs[item.branch]
                self._tokens += item.tokens
                before = "".join(part.text for part in bodies[place])
                yield place, number, self._sign(self._answer(before, item, tags.closing if tags else ""))

    def _answer(self, before: str, continuation: Continuation, closing_tag: str) -> str | None:
        closed = self._trace.closed
        answer_start = None if self._trace.thinks else 0
        return answer_of_continuation(
            before,
            continuation.text,
            answer_start=closed.position if closed and closed.position <= len(before) else answer_start,
            closing_tag=closing_tag,
            ended=continuation.stop is Stop.END_OF_TEXT,
            expected=self._expected or None,
        )

    def _body(self, place: TextPlace) -> Sequence[Part]:
        body = Body(self._parts)
        body.cut(place.position)
        if place.replaced:
            body.append(Part(self._replaced[place.position], Author.SMALL))
        return body.parts

    def _stream(self, place: TextPlace, number: int) -> int:
        return stream_of(self._settings.seed, f"value of {place.position} {place.replaced} {number}", 0)

    def _by_runs(self, jobs: Sequence[tuple[TextPlace, int]]) -> Iterator[tuple[TextPlace, int, str]]:
        """Let each continuation be a run of its own, some at once: a server's slots share the beginning of the text."""
        before = {place: self._trace_until(place) for place, _ in jobs}
        waiting = iter(jobs)
        futures: dict[Future[Trace], tuple[TextPlace, int]] = {}
        with ThreadPoolExecutor(self._options.parallel, thread_name_prefix="value") as pool:
            try:
                while True:
                    while len(futures) < self._options.parallel and not self._stopped.is_set():
                        if (job := next(waiting, None)) is None:
                            break
                        futures[pool.submit(self._continued, before[job[0]], *job)] = job
                    if not futures:
                        return
                    ended, _ = wait(futures, return_when=FIRST_COMPLETED)
                    for future in ended:
                        place, number = futures.pop(future)
                        if place.position == 0:
                            self._texts.append(future.result().text)
                        if sign := self._graded(future.result(), before[place]):
                            yield place, number, sign
            finally:
                if futures:
                    self.stop()

    def _graded(self, trace: Trace, before: Trace) -> str | None:
        """Grade a continuation; None if it was stopped. Raises EngineLost if a model failed."""
        if trace.finish is Finish.FAILED:
            raise EngineLost(trace.ended.reason if trace.ended else "A model failed.")
        if trace.finish is Finish.STOPPED:
            return None
        self._tokens += trace.tokens - before.tokens
        return self._sign(answer_of(trace, self._expected or None))

    def _continued(self, before: Trace, place: TextPlace, number: int) -> Trace:
        trace, control, settings = Trace.of(before.events), Control(), self._settings
        policy = _POLICY_OF.get(self._options.writer)
        changed = settings.model_copy(
            update={
                "policy": POLICIES.named(policy).Settings() if policy else settings.policy,
                "seed": number_at(self._stream(place, number), 0),
                "max_tokens": before.tokens + self._limit,
                "small_alone": False,
            }
        )
        with self._lock:
            self._controls.add(control)
            if self._stopped.is_set():
                control.stop()
        try:
            assert self._trace.started
            conversation = self._trace.started.conversation
            for event in run(self._pair, conversation, changed, control=control, resume_trace=before):
                trace.apply(event)
        finally:
            with self._lock:
                self._controls.discard(control)
        return trace

    def _trace_until(self, place: TextPlace) -> Trace:
        before = self._trace.until(place.position)
        text = self._trace.text[before.length : place.position]
        text += self._replaced[place.position] if place.replaced else ""
        if text:
            before.apply(TextInserted(before.seconds, text, ""))
        return before


def _may_differ(left: Sequence[ValuedPlace], right: Sequence[ValuedPlace]) -> bool:
    """Tell whether the continuations of some places differ from those of the places after them."""
    before, after = (
        sum(each.right for each in side) / max(1, sum(each.continuations for each in side)) for side in (left, right)
    )
    return abs(after - before) >= LARGE_DIFFERENCE


def _settings_of(trace: Trace) -> RunSettings | None:
    try:
        return RunSettings.model_validate(trace.started.settings) if trace.started else None
    except ValidationError:
        return None
