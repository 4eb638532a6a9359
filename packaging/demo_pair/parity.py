"""Is the file the model? Compares llama.cpp's tokens and logits with those that PyTorch left behind.

Runs in the program's own environment (llama-cpp-python and numpy, no PyTorch):
    python -m demo_pair.parity MODEL.gguf REFERENCE.npz
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import llama_cpp
import numpy
from numpy.typing import NDArray

TOLERANCE = 0.01
"""Logits; F32 on both sides, but sums in another order."""
QUIET = llama_cpp.llama_log_callback(lambda *_: None)


def tokens_and_logits(path: Path, text: str) -> tuple[list[int], NDArray[numpy.float32]]:
    """llama.cpp's ids of the text, [time], and logits after each of them, [time, vocabulary]."""
    settings = llama_cpp.llama_model_default_params()
    settings.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    ids = _tokens(vocabulary, text.encode())

    options = llama_cpp.llama_context_default_params()
    options.n_ctx = options.n_batch = options.n_ubatch = len(ids)
    options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
    options.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    options.n_threads = options.n_threads_batch = 1
    context = llama_cpp.llama_init_from_model(model, options)
    batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
    for place, id in enumerate(ids):
        batch.token[place], batch.pos[place] = id, place
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
        batch.logits[place] = True
    batch.n_tokens = len(ids)
    if llama_cpp.llama_decode(context, batch):
        raise SystemExit(f"llama.cpp cannot decode {path}.")
    shape = (len(ids), llama_cpp.llama_vocab_n_tokens(vocabulary))
    logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits(context), shape).copy()
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return ids, logits


def _tokens(vocabulary: Any, text: bytes) -> list[int]:
    """Special tokens on, no BOS: as the program tokenises a rendered chat template."""
    buffer = (ctypes.c_int32 * (len(text) + 1))()
    count = llama_cpp.llama_tokenize(vocabulary, text, len(text), buffer, len(buffer), False, True)
    return list(buffer[:count])


def compare(path: Path, reference: Path) -> str:
    """A sentence on how well they agree; SystemExit where they do not."""
    expected = numpy.load(reference)
    ids, logits = tokens_and_logits(path, str(expected["text"]))
    if ids != expected["ids"].tolist():
        raise SystemExit(f"{path.name}: llama.cpp cuts the text into other tokens.")
    difference = float(abs(logits - expected["logits"]).max())
    same_best = float((logits.argmax(-1) == expected["logits"].argmax(-1)).mean())
    verdict = (
        f"{path.name}: {len(ids)} tokens, logits differ by at most {difference:.4f}, best token same {same_best:.1%}"
    )
    if difference > TOLERANCE:
        raise SystemExit(verdict)
    return verdict


if __name__ == "__main__":
    llama_cpp.llama_log_set(QUIET, ctypes.c_void_p(0))
    print(compare(Path(sys.argv[1]), Path(sys.argv[2])))
