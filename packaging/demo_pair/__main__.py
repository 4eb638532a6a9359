"""python -m demo_pair train|evaluate|export --seed N: the stages of `make.sh`, each from the files of the last."""

from __future__ import annotations

import argparse
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy
import torch

from demo_pair.export import export
from demo_pair.figures import table
from demo_pair.model import Llama
from demo_pair.tokenizer import TOKENS, encode
from demo_pair.traces import trace
from demo_pair.trainer import LARGE, SMALL, Recipe, train_and_save

DESCRIPTION = "Made to show how Baton works: it continues lists of three-digit terms, and can do nothing else."


def load(recipe: Recipe, folder: Path) -> Llama:
    model = Llama(recipe.shape, len(TOKENS))
    model.load_state_dict(torch.load(folder / f"{recipe.name}.pt"))
    return model.eval()


def export_with_reference(recipe: Recipe, folder: Path) -> None:
    """The GGUF file, and what PyTorch makes of a text, for `parity.py`."""
    model = load(recipe, folder)
    export(model, folder / f"{recipe.name}.gguf", f"Baton demo {recipe.name}", DESCRIPTION)
    text = "".join(span.text for span in trace(random.Random(0), length=12)) + "Anything else, héhé €.\n\n\n1234"
    ids = encode(text)
    with torch.no_grad():
        logits = model.head(model.hidden(torch.tensor([ids])))[0]
    numpy.savez(folder / f"{recipe.name}.npz", text=text, ids=ids, logits=logits.numpy())


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo_pair", description=__doc__)
    parser.add_argument("stage", choices=("train", "evaluate", "export"))
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("build/demo_pair"))
    parser.add_argument("--problems", type=int, default=400)
    arguments = parser.parse_args()
    folder: Path = arguments.folder / f"seed-{arguments.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.stage == "train":
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            runs = [pool.submit(train_and_save, recipe, arguments.seed, folder) for recipe in (SMALL, LARGE)]
            for run in runs:
                run.result()
    elif arguments.stage == "evaluate":
        small, large = load(SMALL, folder), load(LARGE, folder)
        for length, temperature in ((12, 0.6), (10, 0.6), (12, 0.0)):
            for row in table(small, large, length, arguments.problems, temperature):
                print(row, flush=True)
            print()
    else:
        for recipe in (SMALL, LARGE):
            export_with_reference(recipe, folder)


if __name__ == "__main__":
    main()
