"""How the model beside a server tokenises: shows before anything is loaded whether their vocabularies are the same."""

from __future__ import annotations

from collections.abc import Sequence

from baton_reasoning.core.engines.base import Engine
from baton_reasoning.core.models.options import ModelSource, local_path


def probe_beside(source: ModelSource, loaded: Engine | None) -> Sequence[int]:
    """Tokenise `remote.protocol.PROBE` with a model: the loaded one, else the tokenizer in its file.

    Empty if it is on a server too, or cannot be read. Takes a moment.
    """
    # Imported in the thread that asks.
    from baton_reasoning.core.engines.local.tokenizer import tokenize_by
    from baton_reasoning.core.engines.remote.protocol import PROBE
    from baton_reasoning.core.errors import BatonError

    path = loaded.card.path if loaded and loaded.card.path else local_path(source)
    try:
        return tokenize_by(path, PROBE) if path else ()
    except BatonError:
        return ()  # the vocabulary counts as unknown; loading the file reports what is wrong with it
