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


def rope(x: Tensor) -> Tensor:
    """Turn each pair (x[2i], x[2i+1]) by its place in the text. x: [..., time, head width]."""
    width = x.shape[-1]
    frequencies = ROPE_BASE ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(x.shape[-2])[:, None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.q, self.k, self.v, self.output = (nn.Linear(shape.width, shape.width, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        split = (*x.shape[:-1], self.shape.heads, self.shape.head_width)
        q, k, v = (project(x).view(split).transpose(1, 2) for project in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(rope(q), rope(k), v, is_causal=True)
        return self.output(mixed.transpose(1, 2).flatten(2))


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

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
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

    def hidden(self, ids: Tensor) -> Tensor:
        """ids: [rows, time] -> [rows, time, width]; the head turns what is wanted of it into logits."""
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    @property
    def parameter_count(self) -> int:
        return sum(weight.numel() for weight in self.parameters())
