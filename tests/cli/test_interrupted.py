"""Whatever stops a run leaves nothing half-written, and the same command goes on from there."""

import json
import logging
import os
import sys
from functools import partial
from types import SimpleNamespace

import pytest

import twofold as tw
from twofold import cli, locks, resuming, runs
from twofold import drafts as drafts_of
from twofold.cli import app, compare, inspect, train
from twofold.errors import ConfigError, DataError, NotConvergedError

JOB = """
metrics = ["ndcg@5"]
[data]
source = "ratings.csv"
[split]
kind = "last_fraction"
test = 0.2
validation = 0.2
[models.ItemKNN]
[models.ials]
class = "IALS"
factors = 4
epochs = 2
[models.EASE]
"""


@pytest.fixture
def job_file(tmp_path, log_file):
    (tmp_path / "ratings.csv").write_bytes(log_file.read_bytes())
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


@pytest.fixture
def ctrl_c(monkeypatch):
    """Press Ctrl-C in the n-th training of a model from now on; returns the list of trainings begun."""

    def press(cls, at, error=KeyboardInterrupt):
        begun = []
        real = cls.fit

        def fit(self, *args, **kwargs):
            begun.append(self)
            if len(begun) == at:
                raise error("stopped") if error is not KeyboardInterrupt else KeyboardInterrupt
            return real(self, *args, **kwargs)

        monkeypatch.setattr(cls, "fit", fit)
        return begun

    return press


def without_seconds(folder):
    board = json.loads((folder / "leaderboard.json").read_text())
    for model in board["models"].values():
        del model["fit_seconds"]
        model["report"].pop("seconds", None)
    return board


def test_compare_goes_on_and_ends_as_if_nothing_had_happened(
    run, job_file, tmp_path, ctrl_c, monkeypatch
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run("compare", job_file, "--out", whole)[0] == 0
    ctrl_c(tw.models.IALS, 1)
    code, out, err = run("compare", job_file, "--out", parts)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1].startswith("interrupted; what was finished is kept")
    assert [one.name for one in (parts / "results").iterdir()] == ["ItemKNN"]
    assert [one.name for one in (parts / "models").iterdir()] == ["ItemKNN"]
    monkeypatch.undo()
    again = ctrl_c(tw.models.ItemKNN, 0)
    code, _, err = run("compare", job_file, "--out", parts)
    assert code == 0, err
    assert "going on: ItemKNN done before" in err
    assert not again, "what was finished is not trained again"
    assert without_seconds(parts) == without_seconds(whole)
    for model in ("ItemKNN", "ials", "EASE", "popularity"):
        for file in (whole / "models" / model).iterdir():
            assert file.read_bytes() == (parts / "models" / model / file.name).read_bytes()


@pytest.mark.parametrize("at", [1, 3])
def test_tune_goes_on_and_ends_as_if_nothing_had_happened(
    run, job_file, tmp_path, ctrl_c, monkeypatch, at
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command = ("tune", job_file, "--trials", 4, "--out")
    assert run(*command, whole)[0] == 0
    ctrl_c(tw.models.IALS, at)
    code, out, err = run(*command, parts)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1].startswith("interrupted; finished trials are kept")
    assert not (parts / "tuned.toml").exists()
    assert "a search that has not ended" in run("recommend", parts)[2]
    monkeypatch.undo()
    begun = ctrl_c(tw.models.IALS, 0)
    assert run(*command, parts)[0] == 0
    assert len(begun) == 4 - (at - 1)
    assert (parts / "tuned.toml").read_text() == (whole / "tuned.toml").read_text()
    tables = [
        [line.rsplit(",", 1)[0] for line in (one / "trials/ials.csv").read_text().splitlines()]
        for one in (whole, parts)
    ]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 5


def test_a_trial_that_leaves_the_finite_numbers_is_counted_and_passed_over(
    run, job_file, tmp_path, ctrl_c
):
    job_file.write_text(JOB.replace("[models.EASE]\n", "").replace("[models.ItemKNN]\n", ""))
    ctrl_c(tw.models.IALS, 1, NotConvergedError)
    code, out, err = run("tune", job_file, "--trials", 3, "--out", tmp_path / "t", "--json")
    assert code == 0, err
    assert "2 settings tried, 1 failed" in err
    assert json.loads(out)["ials"]["default"] is None, (
        "the job's own setting is the one that failed"
    )


def test_a_search_of_which_all_trials_fail_says_so(run, job_file, tmp_path, ctrl_c):
    ctrl_c(tw.models.ItemKNN, 1, NotConvergedError)
    code, _, err = run("tune", job_file, "--trials", 1, "--out", tmp_path / "t")
    assert code == 2
    assert "every trial of ItemKNN left the finite numbers" in err


def test_fit_writes_no_model_when_it_is_interrupted(run, log_file, tmp_path, ctrl_c, monkeypatch):
    folder = tmp_path / "run"
    command = ("fit", "EASE", "--data", log_file, "--out", folder)
    ctrl_c(tw.models.EASE, 1)
    code, out, err = run(*command)
    assert (code, out) == (130, "")
    assert "no model was written" in err
    assert not (folder / "model").exists()
    assert "give the same command again" in run("recommend", folder)[2]
    monkeypatch.undo()
    assert run(*command)[0] == 0
    assert "was trained before" in run(*command)[2]


def test_a_comparison_without_a_folder_says_that_nothing_is_kept(run, log_file, ctrl_c):
    ctrl_c(tw.models.EASE, 1)
    code, _, err = run("compare", "--data", log_file, "--model", "EASE")
    assert code == 130
    assert (
        err.splitlines()[-1]
        == "interrupted; nothing was kept; with --out the same command would go on"
    )


def test_an_interrupt_anywhere_else_is_one_line(run, monkeypatch, capsys):
    def pressed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect, "_headline", pressed)
    assert run("models") == (130, "", "interrupted; nothing was written\n")
    monkeypatch.setattr(app, "run", pressed)
    assert cli.main(["models"]) == 130
    assert capsys.readouterr().err == "interrupted; nothing was written\n"


def test_training_that_fails_is_exit_code_1(run, log_file, tmp_path, ctrl_c):
    ctrl_c(tw.models.EASE, 1, NotConvergedError)
    code, _, err = run("fit", "EASE", "--data", log_file, "--out", tmp_path / "run")
    assert (code, err.splitlines()[-1]) == (1, "error: stopped")
    ctrl_c(tw.models.BPR, 1, MemoryError)
    code, _, err = run("fit", "BPR", "--data", log_file, "--out", tmp_path / "run2")
    assert code == 1
    assert "memory ran out" in err


def test_torch_without_memory_is_told_as_numpy_without(run, log_file, tmp_path):
    """It raises a RuntimeError, and so that was shown."""
    command = ("fit", "YouTubeCandidates", "--data", log_file, "--set", "factors=2147483647")
    code, out, err = run(*command, "--out", tmp_path / "run")
    assert (code, out, err.splitlines()[-1]) == (1, "", "error: memory ran out; take fewer factors, units or negatives, or a part of the data")  # fmt: skip


def test_a_model_that_cannot_be_fitted_stops_no_comparison_and_may_be_corrected(
    run, job_file, tmp_path, ctrl_c, monkeypatch
):
    folder = tmp_path / "out"
    ctrl_c(tw.models.IALS, 1, NotConvergedError)
    code, out, err = run("compare", job_file, "--out", folder)
    assert code == 1
    assert "ials: could not be fitted or measured, the others go on: stopped" in err
    assert err.splitlines()[-1].startswith(
        "error: ials could not be fitted or measured: stopped; what is finished is kept"
    )
    assert "without ials, which could not be fitted or measured: stopped" in out
    board = json.loads((folder / "leaderboard.json").read_text())
    assert (set(board["models"]), board["failed"]) == (
        {"ItemKNN", "EASE", "popularity"},
        {"ials": "stopped"},
    )
    assert (
        "<strong>ials</strong> could not be fitted or measured: stopped"
        in (folder / "report.html").read_text()
    )
    monkeypatch.undo()
    text = job_file.read_text()
    job_file.write_text(text.replace("[models.EASE]", "[models.EASE]\nreg = 7"))
    code, _, err = run("compare", job_file, "--out", folder)
    assert (code, "belongs to another job (other models)" in err) == (2, True), "EASE is finished"
    job_file.write_text(text.replace("epochs = 2", "epochs = 3") + "[models.Popularity]\n")
    again = ctrl_c(tw.models.EASE, 0)
    code, _, err = run("compare", job_file, "--out", folder)
    assert code == 0, err
    assert not again
    assert json.loads((folder / "job.json").read_text())["models"]["ials"]["epochs"] == 3
    board = json.loads((folder / "leaderboard.json").read_text())
    assert set(board["models"]) == {"ItemKNN", "ials", "EASE", "Popularity"}
    assert board["failed"] == {}


def test_a_comparison_of_which_nothing_can_be_fitted_ends_with_the_first_error(
    run, log_file, ctrl_c
):
    ctrl_c(tw.models.EASE, 1, NotConvergedError)
    code, out, err = run("compare", "--data", log_file, "--model", "EASE")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "error: stopped"


@pytest.mark.parametrize("error", [NotConvergedError, MemoryError, KeyboardInterrupt])
def test_a_job_that_ended_before_anything_was_made_keeps_no_other_out(
    run, log_file, tmp_path, ctrl_c, monkeypatch, error
):
    folder = tmp_path / "run"
    command = ("fit", "EASE", "--data", log_file, "--out", folder)
    ctrl_c(tw.models.EASE, 1, error)
    assert run(*command)[0] != 0
    (folder / "log.txt").write_text("the way it went\n")
    monkeypatch.undo()
    with runs.at_work(runs.Run(folder)):
        code, _, err = run(*command, "--seed", 1)
    assert (code, "belongs to another job (other seed)" in err) == (2, True)
    code, _, err = run(*command, "--seed", 1)
    assert code == 0, err
    assert json.loads((folder / "job.json").read_text())["seed"] == 1
    assert (folder / "log.txt").read_text().startswith("the way it went\n")
    code, _, err = run(*command)
    assert (code, "belongs to another job (other seed)" in err) == (2, True)


def test_a_fault_of_our_own_is_one_sentence_that_says_where(capsys, monkeypatch):
    try:
        tw.split.random(SimpleNamespace(interactions=None, items=None))
    except AttributeError as error:
        fault = error
    app.show_fault(type(fault), fault, fault.__traceback__)
    said = capsys.readouterr().err
    assert said.startswith("error: a fault of twofold itself at split/")
    assert "TWOFOLD_TRACEBACK=1" in said
    monkeypatch.setenv("TWOFOLD_TRACEBACK", "1")
    app.show_fault(type(fault), fault, fault.__traceback__)
    assert "Traceback" in capsys.readouterr().err


def test_output_that_nobody_reads_and_a_full_disk_end_quietly(run, monkeypatch):
    gone = []
    monkeypatch.setattr(app, "_abandon_output", lambda: gone.append(1))

    class Full:
        def write(self, text):
            raise OSError(28, "No space left on device")

        def flush(self):
            pass

        def isatty(self):
            return False

    class Closed(Full):
        def write(self, text):
            raise BrokenPipeError

    for stream, expected in ((Full(), 2), (Closed(), 0)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            assert app.run(["models"]) == expected
    assert len(gone) == 2


def test_a_process_at_work_keeps_others_out(run, job_file, tmp_path):
    assert run("compare", job_file, "--out", tmp_path / "out")[0] == 0
    with runs.at_work(runs.Run(tmp_path / "out")):
        code, _, err = run("compare", job_file, "--out", tmp_path / "out")
    assert code == 2
    assert "another process is at work" in err


def test_drafts_of_a_killed_process_are_gone_when_the_run_goes_on(run, job_file, tmp_path):
    out = tmp_path / "out"
    assert run("compare", job_file, "--out", out)[0] == 0
    drafts = [out / one for one in (".model-l01vv89_", "models/.all-6l01vv89", "results/.all-abcdefgh")]  # fmt: skip
    for one in drafts:
        one.mkdir()
        (one / "0.npy").touch()
    mine = [out / ".notes-december", out / "models" / ".all-old-abcdefgh", out / ".held-abcdefgh"]
    for one, name in zip(mine, ("kept.txt", "manifest.json"), strict=False):
        one.mkdir()
        (one / name).touch()
    mine[2].mkdir()
    with drafts_of.folder_draft(out / "models" / "other") as written:
        held = os.open(mine[2], os.O_RDONLY)
        assert locks.take(held)
        assert run("compare", job_file, "--out", out)[0] == 0
        assert written.exists()
        os.close(held)
    assert not any(one.exists() for one in drafts)
    assert all(one.exists() for one in mine)


def test_a_log_that_cannot_be_written_stops_the_run(tmp_path, monkeypatch):
    def full(self):
        raise OSError(28, "No space left on device")

    def work():
        with runs.at_work(runs.Run(tmp_path)):
            monkeypatch.setattr(logging.StreamHandler, "flush", full)
            logging.getLogger("twofold.test").info("one line")

    with pytest.raises(DataError, match="No space left"):
        work()
    monkeypatch.undo()
    with (
        pytest.raises(DataError, match="cannot write into"),
        runs.at_work(runs.Run(tmp_path / "no")),
    ):
        pass


def test_what_was_stopped_at_its_very_beginning_is_begun_anew(run, job_file, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "run.json").write_text("{")
    assert run("compare", job_file, "--out", folder)[0] == 0


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda at: (at / "run.json").unlink(), "run.json cannot be read (No such file"),
        (lambda at: (at / "job.json").write_text("{"), "it is not JSON any more"),
        (lambda at: edit(at / "run.json", "twofold", "0.0.1"), "was begun with twofold 0.0.1"),
        (lambda at: edit(at / "run.json", "data_sha256", "0"), "was begun with other data"),
        (lambda at: edit(at / "job.json", "seed", 9), "belongs to another job (other seed)"),
        (
            lambda at: (at / "results" / "EASE" / "manifest.json").write_text("{}\n0\n"),
            "was changed after it was written",
        ),
    ],
)
def test_a_damaged_run_folder_is_refused(run, job_file, tmp_path, damage, sentence):
    folder = tmp_path / "out"
    assert run("compare", job_file, "--out", folder)[0] == 0
    damage(folder)
    code, out, err = run("compare", job_file, "--out", folder)
    assert (code, out) == (2, "")
    assert sentence in err


def edit(path, key, value):
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


def test_a_folder_or_file_of_somebody_else_is_left_alone(run, log_file, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log.txt").write_text("mine")
    for name, sentence in (
        ("logs", "is not a run of twofold"),
        ("file", "is not a run of twofold"),
        ("folder", "is not a run of twofold"),
        ("file/run", "cannot make"),
    ):
        code, _, err = run("fit", "EASE", "--data", log_file, "--out", tmp_path / name)
        assert code == 2
        assert sentence in err
    assert (tmp_path / "folder" / "mine").read_text() == "mine"
    assert (tmp_path / "logs" / "log.txt").read_text() == "mine"


def test_a_folder_without_results_has_no_leaderboard(tmp_path):
    with pytest.raises(ConfigError, match="no results"):
        runs.leaderboard(tmp_path)


@pytest.mark.parametrize("command", ["fit", "compare"])
def test_a_network_goes_on_after_its_last_checkpoint(command, run, log_file, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the extra deep is not installed")
    from twofold.nn import loop

    for module in (train, compare):
        monkeypatch.setattr(module, "checkpoints", partial(resuming.checkpoints, every=0))
    made, write = [], loop.write_checkpoint

    def written(folder, identity, history, tensors):
        write(folder, identity, history, tensors)
        made.append(len(history.losses))
        if len(made) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "write_checkpoint", written)
    name = ["SASRec"] if command == "fit" else ["--model", "SASRec"]
    asked = (command, *name, "--data", log_file, "--seed", 1)
    code, _, err = run(*asked, "--out", tmp_path / "run")
    assert code == 130
    assert "the same command goes on" in err
    assert [one.name[:7] for one in (tmp_path / "run" / "training").iterdir()] == ["SASRec-"]
    code, _, _ = run(*asked, "--out", tmp_path / "run")
    assert (code, made[:4]) == (0, [1, 2, 3, 4])
    assert not (tmp_path / "run" / "training").exists()
    made[:] = [0] * 9  # never stopped again
    run(*asked, "--out", tmp_path / "whole")
    one, other = (runs.model_folder(tmp_path / folder) for folder in ("run", "whole"))
    kept = [path.relative_to(one) for path in one.rglob("*.npy")]
    assert kept
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in kept)
