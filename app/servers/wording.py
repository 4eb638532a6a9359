"""What the window says of servers: a sign and a word each, so that a colour is never the only sign."""

from __future__ import annotations

from typing import NamedTuple

from app.theme import Role
from core.engines.remote.state import ServerState, ServerStatus


class Told(NamedTuple):
    sign: str
    words: str
    role: Role = Role.MUTED


STATES = {
    ServerState.CONNECTED: Told("✓", "connected"),
    ServerState.BUSY: Told("▶", "busy"),
    ServerState.READING: Told("≡", "reading"),
    ServerState.WAITING: Told("◷", "waiting for a slot"),
    ServerState.RECONNECTING: Told("↻", "reconnecting", Role.DANGER),
    ServerState.REFUSED: Told("✗", "refused", Role.DANGER),
    ServerState.LOST: Told("✗", "not answering", Role.DANGER),
}


def state_in_words(doing: ServerStatus, short: bool = False) -> str:
    """“✓ connected · 18 ms”, “≡ reading 40%”, “◷ waiting for a slot”; short, “≡ reading” and “◷ waiting”."""
    sign, words, _ = STATES[doing.state]
    if short:
        return f"{sign} {words.partition(' for ')[0]}"
    if doing.share is not None:
        words += f" {doing.share:.0%}"
    if doing.milliseconds is not None:
        words += f" · {doing.milliseconds:.0f} ms"
    return f"{sign} {words}"
