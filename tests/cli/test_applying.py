"""The commands map, links and analogy: results, JSON, and one sentence with exit code 2."""

import json

import polars as pl
import pytest

import twofold as tw
from twofold.applications import analogies

pytestmark = pytest.mark.filterwarnings("default::twofold.errors.DataWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    data = analogies.planted(pairs=4, sentences=600, rng=0).data
    return tw.models.IALS(factors=8).fit(data, rng=0).save(tmp_path_factory.mktemp("m") / "ials")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    at = tmp_path_factory.mktemp("friends")
    log = [(u, (u % 2) * 10 + (u * 7 + n) % 10) for u in range(30) for n in range(5)]
    pl.DataFrame(log, schema=["user", "item"], orient="row").write_csv(at / "log.csv")
    friends = [(a, b) for a in range(30) for b in range(a + 2, 30, 2) if (a * b) % 3]
    pl.DataFrame(friends, schema=["a", "b"], orient="row").write_csv(at / "friends.csv")
    more = [*friends, *((a, a + 6) for a in range(0, 24, 3))]
    pl.DataFrame(more, schema=["a", "b"], orient="row").write_csv(at / "later.csv")
    return at


def test_an_analogy(run, folder):
    code, out, err = run(
        "analogy", folder, "capital-1", "country-1", "country-2", "-k", 1, "--json"
    )
    assert code == 0, err
    assert json.loads(out)[0]["item"] == "capital-2"
    assert "capital-2" in run("analogy", folder, "capital-1", "country-1", "country-2", "--method", "mul")[1]  # fmt: skip


def test_a_map(run, folder, tmp_path):
    code, out, err = run("map", folder, "--out", tmp_path / "map.html", "--method", "pca", "--json")
    assert code == 0, err
    assert json.loads(out)["points"] == 54
    assert (tmp_path / "map.html").exists()
    code, out, _ = run("map", folder, "-o", tmp_path / "users.png", "--users", "--method", "pca", "--most", 50)  # fmt: skip
    assert code == 0
    assert "50 of 600 users, drawn at random" in out


def test_links_are_compared_and_recommended(run, files):
    about = ("links", "--data", files / "log.csv", "--links", files / "friends.csv")
    code, out, err = run(*about, "-k", 3, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert {row["metric"] for row in told["rows"]} == {"auc", "f1", "precision@3"}
    assert {"everything", "Adamic-Adar"} <= {row["predictor"] for row in told["rows"]}
    code, out, _ = run(*about, "--later", files / "later.csv")
    assert code == 0
    assert "against" in out
    code, out, _ = run(*about, "--for", 4, "-k", 2, "--json")
    assert code == 0
    assert [row["rank"] for row in json.loads(out)] == [1, 2]
    assert all(isinstance(row["friend"], int) for row in json.loads(out))


def test_few_friendships_leave_the_measures_that_learn_nothing(run, tmp_path):
    people = "user,item\n" + "".join(f"p{one},{one % 3}\n" for one in range(10))
    (tmp_path / "log.csv").write_text(people)
    (tmp_path / "friends.csv").write_text("user,friend\np0,p1\np2,p3\np3,p4\n")
    about = ("links", "--data", tmp_path / "log.csv", "--links", tmp_path / "friends.csv")
    code, out, err = run(*about)
    assert code == 2
    assert "Adamic-Adar" in out
    assert "everything could not be fitted" in err
    code, _, err = run(*about, "--for", "p2")
    assert code == 2
    assert "--by adamic_adar" in err
    code, out, err = run(*about, "--for", "p2", "--by", "adamic_adar", "-k", 1, "--json")
    assert code == 0, err
    assert json.loads(out)[0]["friend"] == "p4"
    code, _, err = run(*about, "--for", "p2", "--by", "jacard")
    assert code == 2
    assert "'jaccard'" in err


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (["analogy", "{m}", "capital-1", "country-1", "Country-2"], "did you mean 'country-2'"),
        (["analogy", "{m}", "a", "b", "c", "--method", "times"], "allowed: add, mul"),
        (["analogy", "{m}/none", "a", "b", "c"], "does not exist"),
        (["map", "{m}", "--out", "map.gif"], "must end in .html, .png"),
        (["map", "{m}", "--out", "map.html", "--method", "umap"], "allowed: tsne, pca, place"),
        (["map", "{m}", "--out", "map.html", "--method", "place"], "no place feature"),
        (["map", "{m}", "--out", "map.html", "--colour", "kind"], "no feature 'kind'"),
        (["map", "{m}", "--out", "map.html", "--most", "1"], "most must be"),
        (["links", "--data", "{f}/log.csv"], "no friendships"),
        (["links", "--data", "{f}/log.csv", "--links", "{f}/none.csv"], "none.csv"),
        (["links", "--data", "{f}/log.csv", "--links", "{f}/friends.csv", "--for", "99"], "99"),
        (["links", "--data", "{f}/log.csv", "--links", "{f}/friends.csv", "--test", "2"], "share"),
        (["links", "--data", "{f}/log.csv", "--links", "{f}/friends.csv", "--negatives", "0"], "negatives"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(run, folder, files, tmp_path, monkeypatch, said, sentence):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*(one.format(m=folder, f=files) for one in said))
    assert code == 2, (out, err)
    assert sentence in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["map", "links", "analogy"])
def test_help_has_an_example(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"twofold {name}" in " ".join(out.split()).split("Example", 1)[1]
