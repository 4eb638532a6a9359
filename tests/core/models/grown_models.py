"""Run in a process of its own: tiny models of any architecture, grown by asking llama.cpp what it misses.

    python -m tests.core.models.grown_models FOLDER '[{"architecture": …, "keys": {…}, "wanted": […]}, …]'

llama.cpp names a tensor that is not there, or the shape it wants; that is added until the model loads. Then it is
opened, and what its memory takes is printed as JSON. `wanted` are tensors it can do without, but not well.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import llama_cpp

from tests.core.models.gguf_builder import TensorSpec, values_of_a_llama, write_gguf

MISSING = re.compile(r"tensor '([^']+)' not found")
OTHER_SHAPE = re.compile(r"tensor '([^']+)' has wrong shape; expected\s+([\d, ]+), got")
BUFFER = re.compile(r"(KV|RS) buffer size\s*=\s*([\d.]+) MiB")
MOST_ATTEMPTS = 1000


def main(folder: Path, recipes: list[dict[str, Any]]) -> None:
    log: list[str] = []

    def keep(_level: int, text: bytes, _user: Any) -> None:
        log.append(text.decode(errors="replace"))

    callback = llama_cpp.llama_log_callback(keep)
    llama_cpp.llama_log_set(callback, None)
    llama_cpp.llama_backend_init()
    for recipe in recipes:
        model = grown(folder, recipe, log)
        log.clear()
        options = llama_cpp.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = 3 * 1024, 64, 64
        options.n_seq_max, options.kv_unified = 3, True
        context = llama_cpp.llama_init_from_model(model, options)
        taken = {"KV": 0.0, "RS": 0.0}
        for kind, size in BUFFER.findall("".join(log)):
            taken[kind] += float(size)
        uncut = llama_cpp.llama_model_is_recurrent(model) or llama_cpp.llama_model_is_hybrid(model)
        print(json.dumps({"kv_mib": taken["KV"], "state_mib": taken["RS"], "supports_truncation": not uncut}))
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)


def grown(folder: Path, recipe: dict[str, Any], log: list[str]) -> Any:
    values = values_of_a_llama(tokenizer__ggml__token_type=None, general__architecture=recipe["architecture"])
    values |= {f"{recipe['architecture']}.{key}": value for key, value in recipe["keys"].items()}
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(recipe["wanted"], (1,))
    path = folder / f"{recipe['architecture']}.gguf"
    for _ in range(MOST_ATTEMPTS):
        write_gguf(path, values, tensors=[TensorSpec(name, shape) for name, shape in shapes.items()])
        log.clear()
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if model:
            return model
        said = "".join(log)
        if missing := MISSING.search(said):
            shapes[missing[1]] = (1,)
        elif other := OTHER_SHAPE.search(said):
            lengths = tuple(int(length) for length in other[2].split(",") if length.strip())
            shapes[other[1]] = lengths
        else:
            break
    raise SystemExit(f"{recipe['architecture']} does not grow: {said[-1000:]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
