"""What Baton 0.1 wrote, in the shape of schema 2: events of traces, and run settings in traces, batches and the
settings file. The only place that knows the old names; its tables never change.

Schema 1 had one flat `parameters` for all policies beside `policy` (a name), the field `rule` where `reason` is now,
the event `counted` with the keyword policy's three counters, `read_along` for `prefetch`, and other names in cards.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_KEYWORDS = (
    "n1 n2 n3 n3_step n3_most c c_step c_most opening auxiliary_prompt match keep_lookahead stop_at_first_cue until "
    "scope one_cue"
)
_PARAMETERS = {
    "keywords": _KEYWORDS.split(),
    "first-token-entropy": ["tau", "step_cap"],
    "step-score": ["threshold", "step_cap", "weighted"],
    "every-step": ["opening", "n1", "until"],
    "random": ["p", "n1", "until"],
    "never": [],
    "always": [],
}
"""The parameters that each policy read."""


_CARD = {
    "gives_ids": "returns_token_ids",
    "gives_alternatives": "returns_alternatives",
    "can_be_cut": "supports_truncation",
    "reads_along": "supports_prefetch",
    "place": "location",
}
"""Fields of a model card, by their old names."""


def upgrade_settings(data: Json) -> Json:
    """Run settings of schema 1 or 2 as schema 2 has them; what makes no sense is left for validation to refuse."""
    policy = data.get("policy", "keywords")
    if not isinstance(policy, str) or ("policy" not in data and "parameters" not in data):
        return data
    parameters = data.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    chosen = {name: parameters[name] for name in _PARAMETERS.get(policy, ()) if name in parameters}
    if policy == "every-step" and chosen.get("opening") == 0:
        del chosen["opening"]  # 0 stood for the default
    rest = {name: value for name, value in data.items() if name not in ("policy", "parameters")}
    return {"policy": {"policy": policy, **chosen}, **rest}


def upgrade_event(data: Json) -> Json:
    """An event of schema 1 or 2 as schema 2 has it."""
    match data:
        case {"event": "run_started", "settings": dict(settings)}:
            cards = {author: _upgrade_card(data.get(author)) for author in ("small", "large")}
            return {**data, **cards, "settings": upgrade_settings(settings)}
        case {"event": "read_along"}:
            return {**data, "event": "prefetch"}
        case {"event": "billed", "bill": usage}:
            return {"event": "usage", "at": data.get("at"), "author": data.get("author"), "usage": usage}
        case {"event": "token", "alternatives": [dict(), *_] as alternatives}:
            return {**data, "alternatives": [[each.get(n) for n in ("id", "text", "logprob")] for each in alternatives]}
        case {"event": "counted"}:
            counters = {
                "reflections": data.get("reflections", 0),
                "c": data.get("limit", 0),
                "firings": data.get("firings", 0),
            }
            return {"event": "counters_changed", "at": data.get("at"), "counters": counters}
        case {"event": "write_started" | "takeover_started" | "text_inserted", "rule": reason}:
            return {**{name: value for name, value in data.items() if name != "rule"}, "reason": reason}
    return data


def _upgrade_card(card: Any) -> Any:
    if not isinstance(card, dict):
        return card
    renamed = {_CARD.get(name, name): value for name, value in card.items() if name != "own"}
    own = card.get("own")
    if not isinstance(own, dict) or not own:
        return renamed
    overrides = {name: value for name, value in own.items() if name != "thinking"}
    if isinstance(tags := own.get("thinking"), dict):
        overrides |= {"tags": "others" if tags.get("opening") else "none", **tags}
    return {**renamed, "overrides": overrides}
