"""What a model's process runs first. It imports nothing else, so that the program can name it without llama.cpp."""

from typing import Any


def run_worker(*arguments: Any) -> None:
    """`worker.main`: imported in the child only, since llama.cpp's binding and numpy take a third of a second."""
    from core.engines.local.worker import main

    main(*arguments)
