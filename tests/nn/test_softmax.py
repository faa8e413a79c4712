"""The compiled softmax beside what torch makes of the same words."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from twofold.nn.losses import full_softmax, sampled_softmax  # noqa: E402
from twofold.nn.softmax import SoftmaxAmong  # noqa: E402

B, C, D = 20, 9, 5


def drawn(dtype):
    rng = np.random.default_rng(0)
    given = [rng.normal(size=shape) for shape in ((B, D), (C, D), C, B)]
    column = torch.from_numpy(rng.integers(-1, C, B))
    return [torch.tensor(one, dtype=dtype, requires_grad=True) for one in given], column


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_own_scores_beside_others_are_the_sampled_softmax(dtype):
    (u, v, shift, own), column = drawn(dtype)
    hits = column[:, None] == torch.arange(C)
    expected = sampled_softmax(own, u @ v.T, torch.zeros(B), -shift, hits)
    found = SoftmaxAmong()(u, v, shift, column, own)
    compare(found, expected, (u, v, shift, own))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_own_columns_are_the_full_softmax(dtype):
    (u, v, shift, _), column = drawn(dtype)
    column = column.clamp(min=0)
    found = SoftmaxAmong()(u, v, shift, column)
    compare(found, full_softmax(u @ v.T + shift, column), (u, v, shift))


def compare(found, expected, given):
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, other in zip(*(torch.autograd.grad(3 * loss, given) for loss in (found, expected))):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_memory_is_kept_between_batches():
    (u, v, _, _), column = drawn(torch.float32)
    among = SoftmaxAmong()
    first = among(u, v, None, column.clamp(min=0)).item()
    room = among.room
    assert among(u, v, None, column.clamp(min=0)).item() == first
    assert among.room is room
