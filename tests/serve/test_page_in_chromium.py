"""The page in real Chromium: every view, by pointer and by keyboard alone, light, dark and narrow, with attacks in the data."""

import contextlib
import itertools
import re
import shutil
import socket
import threading
import time

import pytest
import uvicorn
from tests_of_page import HOSTILE, IMAGE, SCRIPT, Hears, HearsFitted, hostile_log

import twofold as tw
from twofold.serve.app import create_app
from twofold.serve.keys import Keys
from twofold.serve.live import Live
from twofold.serve.page import shell
from twofold.serve.settings import Settings

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=30_000)  # a busy machine is no fault of the page
PROGRAM = next((one for name in ("chromium", "chromium-browser", "google-chrome") if (one := shutil.which(name))), None)  # fmt: skip
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed (chromium is not on the path)")  # fmt: skip
KEYS = {role: f"{role}-key-0123456789" for role in ("read", "write", "admin")}
EXPERIMENT = """
[experiments.first]
layer = "models"
before_days = 0
[experiments.first.variants.control]
[experiments.first.variants.new]
model = "EASE"
"""


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def serving(settings, keys=None, extra=()):
    """A server on a port of its own, in a thread."""
    live = Live.open(settings, extra=extra)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(live, keys), log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        until = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < until
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", live
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def site(models, tmp_path_factory):
    """A server with two versions, an experiment and its log."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "exp.toml").write_text(EXPERIMENT)
    settings = {"state": str(folder / "state")}
    live = Live.open(Settings(model=str(models / "good"), **settings))
    for name in ("EASE", "Popularity"):
        live.registry.register(models / name)
    live.close()
    with serving(Settings(experiment=str(folder / "exp.toml"), **settings)) as (address, live):
        now = time.time()
        exposures, events = [], []
        for at in range(600):
            arm = live.assigner.assign(f"u{at}", None).arms[0]
            when = now - 4 * 86400 + 500 * at
            exposures.append(arm.exposure({"request_id": f"r{at}", "version": 1, "source": "model", "items": '["i1"]', "propensities": None, "time": when}))  # fmt: skip
            if at % (4 if arm.variant == "new" else 9) == 0:
                events.append({"id": f"e{at}", "user_id": f"u{at}", "item_id": "i1", "kind": "click", "value": None, "time": when + 5, "received": when, "request_id": f"r{at}", "session": None, "ids": 0})  # fmt: skip
        live.store.add_exposures(exposures)
        live.store.add_events(events).result()
        yield address


@pytest.fixture
def look(chromium):
    """Open pages that are watched: what the console says, what fails, what is asked of other servers."""
    with contextlib.ExitStack() as stack:
        said = []

        def start(address, *, refused=False, **options):
            context = chromium.new_context(**{"viewport": {"width": 1100, "height": 800}, **options})  # fmt: skip
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(30_000)

            def heard(message):
                expected = refused and message.text.startswith("Failed to load resource")
                if message.type in {"error", "warning"} and not expected:
                    said.append(message.text)

            page.on("console", heard)
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda one: None if one.url.startswith(address) else said.append(one.url))  # fmt: skip
            page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
            return page

        yield start
        assert said == []


def settle(page, url):
    page.goto(url)
    page.wait_for_selector("#view[aria-busy=false]")


def names_of(page):
    """Return what has the focus, as it is called."""
    return page.evaluate("(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent || document.activeElement.id).trim()")  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_without_an_error(site, look, scheme):
    page = look(site, color_scheme=scheme)
    backs = set()
    for one in shell.VIEWS.values():
        settle(page, site + one.path)
        expect(page.locator("h1")).to_have_text(one.title)
        expect(page.locator("nav [aria-current=page]")).to_have_text(one.name)
        expect(page.locator("#state")).to_have_text("IALS, version 1")
        expect(page.locator(".failure")).to_have_count(0)
        backs.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    (back,) = backs
    lightness = sum(int(part) for part in re.findall(r"\d+", back)[:3])
    assert lightness > 600 if scheme == "light" else lightness < 150


@pytest.mark.parametrize("path", [one.path for one in shell.VIEWS.values()])
def test_a_phone_shows_every_view_without_scrolling_sideways(site, look, path):
    page = look(site, viewport={"width": 360, "height": 720}, has_touch=True)
    settle(page, site + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    current = page.locator("nav [aria-current=page]").bounding_box()
    assert current["x"] >= 0
    assert current["x"] + current["width"] <= 360 + 1


def test_a_recommendation_and_why(site, look):
    page = look(site)
    settle(page, site)
    page.get_by_label("User id").fill("101")
    page.get_by_role("button", name="Recommend").click()
    expect(page.locator(".items > li")).to_have_count(10)
    expect(page.locator("#said")).to_have_text("10 items for user 101")
    why = page.locator("[data-why]").first
    why.click()
    expect(why).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#why-1 .reasons")).to_be_visible()
    why.click()
    expect(page.locator("#why-1")).to_be_hidden()
    assert page.url.endswith("?user=101")
    page.reload()
    expect(page.locator(".items > li")).to_have_count(10)
    page.get_by_role("button", name="Pick somebody").click()
    expect(page.locator("#said")).to_have_text(re.compile("items for user (?!101)"))
    page.get_by_role("link", name=re.compile("^Similar items")).first.click()
    page.wait_for_selector(".answer")
    assert "/page/similar?item=" in page.url


def test_a_history_is_made_up_with_the_keyboard_alone(site, look):
    page = look(site)
    settle(page, site)
    page.keyboard.press("Tab")
    assert names_of(page) == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "whom":
            break
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="A history")).to_be_checked()
    page.keyboard.press("Tab")
    box = page.get_by_role("combobox")
    expect(box).to_be_focused()
    for words in ("i1", "i5"):
        page.keyboard.type(words)
        expect(page.get_by_role("option").first).to_be_visible()
        expect(box).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("ArrowDown")
        marked = page.locator("[role=option][aria-selected=true]")
        expect(marked).to_have_count(1)
        assert box.get_attribute("aria-activedescendant") == marked.get_attribute("id")
        page.keyboard.press("Enter")
        expect(box).to_have_value("")
        expect(box).to_have_attribute("aria-expanded", "false")
    expect(page.locator(".chips li")).to_have_count(2)
    page.keyboard.type("i7")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    box.fill("")
    page.keyboard.press("Backspace")
    expect(page.locator(".chips li")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".answer h2")).to_have_text("10 items for a history of 1 item")
    expect(page.locator(".facts b")).to_have_text("fold-in")


def test_the_focus_is_seen_and_what_is_asked_has_a_label(site, look):
    page = look(site)
    for one in shell.VIEWS.values():
        settle(page, site + one.path)
        bare = page.evaluate("""[...document.querySelectorAll('input, button, select, [role=listbox], svg[role], [role=region]')].filter(one => {
            const label = one.getAttribute('aria-label') || one.getAttribute('aria-labelledby') || (one.labels && one.labels.length) || one.textContent.trim();
            return !label }).map(one => one.outerHTML.slice(0, 120))""")  # fmt: skip
        assert bare == []
        uncaptioned = page.evaluate("[...document.querySelectorAll('table')].filter(one => !one.caption || !one.querySelector('th[scope]')).length")  # fmt: skip
        assert uncaptioned == 0
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].filter(one => one.checkVisibility()).map(one => +one.tagName[1])")  # fmt: skip
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    page.keyboard.press("Tab")
    style = page.evaluate("(({outlineStyle, outlineWidth}) => [outlineStyle, outlineWidth])(getComputedStyle(document.activeElement))")  # fmt: skip
    assert style == ["solid", "3px"]


def test_a_sentence(site, look, tmp_path):
    page = look(site)
    settle(page, site)
    page.get_by_text("A sentence", exact=True).click()
    expect(page.locator("#no-words")).to_contain_text("IALS reads no words")
    page.get_by_role("button", name="Recommend").click()
    expect(page.get_by_role("alert")).to_contain_text("reads no words")
    Hears().fit(hostile_log()).save(tmp_path / "m")
    settings = Settings(state=str(tmp_path / "s"), model=str(tmp_path / "m"))
    with serving(settings, extra=(Hears, HearsFitted)) as (address, _):
        page = look(address)
        settle(page, address)
        page.get_by_text("A sentence", exact=True).click()
        page.get_by_label("What they say").fill("a storm <b>")
        page.keyboard.press("Enter")
        expect(page.locator(".answer h2")).to_have_text("10 items for the words “a storm <b>”")
        page.context.close()


def test_similar_items_and_an_item_that_is_none(site, look):
    page = look(site, refused=True)
    settle(page, f"{site}/page/similar")
    box = page.get_by_role("combobox")
    box.fill("i3")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".answer h2")).to_contain_text("Like i3")
    expect(page.locator(".items > li")).to_have_count(12)
    box.fill("nothing")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("is not among the")


def test_the_map_by_keyboard_and_by_search(site, look):
    page = look(site)
    settle(page, f"{site}/page/map")
    plane = page.locator(".plane")
    plane.wait_for(timeout=60_000)
    plane.focus()
    told = page.locator("[data-point]")
    seen = set()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
        seen.add(told.text_content())
        expect(page.locator("circle.at")).to_have_count(1)
    assert len(seen) >= 3
    whole = plane.get_attribute("viewBox")
    page.keyboard.press("+")
    assert plane.get_attribute("viewBox") != whole
    page.keyboard.press("0")
    assert plane.get_attribute("viewBox") == whole
    page.get_by_label("Find").fill("i1")
    expect(told).to_contain_text("found; i1")
    plane.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/page/similar?item=i1*")


def test_promote_is_confirmed_refused_with_reasons_forced_and_rolled_back(models, look, tmp_path):
    with serving(Settings(state=str(tmp_path / "s"), model=str(models / "good"))) as (address, live):  # fmt: skip
        live.registry.register(models / "Popularity")
        page = look(address, refused=True)
        settle(page, f"{address}/page/versions")
        page.get_by_role("button", name="Promote version 2").click()
        dialog = page.locator("#change")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_role("heading")).to_have_text("Promote version 2, Popularity?")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        assert live.served.version == 1, "asking changes nothing"
        page.get_by_role("button", name="Promote version 2").click()
        dialog.get_by_role("button", name="Cancel").click()
        expect(dialog).to_be_hidden()
        page.get_by_role("button", name="Promote version 2").click()
        note = dialog.get_by_label("Why (kept with the change)")
        note.fill("better")
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("alert")).to_contain_text("ndcg@5")
        note.fill(SCRIPT)
        page.keyboard.press("Enter")
        page.wait_for_timeout(200)
        expect(dialog).to_be_visible()
        assert live.served.version == 1, "Enter forces nothing"
        dialog.get_by_role("button", name="Promote although").click()
        expect(dialog).to_be_hidden()
        expect(page.locator("#state")).to_have_text("Popularity, version 2")
        assert live.served.version == 2
        expect(page.locator("tr.is-live")).to_contain_text("2 · Popularity")
        expect(page.locator("td.words").first).to_contain_text(SCRIPT)
        page.get_by_role("button", name="Roll back to version 1").click()
        dialog.get_by_role("button", name="Roll back", exact=True).click()
        expect(page.locator("#state")).to_have_text("IALS, version 1")
        expect(page.get_by_text("There is no earlier live version")).to_be_visible()
        page.context.close()


def test_a_model_of_a_new_log_is_promoted_without_force(models, look, tmp_path, run):
    """The dialog offered force alone, which passes over everything."""
    tw.testing.planted_log().frame("interactions").head(350).write_csv(tmp_path / "new.csv")
    run("fit", "IALS", "--data", tmp_path / "new.csv", "--out", tmp_path / "new", "--set", "factors=4")  # fmt: skip
    with serving(Settings(state=str(tmp_path / "s"), model=str(models / "good"))) as (
        address,
        live,
    ):
        live.registry.register(tmp_path / "new")
        page = look(address, refused=True)
        settle(page, f"{address}/page/versions")
        page.get_by_role("button", name="Promote version 2").click()
        dialog = page.locator("#change")
        promote = dialog.get_by_role("button", name="Promote", exact=True)
        promote.click()
        expect(dialog.get_by_role("alert")).to_contain_text("made on other data")
        expect(promote).to_be_hidden()
        dialog.get_by_label("Its log is a new one").check()
        expect(dialog.get_by_role("alert")).to_be_hidden()
        expect(dialog.get_by_role("button", name="Promote although")).to_be_hidden()
        promote.click()
        expect(page.locator("#state")).to_have_text("IALS, version 2")
        expect(page.locator("td.words").first).to_have_text(
            "other data: the reports were not compared"
        )
        page.get_by_role("button", name="Roll back to version 1").click()
        expect(dialog.get_by_label("Its log is a new one")).to_be_hidden()
        page.context.close()


def test_the_key_is_asked_for_kept_in_the_tab_and_not_enough_to_promote(models, look, tmp_path):
    settings = Settings(state=str(tmp_path / "s"), model=str(models / "good"))
    with serving(settings, Keys.of({role: [key] for role, key in KEYS.items()})) as (address, live):
        live.registry.register(models / "Popularity")
        page = look(address, refused=True)
        settle(page, f"{address}/page/versions")
        expect(page.get_by_role("alert")).to_contain_text("needs an API key")
        assert "Popularity" not in page.content()
        page.get_by_role("button", name="Enter a key").click()
        expect(page.locator("#key")).to_be_focused()
        page.keyboard.type("wrong-key-0123456789")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("the API key is not known")

        def enter(key):
            page.locator("#key").fill(key)
            page.get_by_role("button", name="Use this key").click()

        page.get_by_role("button", name="Enter a key").click()
        enter(KEYS["read"])
        expect(page.locator("tr.is-live")).to_be_visible()
        page.goto(f"{address}/?user=101")
        expect(page.locator(".items > li")).to_have_count(10)
        assert page.evaluate("sessionStorage.length") == 1
        assert page.evaluate("localStorage.length + document.cookie.length") == 0
        settle(page, f"{address}/page/versions")
        page.get_by_role("button", name="Promote version 2").click()
        dialog = page.locator("#change")
        dialog.get_by_role("button", name="Promote", exact=True).click()
        expect(dialog.get_by_role("alert")).to_contain_text("this key may not admin")
        assert live.served.version == 1
        dialog.get_by_role("button", name="Enter the administrator's key").click()
        enter(KEYS["admin"])
        expect(page.locator("#key-dialog")).to_be_hidden()
        dialog.get_by_role("button", name="Promote", exact=True).click()
        dialog.get_by_role("button", name="Promote although").click()
        expect(page.locator("#state")).to_have_text("Popularity, version 2")
        page.get_by_role("button", name="API key set").click()
        page.get_by_role("button", name="Forget it").click()
        expect(page.get_by_role("alert")).to_contain_text("needs an API key")
        page.context.close()


def test_the_leaderboard_and_the_experiment_have_pictures_that_are_told(site, look):
    page = look(site)
    settle(page, f"{site}/page/leaderboard")
    expect(page.locator("tbody tr")).to_have_count(3)
    assert "ndcg@5" in page.locator("svg[role=img]").first.get_attribute("aria-label")
    settle(page, f"{site}/page/experiments")
    expect(page.locator("svg[role=img]")).to_have_count(2)
    for picture in page.locator("svg[role=img]").all():
        assert len(picture.get_attribute("aria-label")) > 40
        assert picture.bounding_box()["height"] > 100
    band = page.locator(".band").evaluate("one => getComputedStyle(one).fill")
    assert band != "rgb(0, 0, 0)", "the styles of the pictures are there"
    page.get_by_text("The pictures as tables").click()
    expect(page.get_by_role("table", name=re.compile("always-valid"))).to_be_visible()
    page.get_by_role("button", name="Read the logs again").click()
    expect(page.locator("#said")).to_have_text("The logs were read again")


def test_attacks_in_ids_and_titles_stay_text(look, tmp_path):
    tw.models.ItemKNN().fit(hostile_log(), rng=0).save(tmp_path / "m")
    with serving(Settings(state=str(tmp_path / "s"), model=str(tmp_path / "m"))) as (address, _):
        page = look(address)
        for one in HOSTILE:
            settle(page, f"{address}/page/similar")
            box = page.get_by_role("combobox")
            box.fill(one)
            expect(page.get_by_role("option").first).to_be_visible()
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Enter")
            page.keyboard.press("Enter")
            page.wait_for_selector(".answer")
            settle(page, address)
            page.get_by_label("User id").fill(SCRIPT)
            page.keyboard.press("Enter")
            page.wait_for_selector(".answer")
            assert SCRIPT in page.locator(".answer h2").text_content()
            for why in page.locator("[data-why]").all()[:3]:
                why.click()
            page.wait_for_selector(".reasons")
        settle(page, f"{address}/page/map")
        page.locator(".plane").wait_for(timeout=60_000)
        page.get_by_label("Find").fill(SCRIPT)
        expect(page.locator("[data-point]")).to_contain_text("script>")
        for bad in (f"{address}/?user={SCRIPT}", f"{address}/page/similar?item=%22%3E%3Cimg%20src=x%20onerror=%22window.hacked=2%22%3E"):  # fmt: skip
            settle(page, bad)
            page.wait_for_selector(".answer")
        assert IMAGE in HOSTILE
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src=x]").count() == 0
        page.context.close()


def test_a_server_that_is_gone_is_said_so(models, look, tmp_path):
    with serving(Settings(state=str(tmp_path / "s"), model=str(models / "good"))) as (address, _):
        page = look(address, refused=True)
        settle(page, address)
    page.get_by_label("User id").fill("101")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
