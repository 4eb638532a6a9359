"""Problems and answers alone, as plain text."""

from __future__ import annotations

from baton_reasoning.core.export.exported import Exported


def to_text(exported: Exported) -> str:
    shown = [f"{each.exchange.problem}\n\n{each.trace.answer.strip()}" for each in exported.path()]
    return "\n\n---\n\n".join(shown) + "\n"
