"""Sums over bags: their gradient against torch's own, and the room that it is written to."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra deep is not installed")
from twofold.nn.pooling import gradient_of, sum_bags  # noqa: E402 - needs torch
from twofold.nn.ragged import Ragged  # noqa: E402


def drawn(rng, m=9, n=6):
    lengths = rng.integers(0, 4, n)
    ids = torch.from_numpy(rng.integers(0, m, lengths.sum())).int()
    return Ragged(ids, torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])), None)


def test_gradients_of_steps_are_torchs_however_often_a_step_reads_a_table():
    rng = np.random.default_rng(0)
    ours, theirs = (torch.nn.Parameter(torch.arange(36.0).reshape(9, 4)) for _ in range(2))
    kept = []
    for step in range(4):
        bags = [drawn(rng) for _ in range(1 + step % 3)]
        sum(
            (one + 1) * sum_bags(ours, bag).square().sum() for one, bag in enumerate(bags)
        ).backward()
        wanted = [
            torch.nn.functional.embedding_bag(
                bag.ids, theirs, bag.offsets, mode="sum", include_last_offset=True
            )
            for bag in bags
        ]
        sum((one + 1) * out.square().sum() for one, out in enumerate(wanted)).backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
        kept.append((ours.grad, theirs.grad))  # held on to: later steps may not write there
        ours.grad = theirs.grad = None
    for mine, other in kept:
        torch.testing.assert_close(mine, other)


def test_the_room_of_a_gradient_is_used_again_once_nothing_holds_it():
    table = torch.nn.Parameter(torch.zeros(5, 2))
    first, second = gradient_of(table), gradient_of(table)
    places = {first.data_ptr(), second.data_ptr()}
    assert len(places) == 2
    del first
    again = gradient_of(table)
    assert again.data_ptr() in places - {second.data_ptr()}
    view = again[1:]
    del again
    assert gradient_of(table).data_ptr() not in places, "a view holds it"
    assert view.shape == (4, 2)
