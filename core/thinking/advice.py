"""What a person should hear about a run that went well and still missed the point."""

from __future__ import annotations

from core.engines.body import Author
from core.thinking.events import Finish
from core.thinking.trace import Trace

FEW_STEPS = 2
"""A short answer has no room for a cue; nothing follows from that."""


def advice_on(trace: Trace) -> str:
    """One sentence and a way on, or nothing.

    A small model that was not trained to reason writes no cues (paper §4.2), so the keywords never find one.
    """
    started = trace.started
    if started is None or started.policy != "keywords" or started.large is None:
        return ""
    if trace.finish is not Finish.END_OF_TEXT or len(trace.steps) <= FEW_STEPS or trace.totals[Author.LARGE].decoded:
        return ""
    return (
        "No cue was found, so the large model never wrote. If the small model does not reflect by itself, "
        "choose the policy “Every step” or “First-token entropy”."
    )
