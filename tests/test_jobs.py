"""A job is checked whole, before the data are read; what is wrong is named with what is allowed."""

import json
import tomllib

import pytest

import twofold as tw
from twofold import jobs
from twofold.cli.compare import job_of
from twofold.data.synthetic import small_log
from twofold.errors import ConfigError, DataError, DataWarning, nearest
from twofold.plans import DataPlan, SplitPlan
from twofold.toml_text import to_toml

DATA = {"source": "no/such/file.csv"}


def job(**keys):
    return jobs.from_dict({"data": DATA, "models": {"IALS": {}}, **keys})


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"data": 3}, r"\[data\] must be a table"),
        ({"data": {"source": 3}}, r"\[data\] source got 3"),
        ({"data": {}}, "need a name of the catalogue"),
        ({"data": {"name": "ml-100k", "source": "x.csv"}}, "and not both"),
        ({"data": {"name": "ml100k"}}, "did you mean 'ml-100k'"),
        ({"data": {"name": "ml-100k", "user": "u"}}, "leave out user"),
        ({"data": {**DATA, "item_features": {"genres": "tags"}}}, 'give items = "items.csv"'),
        ({"data": {**DATA, "user_features": {"age": "number"}}}, 'give users = "users.csv"'),
        ({"data": {**DATA, "query": "select 1"}}, "a query needs a database URL"),
        ({"data": {**DATA, "min_user_events": 0}}, "min_user_events"),
        ({"data": {**DATA, "duplicates": "first"}}, "duplicates"),
        ({"split": 3}, r"\[split\] must be a table"),
        ({"split": {"kind": "temporale"}}, "did you mean 'temporal'"),
        ({"split": {"kind": 3}}, "kind got 3"),
        ({"split": {"test": "a"}}, r"\[split\] test got 'a'"),
        ({"split": {"test": True}}, r"\[split\] test got True"),
        ({"split": {"test": 1.5}}, "test must be a share, 0 < test < 1; got 1.5"),
        ({"split": {"test": 0}}, "test must be a share"),
        ({"split": {"validation": -0.1}}, "0 <= validation"),
        ({"split": {"test": 0.5, "validation": 0.5}}, "must be below 1"),
        ({"split": {"kind": "leave_last", "n": 0}}, "n must be an integer >= 1; got 0"),
        ({"split": {"kind": "leave_last", "validation": 0.1}}, "validation got 0.1"),
        ({"split": {"kind": "fixed_train"}}, "fixed_train needs n"),
        ({"split": {"kind": "temporal", "repeats": "maybe"}}, "repeats got 'maybe'"),
        ({"split": {"rng": 3}}, "no argument 'rng'"),
        ({"models": 3}, "a table a model"),
        ({"models": {"IALS": 3}}, r"\[models.IALS\] must be a table"),
        (
            {"models": {"EASE": {}, "IALS": {"factor": 3}}},
            r"\[models.IALS\] .*did you mean 'factors'",
        ),
        ({"models": {"ials": {}}}, "did you mean 'IALS'"),
        ({"models": {"x": {"class": 3}}}, "no model is called 3"),
        (
            {"models": {"mine": {"model": "IALS"}}},
            "is no name of a model; .*say which it is: class =",
        ),
        ({"models": {"../x": {"class": "IALS"}}}, "becomes a folder"),
        ({"models": {".x": {"class": "IALS"}}}, "becomes a folder"),
        ({"models": {"x" * 200: {"class": "IALS"}}}, "becomes a folder"),
        ({"models": {"IALS": {"factors": True}}}, "factors got True, a bool: write a number"),
        ({"models": {"IALS": {"factors": "8"}}}, "factors got '8', a str: write a number"),
        ({"models": {"IALS": {"solver": "exact"}}}, 'write one of {"method": "exact"}'),
        ({"models": {"IALS": {"solver": {"method": "exat"}}}}, "'exact'"),
        ({"evaluation": 3}, r"\[evaluation\] must be a table"),
        ({"evaluation": {"part": "tests"}}, r"\[evaluation\] part got 'tests'"),
        ({"evaluation": {"exclude_seen": 1}}, "write true or false"),
        ({"evaluation": {"parts": "test"}}, "did you mean 'part'"),
        ({"evaluation": {"unknown_items": "contents"}}, "did you mean 'content'"),
        ({"evaluation": {"candidates": "new"}}, "write unknown_items='content' too"),
        ({"models": {"Pipelin": {}}}, "did you mean 'Pipeline'"),
        ({"models": {"Pipeline": {"candidates": "IALS"}}}, "must be a list of estimators"),
        ({"metrics": "ndcg@10"}, "metrics must be a list"),
        ({"metrics": []}, "metrics must be a list"),
        ({"metrics": ["ndgc@10"]}, "no metric 'ndgc@10'"),
        ({"metrics": ["rmse"]}, "rmse needs models that predict ratings, and IALS does not"),
        ({"tune": {"metric": "ndcg"}}, "needs a cut-off"),
        ({"tune": {"metric": "mae"}}, "mae needs models that predict"),
        ({"tune": {"only": ["EASE"]}}, "names the model 'EASE'"),
        ({"tune": {"trials": 0}}, r"\[tune\] trials got 0"),
        ({"seed": True}, "seed must be an integer"),
        ({"out": 3}, "out must name a folder"),
        ({"out": ""}, "out must name a folder"),
        ({"metric": ["ndcg@10"]}, "did you mean 'metrics'"),
    ],
)
def test_what_is_wrong_in_a_job_is_named(keys, sentence):
    with pytest.raises(ConfigError, match=sentence):
        job(**keys)


def test_a_job_without_data_is_refused():
    with pytest.raises(ConfigError, match=r"needs a \[data\] section"):
        jobs.from_dict({})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "needs a [data] section"),
        (b"seed = ", "is not a job"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[models.EASE]\n[models.EASE]\n", "twice"),
    ],
)
def test_a_file_that_is_no_job_is_refused(tmp_path, content, sentence):
    path = tmp_path / "job.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        jobs.read(path)
    assert sentence in str(caught.value)


def test_a_missing_job_names_the_nearest_file(tmp_path):
    (tmp_path / "compare.toml").write_text("")
    with pytest.raises(ConfigError, match=r"no job .*compere\.toml; did you mean .*compare\.toml"):
        jobs.read(tmp_path / "compere.toml")
    with pytest.raises(ConfigError, match="no job"):
        jobs.read(tmp_path / "none" / "job.toml")
    with pytest.raises(ConfigError, match="cannot read the job"):
        jobs.read(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ConfigError, match="it must be a table; got list"):
        jobs.read(tmp_path / "list.json")


def test_paths_in_a_job_are_taken_from_its_folder(tmp_path):
    (tmp_path / "job.toml").write_text(
        'out = "run"\n[data]\nsource = "log.csv"\nitems = "../items.csv"\nitem_features = {}\n'
    )
    read = jobs.read(tmp_path / "job.toml")
    assert read.data.source == str(tmp_path / "log.csv")
    assert read.data.items == str(tmp_path / ".." / "items.csv")
    assert read.out == str(tmp_path / "run")
    url = {"source": "sqlite:///log.db", "query": "select 1"}
    assert jobs.from_dict({"data": url}).data.source == url["source"]


def test_a_resolved_job_is_the_same_job_as_toml_and_json():
    made = jobs.from_dict(
        {
            "data": {"source": '/a b/ü".csv', "context": {"hour of day": "number"}},
            "split": {"kind": "leave_last", "n": 2, "validation": True},
            "metrics": ["ndcg@10", "auc"],
            "evaluation": {"exclude_seen": False, "relevant_from": 4},
            "models": {
                "a b": {"class": "IALS", "solver": {"method": "exact"}},
                "mf": {"class": "BiasedMF"},
                "fm.1": {"class": "FM"},
            },
            "seed": 3,
        }
    )
    for text, read in (
        (to_toml(made.as_dict()), tomllib.loads),
        (json.dumps(made.as_dict()), json.loads),
    ):
        again = jobs.from_dict(read(text))
        assert again.as_dict() == made.as_dict()
        assert again.models == made.models


def test_a_password_is_not_written_down():
    url = {"source": "postgresql://me:secret@host/log", "query": "select 1"}
    assert "secret" not in json.dumps(jobs.from_dict({"data": url}).as_dict())


@pytest.mark.parametrize("text", ['{method = "sgd", epochs = 3}', '{"method": "sgd", "epochs": 3}'])
def test_a_table_is_set_as_toml_or_json(text):
    assert jobs.assignments([f"learner={text}"], tw.models.FM) == {
        "learner": {"method": "sgd", "epochs": 3}
    }


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["factors"], "name=value"),
        (["=8"], "no hyperparameter ''"),
        (["factor=8"], "did you mean 'factors'"),
        (["factors=8", "factors=9"], "given twice"),
        (["solver={'method': 'exact'}"], "no table in TOML or JSON; write it like {method = "),
        (["solver=[1"], "no list in TOML or JSON"),
    ],
)
def test_settings_that_say_nothing_clear_are_refused(texts, sentence):
    with pytest.raises(ConfigError, match=sentence):
        jobs.assignments(texts, tw.models.IALS)


@pytest.mark.parametrize("end", ["null", "None", "none"])
def test_a_bound_may_be_left_open_beside_a_day(end):
    (least, most) = jobs._value("where", f"[2024-06-01,{end}]")
    assert (str(least), most) == ("2024-06-01", None)


def test_settings_are_toml_or_bare_words():
    texts = ["factors=8", "zeros=all", 'solver={method="exact"}', "reg=1e-3", "alpha=None"]
    assert jobs.assignments(texts, tw.models.IALS) == {
        "factors": 8,
        "zeros": "all",
        "solver": {"method": "exact"},
        "reg": 0.001,
        "alpha": None,
    }


def test_names_of_parts_are_set_in_the_tables_of_these():
    deep, texts = tw.models.DeepContent, ["network.dropout=0.2", "sound.min_seconds=2", "factorization.factors=8"]  # fmt: skip
    made = deep(**jobs.assignments(texts, deep))
    assert (made.network.dropout, made.sound.min_seconds, made.factorization["factors"]) == (0.2, 2, 8)  # fmt: skip
    assert made.network.hidden == deep().network.hidden
    assert made.factorization["model"] == deep().factorization["model"]
    texts = ["network.reg=2", 'network={kind="linear"}', "epochs=3"]
    made = deep(**jobs.assignments(texts, deep))
    assert (made.network, made.epochs) == (deep(network={"kind": "linear", "reg": 2}).network, 3)
    texts = ["candidates.1.neighbours=7", 'candidates=[{model="IALS"}, {model="ItemKNN"}]']
    made = tw.Pipeline(**jobs.assignments(texts, tw.Pipeline))
    assert made.candidates[1]["neighbours"] == 7


def test_a_part_that_is_named_by_its_kind_begins_anew_with_it():
    """The keys of the default network were complained of: MLP.kind allows mlp."""
    deep = tw.models.DeepContent
    texts = [
        "network.reg=2",
        "network.kind=linear",
        "factorization.model=BPR",
        "factorization.factors=8",
    ]
    made = deep(**jobs.assignments(texts, deep))
    assert made.network == deep(network={"kind": "linear", "reg": 2}).network
    assert (made.factorization["model"], made.factorization["factors"]) == ("BPR", 8)
    texts = ["network={hidden=[5]}", "network.kind=mlp", "optimiser.method=sgd"]
    made = deep(**jobs.assignments(texts, deep))
    assert (made.network.hidden, made.optimiser.method) == ((5,), "sgd")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("network.dropuot=0.2", "no hyperparameter 'network.dropuot' .*did you mean 'network.dropout'"),
        ("netwrok.dropout=0.2", "no hyperparameter 'netwrok.dropout'; .*did you mean 'network"),
        ("epochs.more=2", "no hyperparameter 'epochs.more'"),
        ("network.=2", "no hyperparameter 'network.'"),
        ("network.dropout=2", "dropout got 2"),
        ("network.kind=mpl", "network got 'mpl'; .*did you mean 'mlp'"),
        ("factorization.model=IAL", "cannot fit 'IAL'; .*did you mean 'IALS'"),
    ],
)  # fmt: skip
def test_a_wrong_name_of_a_part_is_refused_with_the_nearest(text, sentence):
    deep = tw.models.DeepContent
    with pytest.raises(ConfigError, match=sentence):
        deep(**jobs.assignments([text], deep))


def test_only_models_that_predict_ratings_say_so():
    made = {name: jobs.predicts_values(getattr(tw.models, name)()) for name in tw.models.__all__}
    assert {name for name, one in made.items() if one} == {
        "BPMF", "BiasedMF", "FM", "MeanRating", "PMF",
    }  # fmt: skip


def test_what_a_person_types_is_a_file_or_a_name(tmp_path, monkeypatch, log_file):
    monkeypatch.chdir(tmp_path)
    assert DataPlan.of("ml-100k").name == "ml-100k"
    assert DataPlan.of("log.csv").source == str(tmp_path / "log.csv")
    (tmp_path / "ml-100k").write_text("")
    assert DataPlan.of("ml-100k").source == str(tmp_path / "ml-100k"), (
        "a file of one's own goes first"
    )
    with pytest.raises(ConfigError, match="did you mean 'ml-1m'"):
        DataPlan.of("ml1m")


def test_a_few_values_below_0_are_told_until_they_are_left_out(tmp_path):
    """A returned piece counted as one more that was bought, without a word."""
    log = tmp_path / "shop.csv"
    rows = [f"{at % 4},{at % 5},{-1 if at == 7 else 2}" for at in range(20)]
    log.write_text("\n".join(["user,item,value", *rows]))
    with pytest.warns(DataWarning, match="1 of 20 values lies below 0, the lowest -1, .* min_value=0"):  # fmt: skip
        read = DataPlan(source=str(log)).read()
    assert any("below 0" in one for one in read.notes)
    assert len(DataPlan(source=str(log), min_value=0).read()) == 19
    log.write_text(log.read_text().replace(",2\n", ",-2\n", 9))
    assert len(DataPlan(source=str(log)).read()) == 20


def test_many_zeros_are_told_until_they_are_left_out(tmp_path):
    """What was shown and passed by was learned as taken, without a word."""
    log = tmp_path / "shown.csv"
    rows = [f"{at % 4},{at % 5},{0 if at % 3 else 12.5}" for at in range(30)]
    log.write_text("\n".join(["user,item,seconds_watched", *rows]))
    with pytest.warns(DataWarning, match="20 of 30 values are 0.*--min-value 12.5.*relevant_from"):
        read = DataPlan(source=str(log)).read()
    assert any("passed by" in one for one in read.notes)
    kept = DataPlan(source=str(log), min_value=12.5).read()
    assert len(kept) == 10
    assert not any("passed by" in one for one in kept.notes)


def test_data_are_filtered_as_the_plan_says(log_file, tmp_path):
    whole = tw.Dataset.read(log_file)
    few = DataPlan(source=str(log_file), min_user_events=10, min_item_events=2).read()
    assert few.interactions.matrix().shape == (few.n_users, few.n_items)
    assert 0 < few.n_users < whole.n_users
    high = DataPlan(source=str(log_file), min_value=4).read()
    assert 0 < len(high) < len(whole)
    assert high.interactions.value.min() >= 4
    whole.save(tmp_path / "saved")
    assert len(DataPlan(source=str(tmp_path / "saved")).read()) == len(whole)
    none = rf"min_value=6, min_item_events=2 leaves none of the {len(whole):,} events"
    with pytest.raises(DataError, match=none):
        DataPlan(source=str(log_file), min_value=6, min_item_events=2).read()
    with pytest.raises(DataError, match="min_value=4 needs values and the log has none"):
        DataPlan(source=str(log_file), min_value=4, value="-").read()
    with pytest.raises(ConfigError, match="whose columns are known; leave out user"):
        DataPlan(source=str(tmp_path / "saved"), user="u").read()
    with pytest.raises(DataError, match="no file"):
        DataPlan(source=str(tmp_path / "none.csv")).read()


def test_every_split_of_a_job_can_be_made():
    log = small_log()
    for kind in ("random", "last_fraction", "cold_items", "user_disjoint", "leave_last"):
        assert len(SplitPlan(kind=kind).make(log, 0).test)
    assert SplitPlan(kind="fixed_train", options={"n": 2}).make(log, 0).train.n_users


def test_a_job_is_a_file_or_options_and_not_both(tmp_path):
    nothing = ([], "default", [], [], {}, 0, {})
    with pytest.raises(ConfigError, match="not both and not neither"):
        job_of(None, "", *nothing)
    with pytest.raises(ConfigError, match="not both and not neither"):
        job_of(tmp_path / "job.toml", "log.csv", *nothing)
    with pytest.raises(ConfigError, match="are the file's"):
        job_of(tmp_path / "job.toml", "", [], "default", [], [], {}, 3, {})
    with pytest.raises(ConfigError, match="are the file's"):
        job_of(tmp_path / "job.toml", "", [], "default", [], [], {"candidates": "new"}, 0, {})


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("ials", ["EASE", "IALS"], "IALS"),
        ("50", ["00050", "51"], "00050"),
        ("min-value", ["max_value", "min_value"], "min_value"),
        ("TEMPORALE", ["random", "temporal"], "temporal"),
        ("0", ["1", "000"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_name(name, names, expected):
    assert nearest(name, names) == expected


def test_a_pipeline_is_a_model_of_a_job():
    parts = [{"model": "IALS", "factors": 4}, {"model": "EASE"}]
    made = job(models={"two": {"class": "Pipeline", "candidates": parts, "depth": 30}})
    assert made.models["two"].candidates == tuple(parts)
    again = jobs.from_dict(tomllib.loads(to_toml(made.as_dict())))
    assert again.as_dict() == made.as_dict()
    stages = ("candidates.0.model", "candidates.0.factors", "candidates.1.model")
    assert made.fixed["two"] == (*stages, "depth")


def test_a_deep_content_of_a_job_says_its_factorization():
    made = job(models={"DeepContent": {"factorization": {"model": "BPR", "factors": 4}}})
    again = jobs.from_dict(tomllib.loads(to_toml(made.as_dict())))
    assert again.as_dict() == made.as_dict()
    with pytest.raises(ConfigError, match="did you mean 'BPR'"):
        job(models={"DeepContent": {"factorization": {"model": "BPRR"}}})
