"""Convolutional encoders of text and of sound.

Shapes: B rows of a batch, D the size of a vector, T words of a batch, L frames, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv1d_input

from twofold.errors import ConfigError, DataError
from twofold.nn.encoders import MLP, Linear, Table, first_weights
from twofold.nn.ordered import shifted
from twofold.nn.ragged import Ragged


class TextConvolution(nn.Module):
    """Convolution over words of letter n-gram counts, maximum over the words, one dense layer.

    Shen, He, Gao, Deng & Mesnil (2014), "A Latent Semantic Model with Convolutional-Pooling Structure for
    Information Retrieval", CIKM: h_t = tanh(W_c l_t + b_c), where l_t stacks the counts of the words
    t - 1, t, t + 1; v_i = max over t of h_t(i); y = tanh(W_s v + b_s). W_c l_t is the sum of one product
    a word, so each distinct word of a batch is multiplied once.

    Parameters
    ----------
    n_grams
        Number of letter n-grams.
    n_out
        Size of y.
    filters
        Size of h_t.
    window
        Words seen at once, odd; beyond the ends of a text there are zeros.
    sparse
        Whether the gradient of W_c is kept as the rows of the batch alone (see `Table`).

    Raises
    ------
    ConfigError
        If `window` is even or below 1.

    Notes
    -----
    A text without words has v = 0.
    """

    def __init__(
        self,
        n_grams: int,
        n_out: int = 128,
        *,
        filters: int = 300,
        window: int = 3,
        sparse: bool = False,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        if window < 1 or window % 2 == 0:
            raise ConfigError(f"window got {window}; allowed: 1, 3, 5, ...")
        self.filters, self.window = filters, window
        shape = (n_grams, window * filters)
        self.grams = Table(
            first_weights(shape, window * n_grams, filters, "tanh", rng), sparse=sparse
        )
        self.bias = nn.Parameter(torch.zeros(filters, device=rng.device))
        self.dense = Linear(filters, n_out, activation="tanh", rng=rng)

    def forward(self, texts: Ragged, grams: Ragged) -> Tensor:  # B rows -> (B, n_out)
        """Encode `texts`, rows of word ids; `grams` holds the n-gram counts of every word id."""
        return self.finish(self.pooled(texts, grams))

    def finish(self, v: Tensor) -> Tensor:  # (B, filters) -> (B, n_out)
        """Map the maxima to y."""
        return torch.tanh(self.dense(v))

    def pooled(self, texts: Ragged, grams: Ragged) -> Tensor:  # B rows -> (B, filters)
        """Return v: the maximum of every filter over the words of a text."""
        words, at = torch.unique(texts.ids, return_inverse=True)  # (W,), (T,)
        parts = self.grams.pool(grams.take(words), "sum")  # (W, window * filters)
        parts = parts.view(-1, self.window, self.filters)
        lengths = texts.lengths.long()
        n_tokens = len(at)
        row = torch.repeat_interleave(torch.arange(len(lengths), device=at.device), lengths)  # (T,)
        here = torch.arange(n_tokens, device=at.device)
        h = shifted(parts.new_zeros(n_tokens, self.filters), self.bias)  # (T, filters)
        for slot in range(self.window):
            there = here + slot - self.window // 2
            inside = (there >= 0) & (there < n_tokens)
            there = there.clamp(0, max(n_tokens - 1, 0))
            inside = inside & (row[there] == row)
            h = h + parts[at[there], slot] * inside[:, None]
        return segment_max(torch.tanh(h), texts.offsets)


def segment_max(x: Tensor, offsets: Tensor) -> Tensor:
    """Return the maximum of x (T, D) over the rows of each segment, shape (B, D); zero where it is empty."""
    rows = torch.arange(len(x), dtype=offsets.dtype, device=x.device)
    return F.embedding_bag(rows, x, offsets, mode="max", include_last_offset=True)


class _Convolve(torch.autograd.Function):
    """torch's convolution; the gradient of the filters is a sum over rows in their order.

    torch's own sums it in as many parts as there are threads, and so has other last bits for another number of them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the convolution, (B, C', L')."""
        ctx.save_for_backward(x, weight)
        return F.conv1d(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Pull the slopes (B, C', L') back."""
        (slope,) = slopes
        x, weight = ctx.saved_tensors
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = conv1d_input(x.shape, weight, slope)
        length = slope.shape[2]
        by_weight = [
            torch.bmm(slope, x[:, :, k : k + length].transpose(1, 2)).sum(0)  # (C', C)
            for k in range(weight.shape[2])
        ]
        return by_x, torch.stack(by_weight, 2), slope.sum((0, 2))


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the convolution over time of x (B, C, L) with filters (C', C, width), (B, C', L - width + 1).

    The gradients are the same bytes for every number of threads.
    """
    return _Convolve.apply(x, weight, bias)  # pyright: ignore[reportReturnType]


class MelCNN(nn.Module):
    """Convolutions over time on log-mel spectrograms, pooled over all time, then dense layers.

    Van den Oord, Dieleman & Schrauwen (2013), "Deep content-based music recommendation", NIPS, section 4.2. The mel
    bands are the channels of the first layer, so filters move in time only. After the last
    layer the mean, the maximum and the L2 norm over time stand side by side.

    Parameters
    ----------
    n_out
        Size of the output: the number of factors.
    n_bands
        Mel bands.
    channels, pools
        Filters of each convolution, and over how many frames its output is maximised.
    width
        Frames that a filter sees.
    hidden
        Sizes of the dense layers in between.
    dropout
        Of the dense layers.

    Raises
    ------
    ConfigError
        If `channels` and `pools` differ in length.
    DataError
        From calling it, if a window is shorter than `shortest` frames.

    Notes
    -----
    The paper gives no sizes. The norm is divided by the square root of the number of frames, so that a longer window
    does not change its scale.
    """

    def __init__(
        self,
        n_out: int,
        *,
        n_bands: int = 128,
        channels: Sequence[int] = (64, 64, 128),
        pools: Sequence[int] = (4, 2, 2),
        width: int = 4,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        if len(channels) != len(pools) or not channels:
            raise ConfigError(
                f"channels got {list(channels)} and pools {list(pools)}; allowed: one pool a convolution"
            )
        self.pools = list(pools)
        sizes = [n_bands, *channels]
        self.filters = nn.ParameterList(
            first_weights((c_out, c_in, width), c_in * width, c_out, "relu", rng)
            for c_in, c_out in pairwise(sizes)
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(c, device=rng.device)) for c in channels
        )
        self.dense = MLP(
            [3 * channels[-1], *hidden, n_out], activation="relu", dropout=dropout, rng=rng
        )
        self.shortest = shortest_window(width, self.pools)
        """The fewest frames from which something is left after all layers."""

    def forward(self, mel: Tensor) -> Tensor:  # (B, n_bands, L) -> (B, n_out)
        """Encode log-mel windows of any length from `shortest` on."""
        if mel.shape[-1] < self.shortest:
            raise DataError(
                f"a window has {mel.shape[-1]} frames, at least {self.shortest} are needed"
            )
        x = mel
        for weight, bias, pool in zip(self.filters, self.biases, self.pools, strict=True):
            x = F.max_pool1d(torch.relu(convolve(x, weight, bias)), pool)  # (B, C, L')
        norm = torch.linalg.vector_norm(x, dim=-1) / math.sqrt(x.shape[-1])
        return self.dense(
            torch.cat([x.mean(-1), x.amax(-1), norm], dim=1)
        )  # (B, 3 C) -> (B, n_out)


def shortest_window(width: int, pools: Sequence[int]) -> int:
    """Return the fewest frames that convolutions of `width` and maxima over `pools` need."""
    frames = 1
    for pool in reversed(pools):
        frames = frames * pool + width - 1
    return frames
