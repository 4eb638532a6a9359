"""Run in a process of its own: what llama.cpp itself says it allocated, as JSON, one line a configuration.

python -m tests.core.models.loaded_memory MODEL '[[cells, kv type, batch, sequences, flash attention], …]'
"""

import json
import re
import sys
from typing import Any

import llama_cpp

BUFFER = re.compile(r"(\S+) (model|KV|compute) buffer size\s*=\s*([\d.]+) MiB")


def main(path: str, configurations: list[list[int]]) -> None:
    log: list[str] = []

    def keep(_level: int, text: bytes, _user: Any) -> None:
        log.append(text.decode(errors="replace"))

    callback = llama_cpp.llama_log_callback(keep)  # held here, or it is collected while llama.cpp calls it
    llama_cpp.llama_log_set(callback, None)
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    model_bytes = sum(buffers(log).values())
    for cells, kv_type, batch, sequences, flash in configurations:
        log.clear()
        options = llama_cpp.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = cells, batch, batch
        options.type_k = options.type_v = kv_type
        options.n_seq_max, options.kv_unified = sequences, True
        options.flash_attn_type = -1 if flash else 0  # automatic, or off
        opened = llama_cpp.llama_init_from_model(model, options)
        found = buffers(log)
        print(json.dumps({"model": model_bytes, "kv": found["KV"], "compute": found["compute"]}))
        llama_cpp.llama_free(opened)


def buffers(log: list[str]) -> dict[str, float]:
    """Bytes by kind, over all devices and caches, without what a CPU repacks: its pages can be given back."""
    sums = dict.fromkeys(("model", "KV", "compute"), 0.0)
    for name, kind, size in BUFFER.findall("".join(log)):
        if name != "AMX" and not name.endswith("_REPACK"):
            sums[kind] += float(size) * 2**20
    return sums


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
