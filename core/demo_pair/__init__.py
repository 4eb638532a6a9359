"""The demo pair: two tiny models that come with the program, and the problems that they were made for."""

from baton_reasoning.core.demo_pair.settings import (
    BATCH_PROBLEMS,
    DEMO_SETTINGS,
    LARGE_MODEL,
    READY_PROBLEMS,
    SMALL_MODEL,
)
from baton_reasoning.core.demo_pair.task import DemoProblem, held_out_problems

__all__ = [
    "BATCH_PROBLEMS",
    "DEMO_SETTINGS",
    "LARGE_MODEL",
    "READY_PROBLEMS",
    "SMALL_MODEL",
    "DemoProblem",
    "held_out_problems",
]
