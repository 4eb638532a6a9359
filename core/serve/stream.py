"""Turns one run into an asynchronous stream: the models write in a thread, the endpoint sends what has settled.

The client may go away at any time; closing the stream stops the run, and its thread ends before the next request may
use the slot.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, NamedTuple

from baton_reasoning.core.engines.base import Messages
from baton_reasoning.core.errors import BatonError, ContextFull, EngineError
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import CUT_OFF, Event, Finish, PrefillProgressed, TokenWritten
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.trace import Trace

_log = logging.getLogger(__name__)


class SettledText(NamedTuple):
    """Text that a client may be sent: none of it will be discarded."""

    reasoning: str
    content: str


class RunStream:
    """Runs one arm on one conversation and yields the text that may be sent; knows its cost and who wrote what."""

    def __init__(self, pair: Pair, conversation: Messages, settings: RunSettings, stops: Sequence[str]) -> None:
        self.trace = Trace()
        """Of the whole run."""
        self.stopped_at = ""
        """The stop string that ended the answer."""
        self._pair = pair
        self._conversation = conversation
        self._settings = settings
        self._stops = stops
        self._longest_stop = max(map(len, stops), default=1)
        self._control = Control()
        self._queue: asyncio.Queue[Event | int | BatonError | None] = asyncio.Queue()
        """Events of the run, and among them positions before which the text has settled; None at its end."""
        self._taken = 0
        """Characters of the body that have settled."""
        self._content = ""
        """The answer, as far as it has settled."""
        self._thinking_sent = self._content_sent = 0
        """Characters."""

    def stop(self) -> None:
        """End the run at its next token; what has settled is still yielded."""
        self._control.stop()

    async def texts(self) -> AsyncGenerator[SettledText, None]:
        """Yield the texts of the run. The first is empty: it says that the models have begun, so the prompt fits.

        Raises BatonError if the run fails, ContextFull if not even its prompt fits. Closed early, it stops the run and
        waits for its thread.
        """
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._write, args=(loop,), name="serve a request")
        thread.start()
        begun = False
        try:
            while (item := await self._queue.get()) is not None:
                if isinstance(item, BatonError):
                    raise item
                if not begun and isinstance(item, TokenWritten | PrefillProgressed):
                    begun = True
                    yield SettledText("", "")
                if not isinstance(item, int):
                    self.trace.apply(item)
                    continue
                if text := self._until_stop(self._settled(item), over=False):
                    yield text
                if self.stopped_at:
                    return
            if text := self._until_stop(SettledText("", ""), over=True):
                yield text
            ended = self.trace.ended
            if ended and ended.finish is Finish.CONTEXT_FULL and not self.trace.tokens:
                raise ContextFull(ended.reason or "The prompt does not fit the context.")
            if ended and ended.finish is Finish.FAILED:
                raise EngineError(ended.reason or "The run failed.")
        finally:
            self._control.stop()
            await asyncio.shield(asyncio.to_thread(thread.join))

    def _settled(self, end: int) -> SettledText:
        """Return the text up to `end` that has not been sent, without the closing tag."""
        trace, start, self._taken = self.trace, self._taken, end
        if not trace.thinks:
            return SettledText("", trace.text_between(start, end))
        if trace.closed is None:
            return SettledText(trace.text_between(start, end), "")
        opening, answer = trace.closed.position - len(trace.closed.tag), trace.closed.position
        return SettledText(trace.text_between(start, min(end, opening)), trace.text_between(max(start, answer), end))

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        def put(item: Event | int | BatonError | None) -> None:
            loop.call_soon_threadsafe(self._queue.put_nowait, item)

        try:
            for event in run(self._pair, self._conversation, self._settings, control=self._control, on_settled=put):
                put(event)
            put(None)
        except BatonError as error:
            put(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours is this request's error; the endpoint goes on
            _log.exception("a request to the endpoint")
            put(BatonError(f"An unexpected error: {type(error).__name__}: {error}."))

    def _until_stop(self, text: SettledText, over: bool) -> SettledText | None:
        """Truncate at a stop string; the end of the text waits while it may be the beginning of one.

        Of several, the one that is complete first counts, whether the text settles by letters or all at once.
        White space between the thinking and the answer is dropped.
        """
        self._content += text.content if self._content else text.content.lstrip()
        start = self._content_sent
        searched = max(0, start - self._longest_stop)
        found = [(place, stop) for stop in self._stops if (place := self._content.find(stop, searched)) >= 0]
        if found:
            self._content_sent, self.stopped_at = min(found, key=lambda each: (each[0] + len(each[1]), each[0]))
        else:
            waiting = 0 if over else self._longest_stop - 1
            self._content_sent = max(start, len(self._content) - waiting)
        self._thinking_sent += len(text.reasoning)
        ready = SettledText(text.reasoning, self._content[start : self._content_sent])
        return ready if any(ready) else None

    @property
    def finish_reason(self) -> str:
        """OpenAI's: “stop” or “length”."""
        return "length" if not self.stopped_at and self.trace.finish in CUT_OFF else "stop"

    def usage(self) -> dict[str, Any]:
        """Report the usage as OpenAI does. `cached_tokens` are prompt tokens that the first writer's KV cache held."""
        trace = self.trace
        prompt = trace.started.prompt_tokens if trace.started else 0
        first = next((span.handoff for span in trace.pieces if span.handoff), None)
        reasoning = sum(len(span.tokens) for span in trace.pieces if not span.in_answer) if trace.thinks else 0
        return {
            "prompt_tokens": prompt,
            "completion_tokens": trace.tokens,
            "total_tokens": prompt + trace.tokens,
            "prompt_tokens_details": {"cached_tokens": min(prompt, first.reused) if first else 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }

    def authorship(self, separator: str) -> dict[str, Any]:
        """Report who wrote what: the extension field `baton` of a response.

        Positions are characters of what was sent: the thinking, the separator, the answer.
        """
        trace = self.trace
        return {
            "policy": trace.started.policy if trace.started else self._settings.policy.policy,
            "seed": self._settings.seed,
            "large_share": round(trace.large_share, 4),
            "takeovers": trace.takeovers,
            "discarded_tokens": sum(total.discarded for total in trace.totals.values()),
            "seconds": round(trace.seconds, 3),
            "finish": trace.finish.value if trace.finish else "stopped",
            "spans": list(self._spans(len(separator))),
        }

    def _spans(self, gap: int) -> Iterator[dict[str, Any]]:
        """Yield the spans of each writer. The closing tag, and blanks between it and the answer, are not sent."""
        trace, thinking = self.trace, self._thinking_sent
        answer = len(trace.text) - len(trace.answer.lstrip())
        shift = thinking + (gap if thinking else 0) - answer
        sent = ((0, thinking, 0), (answer, answer + self._content_sent, shift))
        for piece in trace.pieces:
            for first, last, moved in sent:
                start, end = max(piece.position, first), min(piece.end_position, last)
                if start < end:
                    yield {
                        "author": piece.author.value,
                        "position": start + moved,
                        "length": end - start,
                        "step": piece.step,
                    }
