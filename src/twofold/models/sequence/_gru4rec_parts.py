"""Cells and losses of `GRU4Rec` as declarations; nothing here imports torch."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, NonNegativeFloat

from twofold.hyperparameters import hyperparameters

Activation: TypeAlias = Literal["identity", "tanh", "elu"]


@hyperparameters
class RNN:
    """h = tanh(W x + U h + b) (Elman 1990)."""

    kind: Literal["rnn"] = "rnn"
    """The tag in files."""


@hyperparameters
class LSTM:
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""

    kind: Literal["lstm"] = "lstm"
    """The tag in files."""
    forget_bias: float = 1.0
    """First bias of the forget gate; above 0 the cell begins by remembering."""


@hyperparameters
class GRU:
    """Gated recurrent unit (Cho et al. 2014; Hidasi et al. 2016, Eq. 1 to 4)."""

    kind: Literal["gru"] = "gru"
    """The tag in files."""


@hyperparameters
class CrossEntropy:
    """-ln softmax(r)_i; against sampled items each score is lowered by ln Q."""

    kind: Literal["cross-entropy"] = "cross-entropy"
    """The tag in files."""
    log_q: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of ln Q that is taken off; 1 is the unbiased correction, 0 none, which favours rare items."""


@hyperparameters
class BPRLoss:
    """-ln sigma(r_i - r_j), averaged over the negatives (Hidasi et al. 2016)."""

    kind: Literal["bpr"] = "bpr"
    """The tag in files."""
    activation: Activation = "tanh"
    """Of the scores in training."""


@hyperparameters
class TOP1:
    """sigma(r_j - r_i) + sigma(r_j^2), averaged over the negatives (Hidasi et al. 2016)."""

    kind: Literal["top1"] = "top1"
    """The tag in files."""
    activation: Activation = "tanh"
    """Of the scores in training."""


@hyperparameters
class BPRMax:
    """-ln sum_j s_j sigma(r_i - r_j) + reg sum_j s_j r_j^2, s the softmax of the negatives (Hidasi & Karatzoglou 2018)."""

    kind: Literal["bpr-max"] = "bpr-max"
    """The tag in files."""
    reg: NonNegativeFloat = 1.0
    """Weight of the penalty on the scores of negatives."""
    activation: Activation = "elu"
    """Of the scores in training."""


@hyperparameters
class TOP1Max:
    """sum_j s_j (sigma(r_j - r_i) + sigma(r_j^2)), s the softmax of the negatives (Hidasi & Karatzoglou 2018)."""

    kind: Literal["top1-max"] = "top1-max"
    """The tag in files."""
    activation: Activation = "tanh"
    """Of the scores in training."""


AnyCell: TypeAlias = Annotated[RNN | LSTM | GRU, Field(discriminator="kind")]
AnyLoss: TypeAlias = Annotated[
    CrossEntropy | BPRLoss | TOP1 | BPRMax | TOP1Max, Field(discriminator="kind")
]
