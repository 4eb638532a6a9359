"""One model of the pair, from nothing to its file."""

from __future__ import annotations

import random
from pathlib import Path

import numpy
import torch

from demo_pair.export import export
from demo_pair.model import Llama
from demo_pair.tokenizer import encode
from demo_pair.traces import trace
from demo_pair.trainer import Recipe, train

DESCRIPTION = "Made to show how Baton works: it follows a rule on five-digit numbers, and can do nothing else."


def make(recipe: Recipe, seed: int, folder: Path) -> None:
    """Train, export, and leave a reference beside the file; for a process of its own."""
    model = train(recipe, seed, report=lambda line: print(line, flush=True))
    export(model, folder / f"{recipe.name}.gguf", f"Baton demo {recipe.name}", DESCRIPTION)
    write_reference(model, folder / f"{recipe.name}.npz")


def write_reference(model: Llama, path: Path) -> None:
    """What PyTorch makes of a text, for `parity.py`."""
    text = "".join(span.text for span in trace(random.Random(0))) + "Anything else, héhé €.\n\n\n1234"
    ids = encode(text)
    with torch.no_grad():
        logits = model.head(model.hidden(torch.tensor([ids])))[0]
    numpy.savez(path, text=text, ids=ids, logits=logits.numpy())
