"""Parses llama.cpp's log for the devices that hold a model: its API has no call for that.

load_tensors: layer  12 assigned to device CUDA0, is_swa = 0         llama-model.cpp
load_tensors:        CUDA0 model buffer size =  4460.45 MiB
llama_kv_cache:      CUDA0 KV buffer size =   448.00 MiB             llama-kv-cache.cpp; RS: running states
sched_reserve:       CUDA0 compute buffer size =   304.75 MiB        llama-context.cpp; output: logits
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection

from baton_reasoning.core.engines.model_card import DeviceShare

RAM = "RAM"

_LAYER = re.compile(r"layer\s+\d+ assigned to device (\S+),")
_BUFFER = re.compile(r"(\S+) +(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")
_STATE = re.compile(r"(\S+) \S+ \S+ state buffer size = +([\d.]+) MiB")


class LoadingLog:
    """Takes every line of the log, and sums up layers and buffers by device."""

    def __init__(self) -> None:
        self._layers: Counter[str] = Counter()
        self._buffers: defaultdict[tuple[str, str], float] = defaultdict(float)
        """MiB by kind and by ggml's name of the buffer."""

    def hear(self, line: str) -> None:
        if "buffer size" in line:
            if found := _BUFFER.search(line):
                name, kind, size = found[1], found[2], float(found[3])
                # Compute buffers are measured again when something changes; of the others there may be several.
                self._buffers[kind, name] = size if kind == "compute" else self._buffers[kind, name] + size
            elif found := _STATE.search(line):
                self._buffers["RS", found[1]] += float(found[2])
        elif found := _LAYER.search(line):
            self._layers[found[1]] += 1

    def shares(self, gpus: Collection[str]) -> tuple[DeviceShare, ...]:
        """Return the share of each device, GPUs first, in ggml's order; `gpus`: ggml's names of them."""
        devices = [device for device in (*gpus, RAM) if device == RAM or self._holds_something(device, gpus)]
        return tuple(self._share(device, gpus) for device in devices)

    def _share(self, device: str, gpus: Collection[str]) -> DeviceShare:
        def taken(*kinds: str, ending: str = "") -> int:
            return sum(
                round(size * 2**20)
                for (kind, name), size in self._buffers.items()
                if kind in kinds and _device_of(name, gpus) == device and name.endswith(ending)
            )

        return DeviceShare(
            device=device,
            layers=sum(count for name, count in self._layers.items() if _device_of(name, gpus) == device),
            weights=taken("model"),
            cache=taken("KV", "RS"),
            compute=taken("compute", "output"),
            mapped=taken("model", ending="_Mapped") if device == RAM else 0,
        )

    def _holds_something(self, device: str, gpus: Collection[str]) -> bool:
        return any(_device_of(name, gpus) == device for _, name in self._buffers)


def _device_of(buffer: str, gpus: Collection[str]) -> str:
    """Find the device of a buffer: “MTL0_Mapped” is a GPU's; “CPU_Mapped”, “AMX” and “CUDA_Host” are in RAM."""
    owners = [gpu for gpu in gpus if buffer == gpu or buffer.startswith(f"{gpu}_")]
    return owners[0] if owners else RAM
