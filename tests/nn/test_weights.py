"""Weights as arrays: saved like every model's, loaded into a module of the same shape only."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from twofold import persistence  # noqa: E402
from twofold.errors import IncompatibleFileError  # noqa: E402
from twofold.nn.encoders import MLP  # noqa: E402
from twofold.nn.weights import arrays_of, load_into  # noqa: E402


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fitted network looks like to the folder."""

    weights: Mapping[str, np.ndarray]


def tower(sizes=(3, 4, 2), seed=0):
    return MLP(sizes, rng=torch.Generator().manual_seed(seed))


def test_a_saved_network_answers_alike(tmp_path):
    one, other, x = tower(), tower(seed=1), torch.ones(2, 3)
    persistence.save(Fitted(arrays_of(one)), tmp_path / "m", "model")
    assert {path.suffix for path in (tmp_path / "m").iterdir()} == {".npy", ".json"}
    loaded = persistence.load(tmp_path / "m", "model", {"Fitted": Fitted})
    assert not torch.equal(one(x), other(x))
    load_into(other, loaded.weights)
    assert torch.equal(one(x), other(x))
    assert not other.training
    assert not any(parameter.requires_grad for parameter in other.parameters())


def test_the_arrays_are_frozen_copies():
    module = tower()
    arrays = arrays_of(module)
    before = arrays["layers.0.weight"].copy()
    with torch.no_grad():
        module.layers[0].weight.add_(1)
    np.testing.assert_array_equal(arrays["layers.0.weight"], before)
    with pytest.raises(ValueError, match="read-only"):
        arrays["layers.0.weight"][0] = 1
    with pytest.raises(TypeError):
        arrays["more"] = before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("layers.1.bias"), r"missing \['layers.1.bias'\]"),
        (lambda w: w.update(more=w["layers.1.bias"]), r"unexpected \['more'\]"),
        (lambda w: w.update({"layers.1.bias": np.zeros(3, np.float32)}), r"shape \(3,\)"),
        (lambda w: w.update({"layers.1.bias": np.zeros(2)}), "dtype float64"),
    ],
)
def test_other_weights_are_refused_and_nothing_is_changed(change, said):
    module, given = tower(), dict(arrays_of(tower(seed=1)))
    before = arrays_of(module)
    change(given)
    with pytest.raises(IncompatibleFileError, match=said):
        load_into(module, given)
    assert all((before[name] == array).all() for name, array in arrays_of(module).items())


def test_only_float32_is_kept():
    with pytest.raises(TypeError, match=r"weight is torch\.float64"):
        arrays_of(torch.nn.Linear(2, 2).double())
