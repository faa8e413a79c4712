"""The paths of the page: pages without data, static files, and below ``/page/data/`` what they show."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from twofold.errors import TwofoldError
from twofold.serve.failures import Refused, of_validation
from twofold.serve.gate import body_of
from twofold.serve.growth import notes
from twofold.serve.live import Live
from twofold.serve.page import ask, board, maps, shell, trials
from twofold.serve.page.items import LONGEST_SEARCH, Search, cards
from twofold.serve.registry import Registered
from twofold.serve.schemas import Question, count_of

B = TypeVar("B", bound=BaseModel)
PATIENCE = 8.0
"""Seconds for which a request waits for a map before it says that it is being drawn."""
CHANGES = 50
"""Latest changes of the registry that are shown."""


def of(live: Live) -> APIRouter:
    """Return the page of a server."""
    app = APIRouter()
    drawings, random = maps.Maps(), np.random.default_rng()
    searches: list[Search] = []

    def get(path: str) -> Any:
        return app.get(path, include_in_schema=False)

    def post(path: str) -> Any:
        return app.post(path, include_in_schema=False)

    async def read(request: Request, model: type[B]) -> B:
        body = await body_of(request.receive, live.settings)  # type: ignore[arg-type]
        try:
            return model.model_validate_json(body or b"{}")
        except ValidationError as error:
            raise of_validation(error, model) from error

    def search() -> Search:
        if not searches or searches[0].served is not live.served:
            searches[:] = [Search(live.served)]
        return searches[0]

    # ---- pages ------------------------------------------------------------------------------

    @get("/")
    async def front() -> Response:
        return shell.html("page.html", at="try")

    @get("/page/static/{name}")
    async def static(name: str) -> Response:
        found = shell.static(name)
        if found is None:
            raise Refused(404, "no_such_path", f"there is no file {name[:100]!r}", "see /")
        return found

    @get("/page/{name}")
    async def view(name: str) -> Response:
        if name not in shell.VIEWS:
            raise Refused(404, "no_such_path", f"there is no page {name[:100]!r}", "see /")
        return shell.html("page.html", at=name)

    # ---- trying -----------------------------------------------------------------------------

    @get("/page/data/try")
    async def try_it() -> Response:
        running = list(live.assigner.running)
        return shell.html("try.html", served=live.served, experiments=running)

    @post("/page/data/recommend")
    async def recommend(request: Request) -> Response:
        question = await read(request, Question)
        made = await ask.recommend(live, question)
        whom = spoken(question)
        asked = orjson.dumps(question.model_dump(exclude_none=True)).decode()
        return shell.html("list.html", made=made, whom=whom, asked=asked)

    @post("/page/data/why")
    async def why(request: Request) -> Response:
        body = await read(request, ask.Why)
        return shell.html("why.html", why=await ask.why(live, body))

    @get("/page/data/somebody")
    async def somebody(request: Request) -> Response:
        shown = request.query_params.get("not", "")
        return json({"user": ask.somebody(live.served, random, shown)})

    @get("/page/data/items")
    async def items(request: Request) -> Response:
        words = request.query_params.get("q", "")[:LONGEST_SEARCH]

        def find() -> list[dict[str, str]]:
            found = search().find(words)
            return [
                {"item": str(one.item), "title": one.title, "line": one.line}
                for one in cards(live.served.model, found)
            ]

        return json({"items": await live.wait(find)})

    # ---- similar, map -----------------------------------------------------------------------

    @get("/page/data/similar")
    async def similar() -> Response:
        return shell.html("similar.html", served=live.served)

    @post("/page/data/alike")
    async def alike(request: Request) -> Response:
        body = await read(request, ask.Alike)
        card, lines, said, served = await ask.alike(live, body)
        return shell.html("alike.html", card=card, lines=lines, notes=said, served=served)

    @get("/page/data/map")
    async def item_map() -> Response:
        try:
            made = await drawings.of(live, PATIENCE)
        except TwofoldError as error:
            return shell.html("empty.html", told=f"There is no map: {error}.")
        if made is None:
            return shell.html("drawing.html", 202)
        return shell.html("map.html", made=made, width=maps.WIDTH, height=maps.HEIGHT)

    # ---- versions, experiments --------------------------------------------------------------

    async def registered() -> Registered:
        return await live.wait(live.registry.read)

    @get("/page/data/leaderboard")
    async def leaderboard() -> Response:
        made, bare = board.boards(await registered(), live.served.version)
        return shell.html("leaderboard.html", boards=made, bare=bare)

    @get("/page/data/versions")
    async def versions() -> Response:
        found = await registered()
        shadow = None if live.shadow is None else live.shadow.report()
        return shell.html(
            "versions.html",
            notes=notes(list(live.served.left_out)),
            versions=[found.versions[number] for number in sorted(found.versions, reverse=True)],
            first=first_metric,
            live=live.served.version,
            before=found.lived[-2] if len(found.lived) > 1 else None,
            changes=found.changes[::-1][:CHANGES],
            shadow=shadow,
            state=live.settings.state,
        )

    @get("/page/data/experiments")
    async def experiments() -> Response:
        return shell.html("experiments.html", trials=await live.wait(trials.trials, live))

    return app


def json(content: Any) -> Response:
    """Return an answer for the script of the page."""
    return Response(orjson.dumps(content), 200, shell.HEADERS, "application/json")


def spoken(question: Question) -> str:
    """Return for whom a question is asked, in words."""
    if question.history is not None:
        n = count_of(question.history)
        return f"a history of {n} item{'' if n == 1 else 's'}"
    if question.user is not None:
        return f"user {question.user}"
    if question.words is not None:
        return f"the words “{question.words[:80]}”"
    return "what was said"


def first_metric(version: Any) -> tuple[str, board.Value] | None:
    """Return the first metric of the report of a version, None where there is no report."""
    metrics = (version.report or {}).get("metrics")
    if not metrics:
        return None
    name = next(iter(metrics))
    value = board.value_of(metrics[name], None)
    return None if value is None else (name, value)
