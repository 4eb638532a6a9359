"""The entry point of a model's process, in a module that the program can import without llama.cpp."""

from typing import Any


def run_worker(*arguments: Any) -> None:
    """Run `worker.main`, imported in the child only: llama.cpp's binding and numpy take a third of a second."""
    from baton_reasoning.core.engines.local.worker import main

    main(*arguments)
