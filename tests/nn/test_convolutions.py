"""The convolution over time: torch's own numbers, and the same bytes for every number of threads."""

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from twofold.nn.convolutions import convolve  # noqa: E402


def gradients(of, rows, seed=0):
    """The gradients of a sum of squares by x, the filters and the biases."""
    draw = torch.Generator().manual_seed(seed)
    shapes = (rows, 32, 60), (48, 32, 4), (48,)
    given = [torch.randn(*shape, generator=draw).requires_grad_() for shape in shapes]
    of(*given).square().mean().backward()
    return [one.grad for one in given]


def test_the_gradients_are_those_of_torch():
    for mine, theirs in zip(gradients(convolve, 7), gradients(F.conv1d, 7), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-7)


def test_the_gradients_are_the_same_bytes_for_every_number_of_threads():
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(gradients(convolve, 64))
    finally:
        torch.set_num_threads(before)
    assert all(
        torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True)
    )
