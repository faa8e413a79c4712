"""Documentation that is generated is current; links and commands in it exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import twofold as tw

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_hyperparameter_page_is_current():
    ran = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], check=False)
    assert ran.returncode == 0, "run: make docs"


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
