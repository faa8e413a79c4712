"""Questions to a model: ids are the model's own, answers go where they were asked for or nowhere."""

import json

import polars as pl
import pytest

import twofold as tw
from twofold.cli import ask, files
from twofold.errors import DataWarning
from twofold.testing import planted_log


def log(path, users, items):
    rows = [(u, i) for n, u in enumerate(users) for m, i in enumerate(items) if (n + m) % 3]
    pl.DataFrame(rows, schema=["user", "item"], orient="row").write_csv(path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    at = tmp_path_factory.mktemp("models")
    made = {}
    for name, users, items in (
        ("integers", range(1, 9), range(10, 22)),
        ("strings", [f"{n:03}" for n in range(1, 9)], [f"{n:03}" for n in range(10, 22)]),
    ):
        data = tw.Dataset.read(log(at / f"{name}.csv", users, items))
        made[name] = tw.models.ItemKNN().fit(data).save(at / name)
    return made


@pytest.mark.parametrize(("kind", "user", "item"), [("integers", 1, 12), ("strings", "001", "012")])
def test_ids_are_those_of_the_log(run, folders, tmp_path, kind, user, item):
    folder, typed = folders[kind], "1" if kind == "integers" else "001"
    code, out, err = run("recommend", folder, "--user", typed, "--k", 1, "--json")
    assert code == 0, err
    assert json.loads(out)[0]["user"] == user
    assert type(json.loads(out)[0]["item"]) is type(item)
    (tmp_path / "users.csv").write_text(f"name,user\nx,{typed}\n")
    out = run("recommend", folder, "--users", tmp_path / "users.csv", "--k", 1, "--json")[1]
    assert json.loads(out)[0]["user"] == user
    assert json.loads(out)[0]["source"] == "model"
    (tmp_path / "items.txt").write_text(f"{item}\n")
    only = run(
        "recommend",
        folder,
        "--history",
        "013,014" if kind == "strings" else "13, 14,",
        "--allow",
        tmp_path / "items.txt",
        "--json",
    )
    assert [row["item"] for row in json.loads(only[1])] == [item]
    out = run("similar", folder, item, "--json")[1]
    assert item not in [row["item"] for row in json.loads(out)]
    out = run("explain", folder, item, "--user", typed, "--json")[1]
    assert type(json.loads(out)[0]["item"]) is type(item)


def test_a_list_of_nothing_says_why(run, tmp_path):
    log = {"u": [1, 2], "i": ["a", "a"]}
    model = tw.models.HRM(factors=2, epochs=1).fit(tw.Dataset.from_frames(log, user="u", item="i"))
    model.save(tmp_path / "one")
    for asked, said in (
        (("similar", tmp_path / "one", "a"), "the only item of the model"),
        (("analogy", tmp_path / "one", "a", "a", "a"), "no items but those three"),
        (("recommend", tmp_path / "one", "--user", "1"), "nothing is left to recommend"),
    ):
        code, _, err = run(*asked)
        assert (code, said in err) == (0, True), asked


def test_unknown_ids_are_answered_or_named(run, folders, tmp_path):
    strings, integers = folders["strings"], folders["integers"]
    code, _, err = run("similar", strings, "12")
    assert (code, "did you mean '012'" in err) == (2, True)
    code, _, err = run("similar", integers, "x12")
    assert (code, "'x12' is not among" in err) == (2, True)
    code, _, err = run("explain", integers, "12", "--user", "99")
    assert (code, "give a --history" in err) == (2, True)
    code, out, err = run(
        "recommend", integers, "--user", "1", "--user", "nobody", "--k", 1, "--json"
    )
    assert [row["source"].split(":")[0] for row in json.loads(out)] == ["model", "fallback"]
    code, out, err = run("recommend", integers, "--history", "12,777,x", "--k", 1)
    assert (code, "unknown items are passed over: 777, x" in err or "777" in err) == (0, True)
    code, out, err = run("recommend", integers, "--history", "12,13; 14,777;", "--k", 1, "--json")
    assert (code, "passed over: 777" in err) == (0, True)
    code, out, err = run("explain", integers, "12", "--history", "13,777", "--json")
    assert code == 0
    assert "777" in err
    (tmp_path / "users.csv").write_text("user\n901\n902\n")
    code, out, err = run("recommend", integers, "--users", tmp_path / "users.csv", "--k", 1)
    assert code == 0
    assert "none of the 2 ids" in err


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json", ".jsonl", ".CSV"])
def test_lists_are_written_in_the_format_of_the_suffix(run, folders, tmp_path, suffix):
    target = tmp_path / "new" / f"lists{suffix}"
    code, out, err = run("recommend", folders["integers"], "--k", 2, "--out", target)
    assert code == 0, err
    read = {
        ".csv": pl.read_csv,
        ".parquet": pl.read_parquet,
        ".json": pl.read_json,
        ".jsonl": pl.read_ndjson,
    }
    frame = read[suffix.lower()](target)
    assert frame.columns == ["user", "rank", "item", "score", "source"]
    assert f"wrote {len(frame)} rows for 8 people" in out
    out = run("recommend", folders["integers"], "--k", 2, "--out", target, "--json")[1]
    assert json.loads(out) == {"rows": len(frame), "people": 8, "out": str(target)}
    assert [one.name for one in target.parent.iterdir()] == [target.name]


def test_more_items_than_there_are_is_all_there_are(run, folders):
    code, out, _ = run(
        "recommend", folders["integers"], "--user", 1, "--k", 9999, "--keep-seen", "--json"
    )
    assert (code, len(json.loads(out))) == (0, 12)
    assert run("recommend", folders["integers"], "--user", 1, "--k", 0)[0] == 2


def test_nothing_left_to_recommend_is_said(run, folders, tmp_path):
    (tmp_path / "items.csv").write_text("item\n777\n")
    code, out, err = run(
        "recommend", folders["integers"], "--allow", tmp_path / "items.csv", "--json"
    )
    assert (code, json.loads(out)) == (0, [])
    assert "nothing is left to recommend" in err
    assert "none of the 1 ids" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "lists.xls"], "must end in .parquet, .csv, .jsonl, .json"),
        (["--out", "FOLDER.csv"], "is a folder; name a file"),
        (["--out", "FILE/lists.csv"], "is no folder to write into"),
        (["--user", "1", "--history", "12"], "give one of"),
        (["--users", "EMPTY"], "is empty"),
        (["--users", "none.csv"], "no file"),
        (["--users", "WIDE"], "a column user or id, or a single column; got a, b"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(run, folders, tmp_path, arguments, sentence):
    (tmp_path / "FOLDER.csv").mkdir()
    (tmp_path / "FILE").write_text("")
    (tmp_path / "EMPTY").write_text("")
    (tmp_path / "WIDE").write_text("a,b\n1,2\n")
    named = [
        str(tmp_path / one) if one.split("/")[0] in {"FOLDER.csv", "FILE", "EMPTY", "WIDE"} else one
        for one in arguments
    ]
    code, out, err = run("recommend", folders["integers"], *named)
    assert (code, out) == (2, "")
    assert sentence in err


def test_explain_is_asked_of_a_user_or_a_history(run, folders):
    assert "give one of --user and --history" in run("explain", folders["integers"], "12")[2]
    code, out, _ = run("explain", folders["integers"], "12", "--history", "13,14")
    assert code == 0
    assert out.splitlines()[0].split()[:2] == ["item", "contribution"]
    assert run("similar", folders["integers"], "12")[0] == 0


def test_a_disk_that_fills_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "lists.csv"
    target.write_text("old")

    def full(frame, path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(files.WRITERS, ".csv", full)
    with pytest.raises(
        tw.cli.app.TwofoldError, match="No space left on device; nothing was changed"
    ):
        ask.write(pl.DataFrame({"a": [1]}), target)
    assert [one.name for one in tmp_path.iterdir()] == ["lists.csv"]
    assert target.read_text() == "old"


def test_histories_name_items_with_commas_quotes_and_semicolons(run, tmp_path):
    items = ["Käse; jung", 'Müsli, "Bio"', "Öl", "1,5 % milk"]
    log = {"u": [n for n in range(8) for _ in items], "i": items * 8}
    data = tw.Dataset.from_frames(log, user="u", item="i")
    folder = tw.models.ItemKNN().fit(data).save(tmp_path / "shop")
    for typed, taken in (
        ("Käse; jung", {items[0]}),
        ('Müsli, "Bio"', {items[1]}),
        ('"Käse; jung",Öl; "Müsli, ""Bio""" ', {items[0], items[2], items[1]}),
        ('Öl,"1,5 % milk"', {items[2], items[3]}),
    ):
        code, out, err = run("recommend", folder, "--history", typed, "-k", 4, "--json")
        assert (code, err) == (0, ""), typed
        assert {row["item"] for row in json.loads(out)} == set(items) - taken
    err = run("recommend", folder, "--history", 'Käse; "jung', "-k", 1)[2]
    assert "'Käse', '\"jung'" in err


def test_ids_of_nineteen_digits_stay_integers(run, tmp_path):
    big = 9_100_000_000_000_303_554
    log = {"u": [big + n for n in range(6)] * 2, "i": [big] * 6 + [big + 1] * 6}
    data = tw.Dataset.from_frames(log, user="u", item="i")
    folder = tw.models.ItemKNN().fit(data).save(tmp_path / "big")
    out = run("recommend", folder, "--user", big + 2, "--keep-seen", "-k", 1, "--json")[1]
    assert json.loads(out)[0]["user"] == big + 2
    code, _, err = run("recommend", folder, "--history", "99999999999999999999", "-k", 1)
    assert (code, "unknown items" in err) == (0, True)


def test_items_are_chosen_by_what_they_are_and_people_told_by_columns(run, tmp_path):
    from twofold.testing import planted_log

    data = planted_log()
    folder = tw.models.FM(factors=2, learner={"method": "als", "epochs": 3}).fit(data, rng=0).save(tmp_path / "m")  # fmt: skip
    model = tw.load(folder)

    def asked(*arguments):
        code, out, err = run("recommend", folder, "--k", 3, "--json", *arguments)
        assert code == 0, err
        return [row["item"] for row in json.loads(out)]

    even = model.recommend(users=[101], k=3, where={"tags": ["even"]})["item"].to_list()
    assert asked("--user", "101", "--where", "tags=even") == even
    assert asked("--user", "101", "--where", "tags=[even, nothing]") == even
    told = model.recommend(features={"taste": ["odd"]}, k=3)["item"].to_list()
    assert asked("--feature", "taste=odd") == told
    for arguments, said in (
        (["--where", "tag=even"], "did you mean 'tags'"),
        (["--where", "tags"], "--where takes name=value"),
        (["--feature", "tast=odd"], "did you mean 'taste'"),
    ):
        code, out, err = run("recommend", folder, "--user", "101", *arguments)
        assert (code, out, said in err) == (2, "", True), err


def test_what_somebody_known_searches_for_is_asked_as_in_python(run, tmp_path):
    network = {"kind": "dense", "hidden": ()}
    model = tw.models.DSSM(encoder=network, factors=4, epochs=2, content="title").fit(planted_log(), rng=0)  # fmt: skip
    folder = model.save(tmp_path / "model")
    one = ("recommend", folder, "--user", 100, "--user", 101, "--k", 3, "--json")
    out = run(*one, "--text", "odd")[1]
    expected = model.recommend(users=[100, 101], text=["odd", "odd"], k=3)
    assert [row["item"] for row in json.loads(out)] == expected["item"].to_list()
    code, _, err = run(*one, "--text", "odd", "--text", "even", "--text", "odd")
    assert (code, "--text is given 3 times for 2 people" in err) == (2, True)


def test_a_list_may_be_varied(run, folders):
    model = tw.load(folders["integers"])
    for weight in (0.0, 0.9):
        expected = model.recommend(users=[1], k=4, diversity=weight, exclude_seen=False)
        asked = ("recommend", folders["integers"], "--user", 1, "--k", 4, "--keep-seen", "--json")
        found = json.loads(run(*asked, "--diversity", weight)[1])
        assert [row["item"] for row in found] == expected["item"].to_list()
    code, _, err = run(*asked, "--diversity", 1.5)
    assert code == 2
    assert "diversity got 1.5; input should be less than or equal to 1" in err


def test_nothing_is_listed_as_like_an_item_of_which_nothing_is_known(run, tmp_path):
    """The first items of the catalogue were listed, with a likeness of 0."""
    model = tw.models.ItemKNN(content=("title",)).fit(planted_log(), rng=0)
    with pytest.warns(DataWarning, match="nothing is known"):
        grown = model.with_items({"item": ["z1"], "title": ["qqqq"], "tags": [[]]})
    grown.save(tmp_path / "m")
    code, out, err = run("similar", tmp_path / "m", "z1", "--json")
    assert (code, json.loads(out)) == (0, [])
    assert err.startswith("note: nothing is known of 'z1' that others could be like")
    assert err.count("\n") == 1
