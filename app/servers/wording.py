"""What the window says of servers: a sign and a word each, so that a colour is never the only sign."""

from __future__ import annotations

from typing import NamedTuple

from app.theme import Role
from core.engines.connection import Verdict
from core.engines.remote.state import Doing, ServerState


class Told(NamedTuple):
    sign: str
    words: str
    role: Role | None


STATES = {
    ServerState.CONNECTED: Told("✓", "connected", Role.MUTED),
    ServerState.BUSY: Told("▶", "busy", Role.MUTED),
    ServerState.READING: Told("≡", "reading", Role.MUTED),
    ServerState.WAITING: Told("◷", "waiting for a slot", Role.MUTED),
    ServerState.RECONNECTING: Told("↻", "reconnecting", Role.DANGER),
    ServerState.REFUSED: Told("✗", "refused", Role.DANGER),
}
VERDICTS = {
    Verdict.GOOD: ("✓", Role.SUCCESS),
    Verdict.BAD: ("✗", Role.DANGER),
    Verdict.WARNING: ("⚠", Role.DANGER),
    Verdict.PLAIN: ("·", Role.MUTED),
}


def state_in_words(doing: Doing) -> str:
    """“reading 40%”, “waiting for a slot”."""
    words = STATES[doing.state].words
    return f"{words} {doing.share:.0%}" if doing.share is not None else words
