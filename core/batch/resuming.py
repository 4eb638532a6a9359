"""Where a text that was interrupted goes on, so that its policy decides as if nothing had happened.

A kill may come inside a takeover, inside a lookahead, or between a decision and what follows from it. The text is then
taken back to the last place whose decision is recorded: the start of that takeover, or the step boundary before that
lookahead. At most one takeover or one short stretch is written again; where the decision is certain, not a token is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from core.engines.body import Author
from core.run import RunSettings
from core.thinking.events import (
    CountersChanged,
    Event,
    TakeoverEnded,
    TakeoverStarted,
    TextDiscarded,
    TextInserted,
    TokenWritten,
    WriteStarted,
)
from core.thinking.policy import SLACK, WITHOUT_END, Close, Move, Policy, Until, Write, keep, look_on, take_over
from core.thinking.reasons import REPETITION
from core.thinking.registry import POLICIES
from core.thinking.steps import Splitter
from core.thinking.trace import Trace

LOOKAHEAD_MOST = 64
"""Tokens after which a lookahead has certainly been decided, where the settings have no longer one (n1)."""


class Resumption(NamedTuple):
    move: Move | None
    """To begin with; None asks the policy for its opening."""
    events: tuple[Event, ...]
    """To be recorded first: the text that is discarded, and the counters as they were before it."""


class _Place(NamedTuple):
    """A place to go on from: after so many events, with this move."""

    events: int
    move: Move | None


def resumption_of(recorded: Trace, settings: RunSettings) -> Resumption:
    """`recorded`: what was saved of the text; it has no end, or was stopped."""
    events = recorded.events
    place = _last_decision(events, settings)
    text = Trace.of(events[: place.events]) if place.events < len(events) else recorded
    changes: list[Event] = []
    at = events[-1].at if events else 0.0
    if text.length < recorded.length:
        gone = recorded.tokens - text.tokens
        changes.append(TextDiscarded(at, text.length, recorded.text[text.length :], gone))
    if dict(text.counters) != dict(recorded.counters):
        changes.append(CountersChanged(at, dict(text.counters)))
    return Resumption(place.move, tuple(changes))


def _last_decision(events: Sequence[Event], settings: RunSettings) -> _Place:  # noqa: C901
    """The last place whose decision is recorded."""
    lookahead = getattr(settings.policy, "n1", 0)
    fixed = 0 if getattr(settings.policy, "stop_at_first_cue", True) else lookahead
    """Tokens of a lookahead that runs over the ends of steps, which are decided after it."""
    policy_looks = POLICIES.of(settings.policy).on_lookahead is not Policy.on_lookahead
    trace, place = Trace(), _Place(0, None)
    in_takeover = fresh = discarded = ended_step = False
    """Of the default writer: a write without a token yet; after a discarded lookahead; its last token ended a step."""
    tokens: list[tuple[int, int]] = []
    """The event of each token, and its position in the body."""
    since, boundary, inserted = 0, 0, -1
    """Its tokens since `place`, and the event of its last token that ended a step."""
    for number, event in enumerate(events):
        match event:
            case TakeoverStarted():
                place, in_takeover, ended_step = _Place(number, _again(event, settings)), True, False
            case TakeoverEnded():
                in_takeover = discarded = False
            case TextDiscarded():
                discarded = True
            case WriteStarted(reason=None):
                fresh = True
            case TextInserted():
                inserted = number
            case TokenWritten() if not in_takeover:
                since += 1
                inside_lookahead = not fresh and place.move == look_on() and since <= fixed
                if fresh or (ended_step and not inside_lookahead):
                    at_boundary = ended_step or Splitter(trace.text[-200:], settings.boundary).at_boundary
                    looks = policy_looks and at_boundary and not discarded and trace.closed is None
                    place, since = _Place(number, look_on() if looks else keep()), 1
                    if policy_looks and not trace.length:
                        place = _Place(0, None)
                fresh = discarded = False
                ended_step, boundary = event.ends_step, number
        if isinstance(event, TokenWritten):
            tokens.append((number, trace.length))
        trace.apply(event)
    if tag := _unclosed_tag(trace):
        # Killed between the closing tag and the event that says so: the tag is written again.
        if trace.pieces[-1].author is Author.INSERTED:
            event = events[inserted]
            assert isinstance(event, TextInserted)
            return _Place(inserted, Close(POLICIES.reason(event.reason)))
        number = next(number for number, position in reversed(tokens) if position <= trace.text.rindex(tag))
        if not in_takeover:
            return place if number == place.events else _Place(number, keep())
        if isinstance(place.move, Write) and place.move.tokens >= WITHOUT_END:
            return _Place(number, place.move)
    if isinstance(place.move, Write) and place.move.is_takeover:
        return place if place.move.tokens < WITHOUT_END else place._replace(events=len(events))
    if place.move == keep() or since > max(LOOKAHEAD_MOST, lookahead):
        # The decision has taken effect. Only one that may be pending, at the end of a step, is asked for again.
        return _Place(boundary if ended_step else len(events), keep())
    return place


def _again(event: TakeoverStarted, settings: RunSettings) -> Write:
    reason = POLICIES.reason(event.reason)
    until = Until.STEP if reason is REPETITION else getattr(settings.policy, "until", Until.STEP)
    if event.tokens >= WITHOUT_END:
        until = Until.TOKENS
    slack = getattr(settings.policy, "slack", SLACK)
    return take_over(event.tokens, reason, event.cue, until, author=event.author, slack=slack)


def _unclosed_tag(trace: Trace) -> str:
    """The closing tag at the end of a text whose thinking is not recorded as closed; empty if there is none."""
    if trace.closed or not trace.started:
        return ""
    models = (trace.started.small, trace.started.large)
    tags = [model.thinking.closing for model in models if model and model.thinking]
    return next((tag for tag in tags if tag and trace.text.rstrip().endswith(tag)), "")
