"""Steps with gradients of their own: torch's numbers, and the same bytes for every number of threads."""

import pytest
import torch
from torch.nn import functional as F

from twofold.nn.attention import CausalBlock
from twofold.nn.encoders import MLP, LayerNorm
from twofold.nn.ordered import column_sums, linear, scaled, shifted, sigmoid, softmax, softplus
from twofold.nn.recurrent import Cell


def slopes(of, *shapes):
    """The value of a function of drawn arrays, and its gradients."""
    draw = torch.Generator().manual_seed(0)
    given = [torch.randn(*shape, generator=draw).requires_grad_() for shape in shapes]
    made = of(*given)
    made.backward(torch.randn(made.shape, generator=draw))
    return [made.detach(), *(one.grad for one in given)]


@pytest.mark.parametrize(
    ("mine", "theirs", "shapes"),
    [
        (shifted, lambda x, b: x + b, [(7, 5, 37), (37,)]),
        (scaled, lambda x, w: x * w, [(7, 5, 37), (37,)]),
        (linear, lambda x, w, b: F.linear(x, w.T, b), [(40, 100), (100, 37), (37,)]),
        (softmax, lambda x: F.softmax(x, dim=-1), [(7, 5, 37)]),
        (lambda x: sigmoid(30 * x), lambda x: torch.sigmoid(30 * x), [(7, 5, 37)]),
        (lambda x: softplus(30 * x), lambda x: F.softplus(30 * x), [(7, 5, 37)]),
    ],
)
def test_values_and_gradients_are_those_of_torch(mine, theirs, shapes):
    for a, b in zip(slopes(mine, *shapes), slopes(theirs, *shapes), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_row_is_normed_as_by_torch():
    theirs = torch.nn.LayerNorm(37)
    for a, b in zip(slopes(LayerNorm(37), (40, 37)), slopes(theirs, (40, 37)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert LayerNorm(3)(torch.ones(1, 3)).tolist() == [[0, 0, 0]], "a row of equal numbers"


def of_network(made, *shape):
    """The gradients of a network that is drawn anew, and of what it is given."""
    torch.manual_seed(0)  # of dropout
    draw = torch.Generator().manual_seed(1)
    net, x = made(draw), torch.randn(*shape, generator=draw).requires_grad_()
    net(x).square().sum().backward()
    return [x.grad, *(one.grad for one in net.parameters())]


@pytest.mark.parametrize(
    "made",
    [
        lambda: slopes(column_sums, (1000, 37)),
        lambda: slopes(column_sums, (4096, 100)),
        lambda: slopes(shifted, (1000, 37), (37,)),
        lambda: slopes(softmax, (160, 20)),
        lambda: slopes(sigmoid, (33_333, 3)),
        lambda: slopes(softplus, (33_333, 3)),
        lambda: of_network(lambda rng: MLP([50, 100, 37], activation="relu", layer_norm=True, rng=rng), 1024, 50),
        lambda: of_network(lambda rng: CausalBlock(64, 2, 0.2, rng=rng), 8, 20, 64),
        lambda: slopes(lambda x, h: Cell("gru", 0, 100, rng=torch.Generator().manual_seed(0))(x, h), (512, 300), (512, 100)),
    ],
)  # fmt: skip
def test_the_number_of_threads_changes_no_bit(made):
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            found.append(made())
    finally:
        torch.set_num_threads(before)
    assert all(
        torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True)
    )
