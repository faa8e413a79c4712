"""What ``twofold tune`` draws: settings that every estimator takes, and first of all the job's own."""

import dataclasses

import optuna
import pytest

import twofold as tw
from twofold import jobs, models
from twofold.hyperparameters import search_space
from twofold.tuning import suggest, tune

TUNABLE = [
    one for name in models.__all__ if search_space(one := getattr(models, name)) and dataclasses.is_dataclass(one)
]  # fmt: skip


@pytest.mark.parametrize("estimator", TUNABLE, ids=lambda one: one.__name__)
def test_what_is_drawn_is_what_the_estimator_takes(estimator):
    space = search_space(estimator)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        drawn = suggest(study.ask(), space)
        assert {name: getattr(estimator(**drawn), name) for name in space} == drawn


def test_what_the_default_leaves_to_the_fit_is_left_to_it_in_the_first_trial(tmp_path):
    users = [f"u{one // 6}" for one in range(240)]
    items = [f"i{(one * 7 + one // 6) % 20}" for one in range(240)]
    data = tw.Dataset.from_frames({"u": users, "i": items}, user="u", item="i")
    job = jobs.from_dict({
        "data": {"source": "log.csv"},
        "models": {"bpr": {"class": "BPR", "factors": 4}},
    })  # fmt: skip
    split = tw.split.random(data, validation=0.2, rng=0)
    tuned = tune(job, split, "bpr", tmp_path / "trials", trials=3)
    first, second = (tuned.table.filter(trial=number).row(0, named=True) for number in (1, 2))
    assert first["epochs"] is None
    assert first["reg_user"] is None
    assert first["learning_rate"] == models.BPR().learning_rate
    assert 20 <= second["epochs"] <= 400


def test_the_first_trial_is_the_own_setting_even_outside_the_range(tmp_path):
    """Without a half-life frequency does not decay; the range begins at a day."""
    users = [one // 6 for one in range(240)]
    log = {"u": users, "i": [(one * 7 + one // 6) % 20 for one in range(240)], "t": list(range(240))}  # fmt: skip
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    own = models.PersonalFrequency()
    assert own.half_life < search_space(type(own))["half_life"].low
    job = jobs.from_dict({"data": {"source": "log.csv"}, "models": {"PersonalFrequency": {}}})
    split = tw.split.random(data, validation=0.2, rng=0)
    tuned = tune(job, split, "PersonalFrequency", tmp_path / "trials", trials=2)
    report = tw.evaluate(own.fit(split.train), split, ["ndcg@10"], part="validation")
    assert tuned.default == report["ndcg@10"]
    assert tuned.table.filter(trial=1)["half_life"].to_list() == [None]
