"""The Llama architecture in a page: RMSNorm, rotary attention, SwiGLU, and a head of its own.

Two choices matter here. The head is not tied to the embedding (tied, the two kinds of sum collapsed into one).
And RoPE turns neighbouring pairs, as llama.cpp does for this architecture, so the export permutes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5
ROPE_BASE = 500.0
CONTEXT = 2048


@dataclass(frozen=True)
class Shape:
    """What `llama.*` keys in the GGUF file say."""

    width: int
    layers: int
    heads: int
    feed_forward: int

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def rope(x: Tensor, positions: Tensor) -> Tensor:
    """Turn each pair (x[2i], x[2i+1]) by its position. x: [..., time, head width]; positions: [..., time]."""
    width = x.shape[-1]
    frequencies = ROPE_BASE ** (-torch.arange(0, width, 2) / width)
    angles = positions[..., None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.q, self.k, self.v, self.output = (nn.Linear(shape.width, shape.width, bias=False) for _ in range(4))

    def forward(self, x: Tensor, positions: Tensor, cache: Cache | None) -> Tensor:
        split = (*x.shape[:-1], self.shape.heads, self.shape.head_width)
        q, k, v = (project(x).view(split).transpose(1, 2) for project in (self.q, self.k, self.v))
        q, k = rope(q, positions[:, None]), rope(k, positions[:, None])
        if cache is None:
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            k, v, seen = cache.store(k, v, positions)
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return self.output(mixed.transpose(1, 2).flatten(2))


class Cache:
    """Keys and values of one layer, [rows, heads, cells, head width]; the position says which cell is written.

    To go back in a text, write again at a smaller position: later cells are not seen from there.
    """

    def __init__(self, shape: Shape, rows: int, cells: int) -> None:
        self.k = torch.zeros(rows, shape.heads, cells, shape.head_width)
        self.v = torch.zeros_like(self.k)

    def store(self, k: Tensor, v: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Write k and v; returns all keys, all values, and which of them each query may see."""
        cells = positions[:, None, :, None].expand_as(k)
        self.k.scatter_(2, cells, k)
        self.v.scatter_(2, cells, v)
        seen = torch.arange(self.k.shape[2]) <= positions[:, None, :, None]
        return self.k, self.v, seen


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width, EPSILON)
        self.attention = Attention(shape)
        self.feed_forward_norm = nn.RMSNorm(shape.width, EPSILON)
        self.feed_forward = FeedForward(shape)

    def forward(self, x: Tensor, positions: Tensor, cache: Cache | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), positions, cache)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Llama(nn.Module):
    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, EPSILON)
        self.head = nn.Linear(shape.width, vocabulary, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=1 if "embedding" in name else weight.shape[1] ** -0.5)

    def hidden(self, ids: Tensor, positions: Tensor | None = None, caches: list[Cache] | None = None) -> Tensor:
        """ids: [rows, time] -> [rows, time, width]; the head turns what is wanted of it into logits."""
        if positions is None:
            positions = torch.arange(ids.shape[1]).expand_as(ids)
        x = self.embedding(ids)
        for number, block in enumerate(self.blocks):
            x = block(x, positions, caches[number] if caches else None)
        return self.norm(x)

    def caches(self, rows: int, cells: int) -> list[Cache]:
        return [Cache(self.shape, rows, cells) for _ in self.blocks]

    @property
    def parameter_count(self) -> int:
        return sum(weight.numel() for weight in self.parameters())
