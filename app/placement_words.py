"""How a model was really loaded, and what it draws with, as facts for people: a name and a value each."""

from __future__ import annotations

from collections.abc import Iterator

from core.engines.model_card import DeviceShare, ModelCard
from core.errors import SettingsError
from core.models.fit import in_gib
from core.models.overrides import ModelOverrides
from core.thinking.cues import parse_lexicon

Fact = tuple[str, str]


def placement_facts(card: ModelCard) -> Iterator[Fact]:
    """What lies where, in the words of `Placement`. Nothing for a model on a server."""
    if (placed := card.placement) is None:
        return
    threads = f"{placed.threads} thread{'s' if placed.threads != 1 else ''}"
    yield "Loaded with", f"{card.context:,} tokens, batch {placed.batch}, {threads}, {placed.kv_type} KV cache"
    if placed.retreat:
        yield "Less than asked", f"⚠ {retreat_words(card)}"
    for share in placed.shares:
        yield f"In {share.device}", share_words(share)


def retreat_words(card: ModelCard) -> str:
    """One sentence if a model could not be loaded as asked; else nothing."""
    if card.placement is None or not card.placement.retreat:
        return ""
    return f"{card.name} is loaded {card.placement.retreat}, for want of memory."


def share_words(share: DeviceShare) -> str:
    """“31 layers: weights 4.4 GiB, KV cache 448 MiB, compute 304 MiB”."""
    mapped = f" ({in_gib(share.mapped)} of it pages of the file)" if 0 < share.mapped < share.weights else ""
    parts = [f"weights {in_gib(share.weights)}{mapped}" if share.weights else ""]
    parts += [f"KV cache {in_gib(share.cache)}" if share.cache else "", f"compute {in_gib(share.compute)}"]
    return f"{share.layers} layers: {', '.join(filter(None, parts))}"


def own_facts(own: ModelOverrides) -> Iterator[Fact]:
    """What a person set for this model alone."""
    if words := sampling_words(own):
        yield "Own sampling", words
    if own.thinking is not None:
        yield "Own tags", f"{own.thinking.opening} … {own.thinking.closing}" if own.thinking.opening else "none"
    if own.cue_list:
        yield "Own cues", cue_words(own.cue_list)


def sampling_words(own: ModelOverrides) -> str:
    """“temperature 0.6, top-p 0.95”: what is set of them."""
    drawing = [("temperature", own.temperature), ("top-p", own.top_p), ("top-k", own.top_k)]
    return ", ".join(f"{name} {value:g}" for name, value in drawing if value is not None)


def cue_words(cue_list: str) -> str:
    """The cues of a list, without their inflections: “wait, hmm, let me”."""
    try:
        return ", ".join(word for words in parse_lexicon(cue_list).cues.values() for word in words)
    except SettingsError as error:
        return f"✗ {error.message}"
