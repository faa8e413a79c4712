"""The description of the interface: bodies, examples and the one shape of errors."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from twofold.serve.bodies import ANSWERS
from twofold.serve.schemas import (
    LONGEST_LIST,
    Batch,
    Event,
    Explanation,
    Item,
    Promotion,
    Question,
    Registration,
    Shadow,
)

BODIES = (Batch, Event, Explanation, Item, Promotion, Question, Registration, Shadow)
REFERENCE = "#/components/schemas/{model}"
IN_PATH = {"item": "50", "version": 2, "name": "first"}
"""What stands in the paths of examples."""
LENGTH: dict[str, Any] = {
    "name": "k", "in": "query", "required": False, "example": 5, "description": "Length of the list.",
    "schema": {"type": "integer", "minimum": 1, "maximum": LONGEST_LIST, "default": 10},
}  # fmt: skip
"""The one parameter of a query string."""
TEXT = "text"
"""The answer of a route that says no JSON."""


def referred(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": REFERENCE.format(model=name)}


def of(
    summary: str, body: type[BaseModel] | None = None, *, answer: str = "", many: bool = False, k: bool = False, status: int = 200
) -> dict[str, Any]:  # fmt: skip
    """Return the arguments of a route: what it says, takes and answers; `k` adds the length of a list."""
    failure = {"application/json": {"schema": referred("Failure")}}
    responses: dict[str, Any] = {"default": {"description": "Refused", "content": failure}}
    schema = {"schema": referred(answer)} if answer else {"schema": {"type": "object"}}
    content: dict[str, Any] = {"application/json": schema}
    if answer == TEXT:
        content = {"text/plain": {"schema": {"type": "string"}, "example": "twofold_people 3.0\n"}}
    responses[str(status)] = {"description": "Done", "content": content}
    extra: dict[str, Any] = {"responses": responses}
    if k:
        extra["parameters"] = [LENGTH]
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
    return {"summary": summary, "openapi_extra": extra, "status_code": status}


def install(app: FastAPI) -> None:
    """Make the application describe itself."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            _, schemas = models_json_schema(
                [(one, "validation") for one in (*BODIES, *ANSWERS)], ref_template=REFERENCE
            )
            parts = made.setdefault("components", {})
            parts["schemas"] = schemas["$defs"]
            for path in made["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)  # the default says what a refusal is
                    exemplify(operation, parts["schemas"])
            parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = describe


def exemplify(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give examples of the parameters and the answers of an operation."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" and parameter["name"] in IN_PATH:
            parameter["example"] = IN_PATH[parameter["name"]]
    for answer in operation["responses"].values():
        for content in answer.get("content", {}).values():
            schema = schemas.get(content["schema"].get("$ref", "").rsplit("/", 1)[-1], {})
            if "example" not in content and schema.get("examples"):
                content["example"] = schema["examples"][0]
