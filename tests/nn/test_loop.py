"""The training loop: same bytes, resumption, early stopping, divergence in one sentence."""

import json
import logging
from itertools import combinations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from twofold.errors import (  # noqa: E402
    ConfigError,
    DataError,
    DataWarning,
    IncompatibleFileError,
    NotConvergedError,
)
from twofold.nn import loop  # noqa: E402
from twofold.nn.deal import in_groups, shuffled, within_groups  # noqa: E402
from twofold.nn.encoders import MLP, Embeddings  # noqa: E402
from twofold.nn.loop import exact, infer, pick_device, train  # noqa: E402
from twofold.nn.optimisers import SGD, Adagrad, Adam  # noqa: E402
from twofold.nn.steppers import build, set_rates  # noqa: E402
from twofold.nn.weights import arrays_of  # noqa: E402

N = 50
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = X @ np.array([[1.0], [-2.0], [0.5]], np.float32)
OPTIMISERS = [SGD(learning_rate=0.05, momentum=0.5), Adam(learning_rate=0.02), Adagrad()]


class Both(torch.nn.Module):
    """A tower with dropout and a table with sparse gradients."""

    def __init__(self, *, sparse=False, seed=0):
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.tower = MLP([3, 8, 1], dropout=0.2, rng=rng)
        self.table = Embeddings(N, 1, sparse=sparse, rng=rng)

    def forward(self, rows):
        return self.tower(torch.from_numpy(X)[rows]) + self.table(rows)


def fit(module=None, *, seed=0, noise=0.1, stop_at=None, **changed):
    module = module or Both()
    y, calls = torch.from_numpy(Y), []

    def loss_of(rows, rng):
        calls.append(rows)
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        noisy = y[rows] + noise * torch.randn(len(rows), 1, generator=rng)
        return ((module(rows) - noisy) ** 2).mean()

    settings = {
        "optimiser": Adam(learning_rate=0.02),
        "epochs": 6,
        "batch_size": 16,
        "label": "Toy",
    }
    settings |= changed
    history = train(module, N, loss_of, rng=np.random.default_rng(seed), **settings)
    return module, history


def weights_equal(one, two):
    a, b = arrays_of(one), arrays_of(two)
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda one: one.method)
def test_every_optimiser_learns_and_repeats_itself(optimiser):
    one, history = fit(optimiser=optimiser, epochs=40)
    two, again = fit(optimiser=optimiser, epochs=40)
    assert history.losses[-1] < 0.4 * history.losses[0]
    assert history.losses == again.losses
    assert history.best_epoch == 40
    assert weights_equal(one, two)
    assert not weights_equal(one, fit(optimiser=optimiser, epochs=40, seed=1)[0])


@pytest.mark.parametrize("optimiser", [SGD(), Adam(), Adagrad()], ids=lambda one: one.method)
def test_sparse_gradients_move_the_rows_of_the_batch_alone(optimiser):
    module = Both(sparse=True)
    before = module.table.weight.detach().clone()

    def loss_of(rows, rng):
        return (module(rows % 5) ** 2).mean()

    train(
        module, N, loss_of, optimiser=optimiser, epochs=2, batch_size=16,
        rng=np.random.default_rng(0), clip=0.5, label="Toy",
    )  # fmt: skip
    moved = (module.table.weight != before).any(1)
    assert moved.tolist() == [True] * 5 + [False] * (N - 5)


def test_sparse_sgd_is_dense_sgd():
    optimiser = SGD(learning_rate=0.05)
    one, two = (
        fit(Both(sparse=sparse), optimiser=optimiser, clip=0.1)[0] for sparse in (False, True)
    )
    for name, array in arrays_of(one).items():
        np.testing.assert_allclose(array, arrays_of(two)[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda one: one.method)
def test_a_part_may_have_its_first_gradient_later_than_others(optimiser):
    module = torch.nn.ModuleList(torch.nn.Linear(1, 1, bias=False) for _ in range(2))
    for part in module:
        torch.nn.init.ones_(part.weight)
    seen: list[int] = []
    before = [part.weight.item() for part in module]

    def loss_of(rows, rng):
        seen.append(len(seen))
        return (module[0 if len(seen) < 3 else 1](torch.ones(1, 1)) ** 2).sum()

    train(
        module, N, loss_of, optimiser=optimiser, epochs=2, batch_size=N // 4,
        rng=np.random.default_rng(0), label="Toy",
    )  # fmt: skip
    assert all(abs(part.weight.item()) < abs(one) for part, one in zip(module, before, strict=True))


@pytest.mark.parametrize(
    "bad", [SGD(momentum=0.5), Adam(weight_decay=0.1), Adagrad(weight_decay=0.1)]
)
def test_sparse_gradients_refuse_what_would_move_every_row(bad):
    with pytest.raises(ConfigError, match="no weight_decay and no momentum"):
        fit(Both(sparse=True), optimiser=bad)


def test_the_state_of_torch_is_given_back():
    torch.manual_seed(123)
    before = torch.get_rng_state()
    fit(epochs=1)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()
    with exact(torch.device("cpu")):
        torch.rand(3)
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda one: one.method)
@pytest.mark.parametrize("stop_at", [2, 5, 14])
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path, optimiser, sparse, stop_at):
    if sparse and isinstance(optimiser, SGD):
        optimiser = SGD(learning_rate=0.05)
    whole, history = fit(Both(sparse=sparse), optimiser=optimiser)
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(Both(sparse=sparse), optimiser=optimiser, checkpoint=folder, stop_at=stop_at)
    resumed, later = fit(Both(sparse=sparse), optimiser=optimiser, checkpoint=folder)
    assert weights_equal(whole, resumed)
    assert later == history
    assert sorted(one.name for one in folder.iterdir()) == [
        "checkpoint.json",
        "epoch-000006.safetensors",
    ]


def scores_of(values):
    """Validation scores that were settled beforehand, one an epoch."""
    left = iter(values)
    return lambda: next(left)


def test_early_stopping_keeps_the_best_weights_also_over_an_interruption(tmp_path):
    best, _ = fit(epochs=2)
    scores = [0.1, 0.5, 0.4, 0.5, 0.3, 0.9]
    module, history = fit(epochs=6, validate=scores_of(scores), patience=3)
    assert history.scores == scores[:5]
    assert history.best_epoch == 2
    assert weights_equal(module, best)
    assert not module.training
    with pytest.raises(KeyboardInterrupt):
        fit(epochs=6, validate=scores_of(scores), patience=3, checkpoint=tmp_path, stop_at=14)
    resumed, again = fit(epochs=6, validate=scores_of(scores[3:]), patience=3, checkpoint=tmp_path)
    assert again == history
    assert weights_equal(resumed, best)
    finished, at_once = fit(epochs=6, validate=scores_of([]), patience=3, checkpoint=tmp_path)
    assert at_once == history
    assert weights_equal(finished, best)


def test_validation_sees_the_module_in_evaluation_and_does_not_disturb_training():
    module, seen = Both(), []

    def validate():
        seen.append(module.training or torch.is_grad_enabled())
        torch.rand(7)
        return float(len(seen))

    fit(module, validate=validate)
    assert seen == [False] * 6
    assert weights_equal(module, fit()[0])


def test_more_epochs_continue_and_fewer_are_refused(tmp_path):
    fit(epochs=2, checkpoint=tmp_path)
    assert weights_equal(fit(epochs=5, checkpoint=tmp_path)[0], fit(epochs=5)[0])
    with pytest.raises(IncompatibleFileError, match="5 epochs old, 3 are asked for"):
        fit(epochs=3, checkpoint=tmp_path)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"optimiser": Adam(learning_rate=0.5)}, "optimiser"),
        ({"batch_size": 8}, "batch_size"),
        ({"module": Both(seed=1)}, "begins_with"),
        ({"about": {"data": "b"}}, "about"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, changed, named):
    fit(epochs=1, checkpoint=tmp_path, about={"data": "a"})
    with pytest.raises(IncompatibleFileError, match=rf"another run \(different: {named}\)"):
        fit(**{"epochs": 1, "checkpoint": tmp_path, "about": {"data": "a"}} | changed)


@pytest.mark.parametrize("harm", ["tensors", "cut", "gone", "json", "format"])
def test_a_damaged_checkpoint_is_refused(tmp_path, harm):
    fit(epochs=1, checkpoint=tmp_path)
    tensors, index = tmp_path / "epoch-000001.safetensors", tmp_path / "checkpoint.json"
    raw = tensors.read_bytes()
    match harm:
        case "tensors":
            tensors.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        case "cut":
            tensors.write_bytes(raw[:100])
        case "gone":
            tensors.unlink()
        case "json":
            index.write_text(index.read_text()[:-40])
        case "format":
            index.write_text(json.dumps(json.loads(index.read_text()) | {"format": 2}))
    with pytest.raises(IncompatibleFileError, match=r"damaged|format 2"):
        fit(epochs=1, checkpoint=tmp_path)


def test_a_checkpoint_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write the checkpoint"):
        fit(epochs=1, checkpoint=tmp_path / "file" / "run")


def test_divergence_says_which_loss_when_and_what_to_lower():
    with pytest.raises(
        NotConvergedError,
        match=r"Toy diverged: loss became (nan|inf) in epoch \d+, step \d of 4; "
        r"lower `learning_rate` \(1e\+12\)$",
    ):
        fit(optimiser=SGD(learning_rate=1e12))
    module = Both()

    def parts(rows, rng):
        return {"fine": module(rows).sum(), "prior": torch.log(-(module(rows).sum() ** 2) - 1)}

    with pytest.raises(
        NotConvergedError, match=r"prior became nan in epoch 1, step 1 of 4.*or `clip`"
    ):
        train(
            module, N, parts, optimiser=Adam(), epochs=1, batch_size=16,
            rng=np.random.default_rng(0), clip=1.0, label="Toy",
        )  # fmt: skip


def test_where_the_very_last_step_led_is_looked_at():
    """No further step saw its loss, and the weights are finite."""
    module = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(1))])

    def go(epochs):
        return train(
            module, 8, lambda rows, rng: (module[0] ** 4).sum(), optimiser=SGD(learning_rate=1e30), epochs=epochs,
            batch_size=8, rng=np.random.default_rng(0), label="Toy",
        )  # fmt: skip

    with pytest.raises(NotConvergedError, match=r"loss became inf after epoch 1; lower `learning_rate` \(1e\+30\)"):  # fmt: skip
        go(1)


def test_a_run_that_ends_far_above_its_beginning_diverged_though_all_is_finite():
    module = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(1))])

    def loss_of(rows, rng):
        del rows, rng
        return (module[0] ** 2).sum()

    def go(learning_rate, batch_size):
        return train(
            module, 64, loss_of, optimiser=SGD(learning_rate=learning_rate), epochs=3,
            batch_size=batch_size, rng=np.random.default_rng(0), label="Toy",
        )  # fmt: skip

    assert go(0.01, 32).began == 1
    with torch.no_grad():
        module[0].fill_(1.0)
    with pytest.raises(
        NotConvergedError,
        match=r"Toy diverged: the loss was 1 before the first step and .* in epoch 3; lower `learning_rate` \(10\)",
    ):
        go(10.0, 32)
    with torch.no_grad():
        module[0].fill_(1.0)
    assert go(3.0, 8).began == 0  # one of so few examples may be told right by chance


def test_weights_that_overflow_in_the_last_step_are_seen():
    module = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(1))])

    def loss_of(rows, rng):
        return 1e30 * module[0].sum()

    with pytest.raises(NotConvergedError, match="weight 0 is not finite in epoch 1"):
        train(
            module, 1, loss_of, optimiser=SGD(learning_rate=1e30), epochs=1, batch_size=1,
            rng=np.random.default_rng(0), label="Toy",
        )  # fmt: skip


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(NotConvergedError, match="score became nan in epoch 1"):
        fit(validate=lambda: float("nan"))


def test_clipping_bounds_the_step():
    module = Both()
    before = arrays_of(module)
    train(
        module, N, lambda rows, rng: 1e6 * module(rows).sum(), optimiser=SGD(learning_rate=1.0),
        epochs=1, batch_size=N, rng=np.random.default_rng(0), clip=0.25, label="Toy",
    )  # fmt: skip
    after = arrays_of(module)
    step = np.sqrt(sum(((after[name] - before[name]) ** 2).sum() for name in before))
    assert step == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"epochs": 0}, ConfigError, "epochs got 0"),
        ({"batch_size": 0}, ConfigError, "batch_size got 0"),
        ({"patience": 2}, ConfigError, "patience needs a validation part"),
        ({"clip": 0.0}, ConfigError, "clip got 0.0"),
        ({"device": "tpu"}, ConfigError, "device got 'tpu'; allowed: auto, cpu"),
        ({"device": "cuda:77"}, ConfigError, "no such GPU here"),
    ],
)
def test_senseless_arguments_are_refused(changed, error, said):
    with pytest.raises(error, match=said):
        fit(**changed)


def test_no_examples_are_refused():
    with pytest.raises(DataError, match="no example"):
        train(
            Both(), 0, lambda rows, rng: rows, optimiser=Adam(), epochs=1, batch_size=1,
            rng=np.random.default_rng(0), label="Toy",
        )  # fmt: skip


def test_each_epoch_leaves_a_record(caplog):
    with caplog.at_level(logging.DEBUG, logger="twofold.nn.loop"):
        fit(epochs=2, validate=lambda: 0.5)
    assert [one.message.split(":")[0] for one in caplog.records] == [
        "Toy epoch 1/2",
        "Toy epoch 2/2",
    ]
    assert caplog.records[1].message.endswith("score 0.50000")


def test_the_loss_of_an_epoch_is_the_mean_over_its_examples():
    batches = [np.arange(40), np.arange(40, N)]
    table = Embeddings(N, 1, rng=torch.Generator().manual_seed(0))
    still = {"optimiser": SGD(learning_rate=1e-9), "deal": lambda *given: batches, "epochs": 1}
    _, history = fit(table, noise=0.0, **still)
    expected = ((table.weight.detach().numpy() - Y) ** 2).mean()
    assert history.losses == [pytest.approx(expected, rel=1e-6)]


LENGTHS = np.arange(N) % 9


DEALS = [shuffled, within_groups(LENGTHS), in_groups(LENGTHS)]


@pytest.mark.parametrize("deal", DEALS)
def test_an_epoch_visits_every_example_once(deal):
    one, two = (deal(N, 8, np.random.default_rng(seed)) for seed in (0, 1))
    for batches in (one, two):
        assert sorted(np.concatenate(batches)) == list(range(N))
        assert max(map(len, batches)) <= 8
    assert [list(b) for b in one] != [list(b) for b in two]


def test_batches_of_one_group():
    for rows in within_groups(LENGTHS)(N, 8, np.random.default_rng(0)):
        assert np.ptp(LENGTHS[rows]) == 0


def test_groups_alternate_at_random():
    deal = within_groups(LENGTHS)
    orders = {
        tuple(int(LENGTHS[rows[0]]) for rows in deal(N, 2, np.random.default_rng(seed)))
        for seed in range(5)
    }
    assert len(orders) == 5
    assert all(list(one) != sorted(one) for one in orders)


def test_any_two_groups_share_a_batch_at_times():
    together = set()
    for seed in range(40):
        for rows in in_groups(LENGTHS)(N, 12, np.random.default_rng(seed)):
            together |= set(combinations(np.unique(LENGTHS[rows]).tolist(), 2))
    assert len(together) == 9 * 8 / 2


def test_groups_stand_together():
    batches = in_groups(LENGTHS)(N, 8, np.random.default_rng(0))
    halves = [np.unique(LENGTHS[rows]) for rows in batches]
    # A group is cut at most where one batch ends and another begins.
    assert sum(map(len, halves)) <= len(np.unique(LENGTHS)) + len(batches) - 1


def test_a_row_encoded_alone_is_the_row_encoded_among_others():
    module = MLP([33, 70, 17], rng=torch.Generator().manual_seed(0))
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(150, 33)).astype(np.float32))
    together = infer(module, lambda rows: module(x[rows]), 150)
    assert together.shape == (150, 17)
    for row in (0, 1, 63, 64, 149):
        alone = infer(module, lambda rows, row=row: module(x[rows + row]), 1)
        np.testing.assert_array_equal(alone[0], together[row])
    assert infer(module, lambda rows: module(x[rows]), 0).shape == (0, 17)
    assert module.training


def test_nothing_is_dropped_where_rows_are_encoded():
    module = MLP([3, 40, 2], dropout=0.5, rng=torch.Generator().manual_seed(0))
    x = torch.from_numpy(X)
    found = infer(module, lambda rows: module(x[rows]), N)
    assert module.training
    np.testing.assert_allclose(found, module.eval()(x).detach(), rtol=1e-5, atol=1e-6)


def test_the_device_is_named():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in {"cpu", "cuda"}


def test_a_falling_step_ends_at_zero_and_is_continued_alike(tmp_path, monkeypatch):
    seen = []
    real = loop.set_rates

    def watch(steppers, rate):
        seen.append(rate)
        real(steppers, rate)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "set_rates", watch)
        whole, _ = fit(decay=True)
    assert seen[0] == 0.02
    assert seen == sorted(seen, reverse=True)
    assert 0 < seen[-1] < 0.02 / 12
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(decay=True, checkpoint=folder, stop_at=9)
    resumed, _ = fit(decay=True, checkpoint=folder)
    assert weights_equal(whole, resumed)
    with pytest.raises(IncompatibleFileError, match="holds another run"):
        fit(decay=True, checkpoint=folder, epochs=8)


@pytest.mark.parametrize(
    "optimiser", [SGD(learning_rate=0.2), Adam(learning_rate=0.02), Adagrad(learning_rate=0.1)]
)
def test_a_layer_takes_its_share_of_a_step(optimiser):
    def moved(share, rate=None):
        tower = MLP([3, 4, 2], hidden_step=share, rng=torch.Generator().manual_seed(0))
        steppers = build(optimiser, tower)
        if rate is not None:
            set_rates(steppers, rate)
        before = [one.detach().clone() for one in tower.parameters()]
        tower(torch.eye(3)).square().sum().backward()
        for stepper in steppers:
            stepper.step()
        return [one.detach() - was for one, was in zip(tower.parameters(), before, strict=True)]

    whole, share = moved(1.0), moved(0.25)
    for at, (one, other) in enumerate(zip(whole, share, strict=True)):
        factor = 1.0 if at < 2 else 0.25  # weights and bias of the first layer, then of the last
        torch.testing.assert_close(other, factor * one, rtol=1e-3, atol=1e-7)
        assert one.any()
    for one, other in zip(share, moved(0.25, optimiser.learning_rate / 2), strict=True):
        torch.testing.assert_close(other, one / 2, rtol=1e-3, atol=1e-7)


def rectified(rate, epochs, **options):
    """Train a rectified tower to tell small numbers from large ones."""
    tower = MLP([3, 16, 1], activation="relu", rng=torch.Generator().manual_seed(0))
    x, y = torch.from_numpy(np.abs(X)), torch.from_numpy(np.abs(Y))
    return train(
        tower, N, lambda rows, _: ((tower(x[rows]) - y[rows]) ** 2).mean(),
        optimiser=Adam(learning_rate=rate), epochs=epochs, batch_size=10, rng=np.random.default_rng(0), label="tower", **options,
    )  # fmt: skip


def test_a_network_that_no_example_moves_any_more_is_told():
    with pytest.warns(DataWarning, match=r"tower scores everything alike.* `learning_rate` \(50\)"):
        rectified(50.0, 30)
    rectified(0.02, 30)  # no warning


def test_a_network_whose_best_weights_are_those_before_it_died_is_not_told():
    found = rectified(50.0, 30, validate=iter(range(100, 0, -1)).__next__)
    assert found.best_epoch == 1


@pytest.mark.parametrize("momentum", [0.0, 0.4])
def test_adagrad_with_momentum_moves_dense_and_sparse_weights_alike(momentum):
    """A table whose every row is in the batch moves as dense weights do, and as torch's own Adagrad without momentum."""
    from twofold.nn.adagrad import MomentumAdagrad

    start = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    dense, sparse, own = (torch.nn.Parameter(start.clone()) for _ in range(3))
    one, other = (MomentumAdagrad([p], 0.1, momentum) for p in (dense, sparse))
    torchs = torch.optim.Adagrad([own], 0.1)
    ids = torch.tensor([0, 1, 2, 3, 4, 1])
    for step in range(4):
        for parameter, optimiser, is_sparse in (
            (dense, one, False),
            (sparse, other, True),
            (own, torchs, False),
        ):
            optimiser.zero_grad()
            rows = torch.nn.functional.embedding(ids, parameter, sparse=is_sparse)
            ((rows - step) ** 2).sum().backward()
            optimiser.step()
    torch.testing.assert_close(dense, sparse)
    if not momentum:
        torch.testing.assert_close(dense, own)
    else:
        assert not torch.allclose(dense, own)


@pytest.mark.parametrize("momentum", [0.0, 0.4])
def test_weight_decay_is_part_of_the_gradient_of_adagrad(momentum):
    from twofold.nn.adagrad import MomentumAdagrad

    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 3))
    squares, velocity = np.zeros_like(w), np.zeros_like(w)
    parameter = torch.nn.Parameter(torch.from_numpy(w))
    optimiser = MomentumAdagrad([parameter], 0.1, momentum, weight_decay=0.7)
    for _ in range(3):
        slope = rng.normal(size=w.shape)
        parameter.grad = torch.from_numpy(slope.copy())
        slope += 0.7 * w
        squares += slope**2
        velocity = momentum * velocity - 0.1 * slope / np.sqrt(squares)
        w = w + velocity
        optimiser.step()
        np.testing.assert_allclose(parameter.detach(), w, rtol=1e-6)
