"""What ``twofold tune`` draws: settings that every estimator takes, and first of all the job's own."""

import dataclasses

import optuna
import pytest

import twofold as tw
from twofold import jobs, models
from twofold.errors import ConfigError, DataError
from twofold.hyperparameters import search_space
from twofold.ranges import named, open_ranges, with_settings
from twofold.testing import planted_log
from twofold.trials import suggest
from twofold.tuning import tune_job

TUNABLE = [
    one() for name in models.__all__ if dataclasses.is_dataclass(one := getattr(models, name)) and open_ranges(one())
]  # fmt: skip
NETWORKS = [{"kind": kind} for kind in ("linear", "mlp", "cnn", "trees")]
STAGES = {"candidates": [models.IALS(), models.EASE()], "ranker": models.GRU4Rec()}


@pytest.mark.parametrize(
    "estimator",
    [*TUNABLE, *(models.DeepContent(network=one) for one in NETWORKS), tw.Pipeline(**STAGES)],
    ids=lambda one: type(one).__name__,
)
def test_what_is_drawn_is_what_the_estimator_takes(estimator):
    space = {name: one.search for name, one in open_ranges(estimator).items()}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        drawn = suggest(study.ask(), space)
        made = open_ranges(with_settings(estimator, drawn))
        assert {name: one.value for name, one in made.items()} == drawn


def test_the_parts_of_a_model_are_searched_with_it():
    """A network, an optimiser and a factorization inside declare ranges; only the model's own were searched."""
    pipeline = open_ranges(tw.Pipeline(**STAGES))
    assert {
        "candidates.0.factors",
        "candidates.1.reg",
        "ranker.optimiser.learning_rate",
        "depth",
    } <= {*pipeline}
    assert pipeline["candidates.0.factors"].value == models.IALS().factors
    deep = models.DeepContent(
        factorization=models.BPR(factors=7), network={"kind": "mlp", "hidden": [9]}
    )
    assert open_ranges(deep)["factorization.factors"].value == 7
    other = with_settings(deep, {"factorization.factors": 5, "network.dropout": 0.25})
    assert (other.factorization["factors"], other.factorization["model"]) == (5, "BPR")
    assert (other.network.hidden, other.network.dropout) == ((9,), 0.25)
    left = open_ranges(deep, fixed=["factorization", "network.dropout"])
    assert [*left] == ["vocabulary", "optimiser.learning_rate", "batch_size"]


@pytest.mark.parametrize(
    "estimator",
    [
        tw.Pipeline(
            candidates=[{"model": "DSSM", "epochs": 2}, {"model": "EASE"}],
            ranker={"model": "GRU4Rec"},
        ),
        models.DeepContent(factorization={"model": "DSSM", "content": "title"}),
        models.Repeats(model={"model": "DeepContent", "factorization": {"model": "BPR"}}),
        models.DeepContent(factorization={"class": "Repeats", "model": {"model": "IALS"}}),
    ],
    ids=["pipeline", "model", "model in a model", "class"],
)
def test_tables_that_say_little_are_searched_as_whole_as_estimators(estimator):
    """A table with its class alone holds no optimiser whose step could be set: the search ended in a KeyError."""
    ranges = open_ranges(estimator)
    moved = {
        name: one.search.choices[-1] if one.search.choices else one.search.high
        for name, one in ranges.items()
    }
    other = with_settings(estimator, moved)
    assert {name: one.value for name, one in open_ranges(other).items()} == moved
    assert with_settings(estimator, {}) == estimator


@pytest.mark.parametrize(
    ("network", "loss", "read"),
    [
        ("linear", "factors", {"network.reg"}),
        ("linear", "ratings", {"optimiser.learning_rate", "batch_size"}),
        ("mlp", "factors", {"network.dropout", "optimiser.learning_rate", "batch_size"}),
        ("trees", "factors", {"network.trees", "network.leaves", "network.shrinkage"}),
        ("cnn", "factors", {"network.dropout", "optimiser.learning_rate", "batch_size"}),
    ],
)
def test_what_a_network_does_not_read_is_not_searched(network, loss, read):
    """Steps and batches were searched of a linear map that takes none, and words where there are no words."""
    deep = models.DeepContent(network={"kind": network}, loss=loss)
    worded = planted_log()
    tags = {"tags": worded.items.features["tags"]}
    wordless = dataclasses.replace(worded, items=dataclasses.replace(worded.items, features=tags))
    words = set() if network == "cnn" else {"vocabulary"}
    assert {*open_ranges(deep, ["factorization"])} == read | words
    assert {*open_ranges(deep, ["factorization"], worded)} == read | words
    assert {*open_ranges(deep, ["factorization"], wordless)} == read
    tags_alone = dataclasses.replace(deep, content=("tags",))
    assert {*open_ranges(tags_alone, ["factorization"], worded)} == read


def test_a_search_moves_what_a_part_holds_and_keeps_what_a_job_sets_of_it(tmp_path):
    job = jobs.from_dict({
        "data": {"source": "log.csv"},
        "models": {"DeepContent": {
            "factorization": {"model": "IALS", "factors": 3, "epochs": 1},
            "network": {"kind": "linear"},
            "vocabulary": 50,
        }},
    })  # fmt: skip
    assert job.fixed["DeepContent"] == (
        "factorization.model", "factorization.factors", "factorization.epochs", "network.kind", "vocabulary",
    )  # fmt: skip
    split = tw.split.random(planted_log(), validation=0.1, rng=0)
    tuned = tune_job(job, split, "DeepContent", tmp_path / "trials", trials=3)
    searched = ["factorization.reg", "factorization.unobserved_weight", "network.reg"]
    assert sorted(tuned.table.columns[2:-1]) == searched
    assert tuned.estimator.factorization["factors"] == 3
    assert all(tuned.table[one].n_unique() == 3 for one in searched)


def test_nothing_is_left_to_search_where_the_log_has_no_words():
    log = tw.split.random(planted_log(), validation=0.1, rng=0)
    deep = models.DeepContent(content=("tags",), network={"kind": "linear"})
    with pytest.raises(
        ConfigError, match="on this log DeepContent reads nothing that has a search range"
    ):
        tw.tune(deep, log, trials=1, fixed=["factorization", "network"])


def test_lists_of_tables_are_named_by_their_place():
    stages = {"candidates": [{"model": "IALS", "factors": 8}, {"model": "EASE"}], "depth": 20}
    assert named(stages) == (
        "candidates.0.model",
        "candidates.0.factors",
        "candidates.1.model",
        "depth",
    )
    assert named({"hidden": [3, 4], "content": [], "title": "x"}) == ("hidden", "content", "title")


def test_what_the_default_leaves_to_the_fit_is_left_to_it_in_the_first_trial(tmp_path):
    users = [f"u{one // 6}" for one in range(240)]
    items = [f"i{(one * 7 + one // 6) % 20}" for one in range(240)]
    data = tw.Dataset.from_frames({"u": users, "i": items}, user="u", item="i")
    job = jobs.from_dict({
        "data": {"source": "log.csv"},
        "models": {"bpr": {"class": "BPR", "factors": 4}},
    })  # fmt: skip
    split = tw.split.random(data, validation=0.2, rng=0)
    tuned = tune_job(job, split, "bpr", tmp_path / "trials", trials=3)
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
    tuned = tune_job(job, split, "PersonalFrequency", tmp_path / "trials", trials=2)
    report = tw.evaluate(own.fit(split.train), split, ["ndcg@10"], part="validation")
    assert tuned.default == report["ndcg@10"]
    assert tuned.table.filter(trial=1)["half_life"].to_list() == [None]


def test_a_search_in_python_keeps_what_is_fixed_and_goes_on_in_its_folder(tmp_path):
    split = tw.split.random(planted_log(), validation=0.1, rng=0)
    asked = {"fixed": ["epochs"], "folder": tmp_path / "found", "rng": 3, "relevant_from": 3}
    own = models.IALS(factors=4, epochs=2)
    begun = tw.tune(own, split, "recall@5", trials=2, **asked)
    found = tw.tune(own, split, "recall@5", trials=4, **asked)
    once = tw.tune(own, split, "recall@5", trials=4, **{**asked, "folder": None})
    assert len(begun.table) == 2
    assert found.table.drop("seconds").equals(once.table.drop("seconds"))
    assert found.estimator == once.estimator
    assert found.estimator.epochs == 2
    fitted = found.estimator.fit(split.train, validation=split.validation, rng=3)
    report = tw.evaluate(fitted, split, ["recall@5"], part="validation", relevant_from=3)
    assert report["recall@5"] == found.value
    assert (tmp_path / "found" / "IALS.csv").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"fixed": ["factor"]}, "no hyperparameter 'factor'; .*did you mean 'factors'"),
        ({"fixed": "factors"}, r"write \['factors'\]"),
        ({"trails": 3}, "no argument 'trails'; .*did you mean 'trials'"),
        ({"relevant": 3}, "no argument 'relevant'; .*did you mean 'relevant_from'"),
        ({"ask": "each evnt"}, "ask got 'each evnt'"),
        ({"trials": 0}, "trials must be an integer >= 1; got 0"),
        ({"fixed": None}, "fixed must be a list of names; got None"),
        ({"fixed": [["a"]]}, "no hyperparameter"),
        ({"folder": 5}, "folder must be a path"),
        ({"metric": "ndgc@10"}, "did you mean"),
        ({"rng": -1}, "rng must be an integer >= 0"),
        ({"model": models.IALS}, "the class IALS"),
        ({"model": models.EASE().fit(planted_log())}, "got a fitted model"),
        ({"model": models.IALS(), "fixed": list(search_space(models.IALS))}, "nothing to tune"),
        ({"split": tw.split.random(planted_log(), validation=0, rng=0)}, "this split has none"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_named(more, said):
    split = tw.split.random(planted_log(), validation=0.1, rng=0)
    with pytest.raises(ConfigError, match=said):
        tw.tune(**{"model": models.IALS(factors=2, epochs=1), "split": split, "trials": 1, **more})


def test_trials_of_another_search_are_not_mixed_in(tmp_path):
    """A folder of rmse trials was read as one of ndcg."""
    split = tw.split.random(planted_log(), validation=0.1, rng=0)
    model, folder = models.IALS(factors=2, epochs=1), tmp_path / "found"
    tw.tune(model, split, trials=1, folder=folder)
    for other, more in {
        "metric": {"metric": "recall@5"},
        "fixed": {"fixed": ["epochs"]},
        "seed": {"rng": 1},
        "evaluation": {"relevant_from": 3},
        "model": {"model": models.IALS(factors=3, epochs=1)},
        "train, validation": {"split": tw.split.random(planted_log(), validation=0.1, rng=1)},
    }.items():
        asked = {"model": model, "split": split, "trials": 1, "folder": folder, **more}
        with pytest.raises(ConfigError, match=f"another search .other: {other}."):
            tw.tune(**asked)
    assert len(tw.tune(model, split, trials=2, folder=folder).table) == 2


def test_a_folder_that_cannot_keep_trials_is_named(tmp_path):
    split = tw.split.random(planted_log(), validation=0.1, rng=0)
    model = models.IALS(factors=2, epochs=1)
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match="choose another folder"):
            tw.tune(model, split, trials=1, folder=folder)
    (tmp_path / "IALS.journal").write_text("no journal")
    with pytest.raises(DataError, match="holds no trials that can be read"):
        tw.tune(model, split, trials=1, folder=tmp_path)
