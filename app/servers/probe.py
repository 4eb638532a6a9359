"""How the model beside a server tokenises, to say before anything is loaded whether their vocabularies are the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.engines.base import Engine
from core.engines.body import Author


def probe_beside(name: str, loaded: Engine | None, author: Author) -> Sequence[int]:
    """`remote.vocabulary.PROBE` by the model of this name ("" is the demo pair's of the author), by what is loaded
    of it if it is. Empty if it cannot be had: it is on a server itself, or cannot be read. Takes a moment."""
    # Imported in the thread that asks.
    from core.demo_pair import LARGE_MODEL, SMALL_MODEL
    from core.engines.factory import is_address
    from core.engines.local.client import LocalEngine
    from core.engines.local.tokenizer import tokenize_by
    from core.engines.remote.vocabulary import PROBE
    from core.errors import BatonError

    try:
        if isinstance(loaded, LocalEngine):
            return loaded.tokenize(PROBE, special=True)
        if is_address(name):
            return ()
        demo = {Author.SMALL: SMALL_MODEL, Author.LARGE: LARGE_MODEL}[author]
        return tokenize_by(Path(name).expanduser() if name else demo, PROBE)
    except BatonError:
        return ()  # the vocabulary is then said to be unknown; the file's own fault is told when it is loaded
