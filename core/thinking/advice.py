"""Advice after a run that ended well, but in which the large model never wrote."""

from __future__ import annotations

from core.engines.body import Author
from core.thinking.events import Finish
from core.thinking.trace import Trace

FEW_STEPS = 2
"""Shorter answers have no room for a cue."""


def advice_on(trace: Trace) -> str:
    """What happened and what to do, or an empty text.

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
