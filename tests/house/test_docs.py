"""Documentation that is generated is current; links and commands in it exist."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import typer

import twofold as tw
from twofold import jobs
from twofold.cli.app import app
from twofold.errors import LeakError
from twofold.hyperparameters import names as names_of
from twofold.plans import SPLITS, DataPlan, EvaluationPlan, TunePlan

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_hyperparameter_page_is_current():
    ran = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], check=False)
    assert ran.returncode == 0, "run: make docs"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page_of(name):
    pages = {path.stem.replace("_", ""): path for path in (ROOT / "docs" / "models").glob("*.md")}
    return pages[name.lower()]


@pytest.mark.parametrize("name", tw.models.__all__)
def test_what_differs_from_a_paper_is_what_the_docstring_says(generate, name):
    lines = page_of(name).read_text().splitlines()
    said = [line for line in lines if line.startswith("**Differs from")]
    cls = getattr(tw.models, name)
    docs = [one.__doc__ or "" for one in (sys.modules[cls.__module__], cls, cls.fit)]
    assert len(said) == sum(doc.count("Differs from the paper") for doc in docs)
    assert said == ([] if generate.differs(name) is None else [generate.differs(name)])
    spelled = set(re.findall(r"[a-z]{5,}", " ".join(docs).lower()))
    for line in said:  # word for word, but for symbols and links
        told = re.sub(r"\]\([^)]*\)", "", line).lower()
        assert set(re.findall(r"[a-z]{5,}", told)) <= spelled


def test_a_paragraph_of_a_docstring_is_written_as_a_page_writes(generate):
    assert generate.spelled("theta_j is in +-sqrt(d) of v_i . beta") == "θ_j is in ±√d of v_i·β"
    assert generate.spelled("see decision 0008").startswith("see [decision 0008](../decisions/0008")
    said = generate.differs("CTR")
    assert said.startswith("**Differs from the paper.** Items")
    assert '`start="even"`' in said
    assert "`eta`" in said


@pytest.mark.parametrize("change", ["another word", "another line"])
def test_a_page_that_is_out_of_date_is_found(generate, change, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("images"))
    monkeypatch.setattr(generate, "HERE", tmp_path / "docs")
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0
    page = tmp_path / "docs" / "models" / "bpr.md"
    text = page.read_text()
    (line,) = re.findall(r"^\*\*Differs.*$", text, re.M)
    stale = line + "\nby hand" if change == "another line" else line.replace("epoch", "pass")
    page.write_text(text.replace(line, stale))
    assert generate.main() == 1
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    assert page.read_text() == text


def test_a_page_without_a_place_for_what_differs_is_told(generate, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("images"))
    monkeypatch.setattr(generate, "HERE", tmp_path / "docs")
    page = tmp_path / "docs" / "models" / "bpr.md"
    page.write_text(re.sub(r"^\*\*Differs.*$", "", page.read_text(), flags=re.M))
    with pytest.raises(ValueError, match=r"bpr\.md has 0 paragraphs .* BPR one"):
        generate.model_pages()


@pytest.mark.parametrize("name", tw.models.__all__)
def test_every_model_has_a_page(name):
    pages = {page.stem.replace("_", "").lower() for page in (ROOT / "docs" / "models").glob("*.md")}
    assert name.lower() in pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_make_target_in_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(
        re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)$", (ROOT / "README.md").read_text(), re.M)
    ):
        name = target[0] or target[1]
        assert re.search(rf"^{name}:", makefile, re.M), name


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.S)


def test_the_readme_has_an_example_of_ten_lines():
    (example,) = blocks("README.md", "python")
    assert len(example.splitlines()) == 10


@pytest.mark.data
@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_the_python_of_the_page_runs_as_it_stands(page, real, tmp_path, monkeypatch, capsys):
    log = real("ml-100k")
    columns = {"user": "userId", "item": "movieId", "value": "rating", "time": "timestamp"}
    log.frame("interactions").rename(columns).write_csv(tmp_path / "ratings.csv")
    films = log.frame("items").rename({"item": "movieId"}).drop("year")
    films.with_columns(pl.col("genres").list.join("|")).write_csv(tmp_path / "movies.csv")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks(page, "python"):
        if "raises LeakError" in block:
            with pytest.raises(LeakError):
                exec(block, names)
        else:
            exec(block, names)
    assert capsys.readouterr().out


def test_the_jobs_of_the_pages_are_jobs(tmp_path):
    for page in ("docs/guide.md", "docs/cli.md"):
        for block in blocks(page, "toml"):
            (tmp_path / "job.toml").write_text(block)
            assert jobs.read(tmp_path / "job.toml").models


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md", "docs/cli.md"])
def test_commands_and_options_of_the_pages_exist(page):
    text = (ROOT / page).read_text()
    shell = "\n".join(blocks(page, "sh"))
    for line in re.findall(
        r"twofold ([a-z]+[^`\n]*)", shell + "\n" + "\n".join(re.findall(r"`(twofold [^`]*)`", text))
    ):
        name, *rest = line.split("#")[0].split()
        command = typer.main.get_command(app).get_command(None, name)
        if rest and rest[0] in getattr(command, "commands", {}):
            command = command.get_command(None, rest[0])
        known = {option for one in command.params for option in one.opts}
        assert {one for one in rest if one.startswith("--")} <= known | {"--help"}, line


def test_every_key_of_a_job_is_on_the_page():
    text = (ROOT / "docs" / "cli.md").read_text()
    for plan in (DataPlan, EvaluationPlan, TunePlan):
        for name in names_of(plan):
            assert f"`{name}`" in text, name
    for name in SPLITS:
        assert f"`{name}`" in text, name
