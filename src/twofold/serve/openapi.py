"""The description of the interface: bodies, examples and the one shape of errors."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from twofold.serve.schemas import (
    Batch,
    Event,
    Explanation,
    Failure,
    Item,
    List,
    Promotion,
    Question,
    Registration,
    Shadow,
)

BODIES = (Batch, Event, Explanation, Failure, Item, List, Promotion, Question, Registration, Shadow)
REFERENCE = "#/components/schemas/{model}"


def referred(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": REFERENCE.format(model=name)}


def of(
    summary: str, body: type[BaseModel] | None = None, *, answer: str = "", many: bool = False
) -> dict[str, Any]:
    """Return the arguments of a route: what it says, takes and answers."""
    failure = {"application/json": {"schema": referred("Failure")}}
    responses: dict[str, Any] = {"default": {"description": "Refused", "content": failure}}
    schema = {"schema": referred(answer)} if answer else {"schema": {"type": "object"}}
    responses["200"] = {"description": "Done", "content": {"application/json": schema}}
    extra: dict[str, Any] = {"responses": responses}
    if body is not None:
        wanted: dict[str, Any] = referred(body.__name__)
        if many:
            wanted = {"anyOf": [wanted, {"type": "array", "items": wanted}]}
        given: Any = body.model_config.get("json_schema_extra") or {}
        examples = {
            f"example {at}": {"value": one} for at, one in enumerate(given.get("examples", []), 1)
        }
        content = {"application/json": {"schema": wanted, "examples": examples}}
        extra["requestBody"] = {"required": True, "content": content}
    return {"summary": summary, "openapi_extra": extra}


def install(app: FastAPI) -> None:
    """Make the application describe itself."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            for path in made["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)  # the default says what a refusal is
            _, schemas = models_json_schema(
                [(one, "validation") for one in BODIES], ref_template=REFERENCE
            )
            parts = made.setdefault("components", {})
            parts["schemas"] = schemas["$defs"]
            parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = describe
