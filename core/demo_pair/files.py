"""Where the demo pair lies inside the installed program."""

from __future__ import annotations

from pathlib import Path

import resources

FOLDER = Path(resources.__path__[0]) / "demo_pair"
SMALL_MODEL = FOLDER / "small.gguf"
LARGE_MODEL = FOLDER / "large.gguf"
MODEL_CARD = FOLDER / "MODEL_CARD.md"
READY_PROBLEMS = FOLDER / "problems.jsonl"
"""Twenty problems to try."""
BATCH_PROBLEMS = FOLDER / "batch.jsonl"
"""Three hundred held-out problems for the batch screen, none of them among the twenty."""
