"""Events as JSON and back (docs/trace.md): one object an event, defaults left out, enums by value.

The reader is tolerant: it passes over fields and kinds of events that a newer version has added, and refuses only
what it cannot make sense of.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from core.errors import SettingsError, StoreError
from core.models.source import DemoModel, HubFile, LocalFile, ServerUrls, parse_source
from core.thinking import events
from core.thinking.events import SCHEMA, Event
from core.thinking.schema_1 import upgrade_event

Json = dict[str, Any]

KINDS: dict[str, type[Event]] = {
    "run_started": events.RunStarted,
    "write_started": events.WriteStarted,
    "handed_over": events.HandedOver,
    "token": events.TokenWritten,
    "text_discarded": events.TextDiscarded,
    "takeover_started": events.TakeoverStarted,
    "takeover_ended": events.TakeoverEnded,
    "text_inserted": events.TextInserted,
    "thinking_closed": events.ThinkingClosed,
    "judged": events.Judged,
    "counters_changed": events.CountersChanged,
    "prefetch": events.ReadAlong,
    "billed": events.Billed,
    "noticed": events.Noticed,
    "run_ended": events.RunEnded,
}
_NAMES = {kind: name for name, kind in KINDS.items()}
_REQUIRED = object()


def event_to_json(event: Event) -> Json:
    """An object of JSON values with "event" first; `RunStarted` also says the schema."""
    head: Json = {"event": _NAMES[type(event)]}
    if isinstance(event, events.RunStarted):
        head["schema"] = SCHEMA
    return head | _record_to_json(event)


def event_from_json(data: Json) -> Event | None:
    """The event; None if this version does not know its kind. Raises StoreError if it is broken."""
    data = upgrade_event(data)
    kind = KINDS.get(data.get("event", ""))
    if kind is None:
        return None
    try:
        event: Event = _record_from_json(kind, data)
    except (KeyError, TypeError, ValueError, AttributeError, SettingsError) as error:
        raise StoreError(
            f"An event of the kind {data['event']!r} cannot be read: {error}.",
            "The trace is damaged or was written by a newer version of Baton.",
        ) from error
    return event


def events_from_json(lines: Iterable[Json]) -> Iterator[Event]:
    """All events that this version knows. Raises StoreError."""
    for data in lines:
        if event := event_from_json(data):
            yield event


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any, Any], ...]:
    """Name, type and default of each field of a dataclass or NamedTuple."""
    hints = get_type_hints(kind)
    if dataclasses.is_dataclass(kind):
        defaults = {f.name: f.default for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING}
    else:
        defaults = kind._field_defaults
    return tuple((name, hints[name], defaults.get(name, _REQUIRED)) for name in hints)


def _record_to_json(record: Any) -> Json:
    values = ((name, getattr(record, name), default) for name, _, default in _fields(record.__class__))
    return {name: _to_json(value) for name, value, default in values if default is _REQUIRED or value != default}


def _to_json(value: Any) -> Any:
    match value:
        case LocalFile() | HubFile() | ServerUrls():
            return str(value)
        case BaseModel():
            return value.model_dump(mode="json", exclude_defaults=True)
        case Enum():
            return value.value
        case None | str() | int() | float() | dict():
            return value
        case tuple() if not hasattr(value, "_fields"):
            return [_to_json(item) for item in value]
        case _:
            return _record_to_json(value)


def _record_from_json(kind: Any, data: Json) -> Any:
    values = {}
    for name, hint, default in _fields(kind):
        if name in data:
            values[name] = _from_json(hint, data[name])
        elif default is _REQUIRED:
            raise KeyError(f"{name} is missing")
    return kind(**values)


def _from_json(hint: Any, value: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if DemoModel in inner:  # a ModelSource
        return None if value is None else parse_source(value)
    if origin in (Union, types.UnionType):
        return None if value is None else _from_json(next(t for t in inner if t is not types.NoneType), value)
    if origin is tuple:
        return tuple(_from_json(inner[0], item) for item in value)
    if hint is float:
        return float(value)
    if hint in (str, int, bool):
        if not isinstance(value, hint):
            raise TypeError(f"{value!r} is not of the type {hint.__name__}")
        return value
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint.model_validate(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if dataclasses.is_dataclass(hint) or hasattr(hint, "_fields"):
        return _record_from_json(hint, value)
    return value
