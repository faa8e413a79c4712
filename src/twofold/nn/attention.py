"""Causal self-attention; `twofold.kernels.self_attention` is the same for serving. B rows, T places, D the size of a vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twofold.nn.encoders import LayerNorm, first_weights
from twofold.nn.ordered import linear, softmax


class CausalBlock(nn.Module):
    """x + drop(attention(norm(x))), then x + drop(layers(norm(x))): each place sees itself and what came before it.

    Kang & McAuley (2018), "Self-Attentive Sequential Recommendation", section 3.2: attention without biases and without an
    output layer, then two dense layers with a ReLU between them.

    Parameters
    ----------
    size
        D, a multiple of `heads`.
    heads
        Parts of a vector that attend on their own.
    dropout
        Share that is zeroed in training, of the attention weights and of what each part adds.
    """

    def __init__(self, size: int, heads: int, dropout: float, *, rng: torch.Generator) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention = first_weights((size, 3 * size), size, size, "identity", rng)
        self.inner = first_weights((size, size), size, size, "identity", rng)
        self.outer = first_weights((size, size), size, size, "identity", rng)
        self.inner_bias = nn.Parameter(torch.zeros(size))
        self.outer_bias = nn.Parameter(torch.zeros(size))
        self.before_attention = LayerNorm(size)
        self.before_layers = LayerNorm(size)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, T, D)
        """Let every place read the places up to it."""
        rows, places, size = x.shape
        share = self.dropout if self.training else 0.0
        parts = (self.before_attention(x) @ self.attention).view(
            rows, places, 3, self.heads, size // self.heads
        )
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # (B, heads, T, D / heads) each
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])  # (B, heads, T, T)
        later = torch.ones(places, places, dtype=torch.bool, device=x.device).triu(1)
        seen = F.dropout(softmax(scores.masked_fill(later, -torch.inf)), share, self.training)
        read = (seen @ v).transpose(1, 2).reshape(rows, places, size)
        x = x + F.dropout(read, share, self.training)
        hidden = torch.relu(linear(self.before_layers(x), self.inner, self.inner_bias))
        hidden = F.dropout(hidden, share, self.training)
        made = linear(hidden, self.outer, self.outer_bias)
        return x + F.dropout(made, share, self.training)
