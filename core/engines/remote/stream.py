"""One streamed answer, read by a thread of its own, so that whoever waits for it can look at the clock."""

from __future__ import annotations

import queue
import threading
from enum import Enum

from core.engines.remote.failures import garbage
from core.engines.remote.fields import Fields, parsed
from core.engines.remote.line import Line, Payload
from core.errors import EngineError, EngineRefused


class Signal(Enum):
    """What may come instead of an event."""

    SILENCE = "nothing came in that time"
    WOKEN = "somebody called wake()"
    ENDED = "the answer is complete"


class AnswerStream:
    """The events of one answer. A context manager: leaving it closes the socket, and so stops the server."""

    def __init__(self, line: Line, path: str, payload: Payload, most_events: int) -> None:
        self._line = line
        self._messages: queue.SimpleQueue[Fields | Signal | EngineError] = queue.SimpleQueue()
        self._reader = threading.Thread(
            target=self._read, args=(path, payload, most_events), name=f"answer of {line.host}", daemon=True
        )
        self._reader.start()

    def __enter__(self) -> AnswerStream:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader.is_alive():
            self._line.cut()
            self._reader.join()

    def next(self, seconds: float) -> Fields | Signal:
        """The next event, or a signal. Raises the EngineError that ended the answer."""
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            return Signal.SILENCE
        if isinstance(message, EngineError):
            raise message
        return message

    def wake(self) -> None:
        """Make a waiting `next` return, from any thread."""
        self._messages.put(Signal.WOKEN)

    def _read(self, path: str, payload: Payload, most_events: int) -> None:
        try:
            for number, data in enumerate(self._line.events(path, payload)):
                if data == "[DONE]":  # the end in OpenAI's protocol
                    break
                if number >= most_events:
                    raise EngineRefused(
                        f"{self._line.host} goes on writing after the end.", "Look at the server's log."
                    )
                self._messages.put(Fields(parsed(data)))
        except EngineError as error:
            self._messages.put(error)
        except ValueError:
            self._messages.put(garbage(self._line.host))
        finally:
            self._messages.put(Signal.ENDED)
