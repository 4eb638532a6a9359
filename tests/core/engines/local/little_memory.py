"""Run in a process of its own: load a model where memory is short, and print how it went.

    python -m tests.core.engines.local.little_memory BYTES FILE CONTEXT PARALLEL BATCH

The limit on address space holds for this process and the model's, not for the tests', which are larger already.
"""

import resource
import sys
from pathlib import Path

from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.errors import OutOfMemory
from baton_reasoning.core.models.options import LoadOptions, Switch


def main(limit: int, file: str, context: int, parallel: int, batch: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        options = LoadOptions(context=context, parallel=parallel, batch=batch, threads=1)
        # Without it a CPU reads no more than a chunk at once, whatever the batch.
        engine = LocalEngine(Path(file), options.model_copy(update={"flash_attention": Switch.ON}))
    except OutOfMemory as error:
        print(f"out of memory: {error}")
        return
    assert engine.card.placement is not None
    print(f"{engine.card.placement.fallback}; {engine.loaded_as.batch}; {len(engine.tokenize('It loads, and works.'))}")
    engine.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
