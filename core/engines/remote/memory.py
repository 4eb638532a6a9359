"""Whether a server still knows the text that it has read: one that has forgotten it may have been started anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import EngineRefused

if TYPE_CHECKING:
    from core.engines.remote.engine import RemoteEngine


class Memory:
    """Of one session. A server is restarted while nobody asks it anything, too, and then with another model."""

    def __init__(self, engine: RemoteEngine) -> None:
        self._engine = engine
        self._has_read = False
        self._refusal: EngineRefused | None = None

    def check(self, reused: int | None) -> None:
        """Told at each request how many tokens the server knew already (None: it does not tell).

        Raises EngineRefused if it knew none, though it has read them, and turns out to serve another model; and from
        then on. Another session may have taken the slot, of course; reading all again then costs more than asking.
        """
        if self._refusal:
            raise self._refusal
        if reused == 0 and self._has_read:
            try:
                self._engine.asking(self._engine.dialect.check_model)
            except EngineRefused as refusal:
                self._refusal = refusal
                raise
        self._has_read = True
