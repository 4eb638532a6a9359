"""A model and its context through llama-cpp-python's low-level API: tokens in, logits out. Runs in the child process.

Nothing here knows of sessions or requests; the scheduler does. Names follow llama.h, where each call is described.
"""

from __future__ import annotations

import copy
import ctypes
import os
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llama_cpp import llama_cpp as ll

from baton_reasoning.core.engines.base import RAM, Alternative, DeviceShare, Stop
from baton_reasoning.core.engines.local.messages import WorkerOptions
from baton_reasoning.core.engines.local.sampling import NONE, Ids, Logits, Sampler, largest
from baton_reasoning.core.engines.local.threads import ThreadChoice, attach_pool, default_threads
from baton_reasoning.core.models.devices import gpu_names, registry
from baton_reasoning.core.models.load_options import LoadOptions, Switch

_ERROR = 4  # GGML_LOG_LEVEL_ERROR

CHUNK = 64
"""Tokens per decode of a prefill on a CPU: larger chunks are hardly faster, and seeded results must not depend on a
measurement."""
CHUNK_SECONDS = 0.3
"""How long a chunk may take on a device whose decodes cannot be aborted: Stop waits for its end."""
_TRIAL = 16
Snapshot = ctypes.Array[ctypes.c_uint8]
"""A recurrent state, in the buffer into which llama.cpp copied it."""
_LOG_CALLBACKS: list[Any] = []
"""Kept alive: llama.cpp calls the last one also after its model is gone."""


class LoadError(Exception):
    """llama.cpp could not load the model or make a context; the text is its own last message."""


class BatchEntry(NamedTuple):
    """One token to decode: where it goes, and whether its logits are wanted."""

    id: int
    position: int
    sequence: int
    wants_logits: bool


class Decoded:
    """What llama_decode returned (llama.h): 0 done, 1 the KV cache is full, 2 aborted, negative an error."""

    DONE, NO_ROOM, ABORTED = 0, 1, 2


class Tokenizer:
    """Makes tokens of texts; of `Llama`, the part that needs no model."""

    def __init__(self, vocab: Any, space_prefix: bool) -> None:
        """`vocab`: llama.h's. `space_prefix`: it puts a blank before any text."""
        self.vocab = vocab
        self.space_prefix = space_prefix

    @lru_cache(maxsize=256)  # noqa: B019  it lives as long as its process
    def tokenize(self, text: str, special: bool) -> tuple[int, ...]:
        """Tokenize a text on its own, without BOS; control tokens are recognised if `special`."""
        if not text:
            return ()
        if self.space_prefix:
            # A newline in front takes the blank, and goes again.
            guarded = self._tokenize("\n" + text, special)
            return guarded[len(self._tokenize("\n", special)) :]
        return self._tokenize(text, special)

    def tokenize_beginning(self, text: str, special: bool) -> tuple[int, ...]:
        """Tokenize the beginning of a prompt, as `tokenize`, with the blank that the tokenizer puts before it."""
        return self._tokenize(text, special) if text else ()

    def _tokenize(self, text: str, special: bool) -> tuple[int, ...]:
        data = text.encode("utf-8", errors="replace")  # a lone surrogate has no UTF-8
        capacity = len(data) + 8
        ids = (ll.llama_token * capacity)()
        count = ll.llama_tokenize(self.vocab, data, len(data), ids, capacity, False, special)
        return tuple(ids[:count])


class Llama(Tokenizer):
    """One loaded model with one context of `parallel` sequences."""

    def __init__(self, options: WorkerOptions, on_progress: Callable[[float], None]) -> None:
        """`on_progress` is called with the fraction of the model that is loaded, 0 to 1, for each tensor."""
        load = options.load
        self.threads = load.threads or default_threads()
        """The largest number of threads of a decode."""
        self.batch_size = load.batch
        self._said: deque[str] = deque(maxlen=20)
        self._log: deque[str] = deque(maxlen=10_000)
        self._listen_to_log()
        registry()  # loads the back ends that are plug-ins
        ll.llama_backend_init()
        self.model = self._load(options, on_progress)
        super().__init__(ll.llama_model_get_vocab(self.model), options.space_prefix)
        self.vocabulary_size: int = ll.llama_vocab_n_tokens(self.vocab)
        self.sampler = Sampler(self.vocabulary_size)
        self.bos_id: int = ll.llama_vocab_bos(self.vocab)
        self.eos_id: int = ll.llama_vocab_eos(self.vocab)
        self.adds_bos = bool(ll.llama_vocab_get_add_bos(self.vocab)) and self.bos_id >= 0
        self._make_context(load)
        self.returns_early = False
        """Whether a decode returns while its device still computes; the logits wait for it."""
        self.chunk = self._measured_chunk(load.batch) if self.has_common_cache else min(CHUNK, load.batch)
        """Tokens per decode of a prefill."""
        self.shares = shares_of(self._log, gpu_names())
        """Bytes of the model on each device."""

    # Loading -----------------------------------------------------------------------------------------------------

    def _listen_to_log(self) -> None:
        log, said = self._log, self._said

        def heard(level: int, text: bytes, _: Any) -> None:
            line = text.decode(errors="replace")
            log.append(line)
            if level >= _ERROR:
                said.append(line.strip())
                os.write(2, text)  # the program reads the reason there if ggml aborts next

        callback = ll.llama_log_callback(heard)
        _LOG_CALLBACKS.append(callback)
        ll.llama_log_set(callback, ctypes.c_void_p(0))

    def _load(self, options: WorkerOptions, on_progress: Callable[[float], None]) -> Any:
        def progressed(fraction: float, _: Any) -> bool:
            on_progress(fraction)
            return True  # go on

        params = ll.llama_model_default_params()
        params.progress_callback = ll.llama_progress_callback(progressed)
        params.n_gpu_layers = 999 if options.load.gpu_layers < 0 else options.load.gpu_layers
        no_device = (ctypes.c_void_p * 1)(None)
        if not options.load.gpu_layers:
            # Without layers a GPU would still be given a compute buffer, and large batches. It may have no room for it.
            params.devices = ctypes.cast(no_device, ctypes.c_void_p)
        model = ll.llama_model_load_from_file(os.fsencode(options.path), params)
        if not model:
            raise LoadError("; ".join(self._said) or "llama.cpp gave no reason")
        return model

    def _make_context(self, load: LoadOptions) -> None:
        params = ll.llama_context_default_params()
        params.n_ctx = load.context * load.parallel
        params.n_batch = params.n_ubatch = load.batch
        params.n_seq_max = load.parallel
        params.n_threads = params.n_threads_batch = self.threads
        # In a common cache each token is compared with the cells of all sequences, and a CPU pays for each: a decode
        # of 16 texts of 512 tokens took 300 ms, with a cache per sequence 211 ms (SmolLM2). But then a batch is split
        # where a sequence between others is silent, and each part reads all weights again: on a GPU that costs more.
        self.has_common_cache = ll.llama_supports_gpu_offload() and load.gpu_layers != 0
        params.kv_unified = self.has_common_cache
        params.no_perf = True
        params.type_k = params.type_v = load.kv_type.value
        flash_attention = load.flash_attention
        if flash_attention is Switch.AUTOMATIC and not self.has_common_cache and not load.kv_type.is_quantised:
            # On a CPU flash attention for one token gives each thread a part of the text, so that another number of
            # threads rounds differently: the text of a seed would depend on it. Without it, it does not, and many
            # sequences decode up to twice as fast. The scores take memory: no more tokens than a chunk at once.
            flash_attention = Switch.OFF
            params.n_ubatch = min(load.batch, CHUNK)
        if flash_attention is not Switch.AUTOMATIC:
            params.flash_attn_type = int(flash_attention is Switch.ON)
        self.context = ll.llama_init_from_model(self.model, params)
        if not self.context:
            raise LoadError("; ".join(self._said) or "there is not enough memory for the context")
        self.context_length = load.context
        self.memory = ll.llama_get_memory(self.context)
        self.batch = ll.llama_batch_init(load.batch, 0, 1)
        attach_pool(self.context, self.threads)
        self._make_abortable()
        is_split = load.flash_attention is Switch.ON and not load.kv_type.is_quantised
        is_fixed = load.threads or is_split or self.has_common_cache
        self.thread_choice = None if is_fixed else ThreadChoice(self.threads)
        """None where the number of threads stays: a person chose it, or another number would change the text."""

    def sibling(self, load: LoadOptions) -> Llama:
        """Make another context over the same weights.

        Free it with `close_context`. Raises LoadError if memory does not hold it.
        """
        other = copy.copy(self)
        other._make_context(load)
        return other

    def close_context(self) -> None:
        ll.llama_batch_free(self.batch)
        ll.llama_free(self.context)

    def _measured_chunk(self, batch: int) -> int:
        """Time the second of two small decodes: the first one compiles shaders."""
        entries = [BatchEntry(max(self.bos_id, 0), i, 0, False) for i in range(min(_TRIAL, batch))]
        seconds = 0.0
        for _ in range(2):
            began = time.perf_counter()
            self.decode(entries)
            returned = time.perf_counter() - began
            ll.llama_synchronize(self.context)
            seconds = time.perf_counter() - began
            self.returns_early = returned < seconds / 2
            self.truncate(0, 0)
        return chunk_for(len(entries) / max(seconds, 1e-6), batch)

    # Abort -------------------------------------------------------------------------------------------------------

    def _make_abortable(self) -> None:
        """Set an abort callback, which llama.cpp calls between graph nodes (CPU and Metal).

        A Python function there would cost milliseconds a token, so it is the C library's strlen: of an empty string it
        returns 0, go on.
        """
        library = ctypes.cdll.msvcrt if os.name == "nt" else ctypes.CDLL(None)
        address = ctypes.cast(library.strlen, ctypes.c_void_p).value
        assert address is not None
        self._abort_flag = ctypes.create_string_buffer(2)
        self._abort_callback = ll.ggml_abort_callback(address)
        ll.llama_set_abort_callback(self.context, self._abort_callback, ctypes.cast(self._abort_flag, ctypes.c_void_p))

    def abort(self, wanted: bool = True) -> None:
        """Ask a running decode to stop (from any thread); `wanted=False` withdraws that before the next one."""
        self._abort_flag[0] = b"\x01" if wanted else b"\x00"

    # Text --------------------------------------------------------------------------------------------------------

    @lru_cache(maxsize=65536)  # noqa: B019
    def piece(self, token: int) -> bytes:
        """Return the bytes of a token, control tokens as their text."""
        capacity = 64
        while True:
            text = ctypes.create_string_buffer(capacity)
            size = ll.llama_token_to_piece(self.vocab, token, text, capacity, 0, True)
            if size >= 0:
                return text.raw[:size]
            capacity = -size

    def text_or_control(self, token: int) -> bytes:
        """Return the bytes of a token; for a control token, bytes that no text contains."""
        return b"\xff%d\xff" % token if ll.llama_vocab_is_control(self.vocab, token) else self.piece(token)

    def text(self, token: int) -> str:
        """Return the text of a token; empty if it is none (−1)."""
        return self.piece(token).decode(errors="replace") if token >= 0 else ""

    # Memory ------------------------------------------------------------------------------------------------------

    def truncate(self, sequence: int, length: int) -> bool:
        """Keep the first `length` tokens of a sequence; return False if its memory cannot be truncated there."""
        return bool(ll.llama_memory_seq_rm(self.memory, sequence, length or -1, -1))

    def copy(self, source: int, sequence: int, length: int) -> None:
        """Make an empty sequence hold the first `length` tokens of another one. Memory must support truncation."""
        if self.has_common_cache:
            ll.llama_memory_seq_cp(self.memory, source, sequence, 0, length)
        else:  # llama.cpp copies between separate caches only as a whole
            ll.llama_memory_seq_cp(self.memory, source, sequence, -1, -1)
            self.truncate(sequence, length)

    def snapshot(self, sequence: int) -> Snapshot:
        """Save the part of a sequence's memory that cannot be truncated (its recurrent state)."""
        flags = ll.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
        size = ll.llama_state_seq_get_size_ext(self.context, sequence, flags)
        state: Snapshot = (ctypes.c_uint8 * size)()
        ll.llama_state_seq_get_data_ext(self.context, state, size, sequence, flags)
        return state

    def restore(self, sequence: int, state: Snapshot) -> bool:
        flags = ll.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
        return bool(ll.llama_state_seq_set_data_ext(self.context, state, len(state), sequence, flags))

    # Decoding ----------------------------------------------------------------------------------------------------

    def decode(self, entries: list[BatchEntry]) -> int:
        """Decode up to `batch_size` tokens of any sequences; return a value of `Decoded`."""
        batch = self.batch
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, wants_logits) in enumerate(entries):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = wants_logits
        choice = self.thread_choice
        if choice and choice.threads != ll.llama_n_threads(self.context):
            ll.llama_set_n_threads(self.context, choice.threads, choice.threads)
            attach_pool(self.context, choice.threads)
        began = time.perf_counter()
        result: int = ll.llama_decode(self.context, batch)
        if choice and result == Decoded.DONE:
            choice.record(time.perf_counter() - began)
        return result

    def logits(self, entry: int) -> Logits:
        """Return the logits (vocabulary_size) after this entry of the last batch: a view, until the next decode."""
        pointer = ll.llama_get_logits_ith(self.context, entry)
        return np.ctypeslib.as_array(pointer, (self.vocabulary_size,))

    # What comes next ---------------------------------------------------------------------------------------------

    def stop_after(self, token: int, remaining: int, cached: int) -> Stop | None:
        """Tell why a text ends with this token, if it does: it is an end token (eos, eot, eom), no token `remaining`
        may follow it, or the context is full with the `cached` tokens and this one."""
        if ll.llama_vocab_is_eog(self.vocab, token):
            return Stop.END_OF_TEXT
        if remaining <= 0:
            return Stop.LIMIT
        return Stop.CONTEXT_FULL if cached + 1 >= self.context_length else None

    def likelihood(
        self, logits: Logits, chosen: int, count: int, likeliest: Ids = NONE
    ) -> tuple[float, tuple[Alternative, ...], float]:
        """Return the log-probability of the chosen token, the `count` likeliest, and the entropy, before any filter.

        `likeliest`: as many of them as are known already, the likeliest first.
        """
        log_total, entropy = self.sampler.chances(logits)
        others = (likeliest[:count] if count <= len(likeliest) else largest(logits, count)).tolist()
        alternatives = (Alternative(id, self.text(id), float(logits[id]) - log_total) for id in others)
        return float(logits[chosen]) - log_total, tuple(alternatives), entropy


def chunk_for(tokens_a_second: float, batch: int) -> int:
    """Return the largest of a few sizes that decodes within CHUNK_SECONDS.

    They are few, so that a measurement rarely changes the size, and with it the text of a seed.
    """
    sizes = [size for size in (_TRIAL, 64, 256) if size < batch] + [batch]
    return max((size for size in sizes if size <= tokens_a_second * CHUNK_SECONDS), default=sizes[0])


# Where the model lies -------------------------------------------------------------------------------------------------

_LAYER = re.compile(r"layer\s+\d+ assigned to device (\S+),")
_BUFFER = re.compile(r"(\S+) +(?:DSV4 \S+ )?(model|KV|RS|state|compute|output) buffer size = +([\d.]+) MiB")


def shares_of(log: Iterable[str], gpus: Collection[str]) -> tuple[DeviceShare, ...]:
    """Sum up what llama.cpp's log says of each device while a model is loaded: its API has no call for that.

    Returns the share of each device, GPUs first, in ggml's order; `gpus`: ggml's names of them.

    load_tensors: layer  12 assigned to device CUDA0, is_swa = 0         llama-model.cpp
    load_tensors:        CUDA0 model buffer size =  4460.45 MiB
    llama_kv_cache:      CUDA0 KV buffer size =   448.00 MiB             llama-kv-cache.cpp; RS: running states
    sched_reserve:       CUDA0 compute buffer size =   304.75 MiB        llama-context.cpp; output: logits
    """
    held = {device: Counter[str]() for device in (*gpus, RAM)}
    compute: dict[str, int] = {}
    """By buffer: they are measured again when something changes."""
    for line in log:
        if found := _LAYER.search(line):
            held[_device_of(found[1], gpus)]["layers"] += 1
        elif found := _BUFFER.search(line):
            name, kind, size = found[1], found[2], round(float(found[3]) * 2**20)
            device = _device_of(name, gpus)
            if kind == "compute":
                compute[name] = size
            else:
                held[device][kind] += size
    for name, size in compute.items():
        held[_device_of(name, gpus)]["compute"] += size
    return tuple(
        DeviceShare(
            device=device,
            layers=found["layers"],
            weights=found["model"],
            cache=found["KV"] + found["RS"] + found["state"],
            compute=found["compute"] + found["output"],
        )
        for device, found in held.items()
        if found or device == RAM
    )


def _device_of(buffer: str, gpus: Collection[str]) -> str:
    """Find the device of a buffer: “MTL0_Mapped” is a GPU's; “CPU_Mapped”, “AMX” and “CUDA_Host” are in RAM."""
    owners = [gpu for gpu in gpus if buffer == gpu or buffer.startswith(f"{gpu}_")]
    return owners[0] if owners else RAM
