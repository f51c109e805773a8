"""The routes of the service and what `/openapi.json` says of them, with examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tumorlens.finding import RESEARCH_USE
from tumorlens.integration.service.problems import PROBLEM_JSON
from tumorlens.integration.service.receiving import FORM, SINGLE
from tumorlens.version import __version__

__all__ = ["EXAMPLES", "Route", "describe_service", "list_routes"]

_KEY = "Jm3q9XhXUeW2pV1a"
_SLICE: dict[str, Any] = {
    "schema": 2,
    "kind": "slice",
    "path": "series 1/IM-0012.dcm",
    "frame": 0,
    "verdict": "tumor",
    "tumor_probability": 0.93,
    "peak_xy": [71.4, 58.0],
    "boxes": [[60, 44, 84, 70, 0.97]],
    "position_mm": 36.0,
    "seconds": 0.021,
    "error": None,
}
_STUDY: dict[str, Any] = {
    "schema": 2,
    "kind": "study",
    "path": "series 1",
    "verdict": "tumor",
    "tumor_probability": 0.91,
    "slices": 24,
    "first_slices": [
        {"path": "series 1/IM-0012.dcm", "frame": 0, "tumor_probability": 0.93, "reason": "peak"}
    ],
    "notes": [],
}
_RESULT: dict[str, Any] = {
    "model": "tumorlens-default 0.2.0",
    "operating_point": "balanced",
    "research_use": RESEARCH_USE,
    "studies": [_STUDY],
    "series": [{**_STUDY, "kind": "series"}],
    "slices": [_SLICE],
    "skipped": {"no image": 1},
    "notices": [],
}
_JOB: dict[str, Any] = {
    "id": _KEY,
    "state": "done",
    "files": 24,
    "slices": 24,
    "seconds": 1.9,
    "deleted_in_seconds": 3598,
    "notices": [],
    "error": None,
    "result": f"/jobs/{_KEY}/result",
    "records": f"/jobs/{_KEY}/records.jsonl",
    "report": f"/jobs/{_KEY}/report.html",
}
_SCENE: dict[str, Any] = {
    "path": "series 1",
    "series_instance_uid": "2.25.1",
    "pictures": [f"/jobs/{_KEY}/scenes/0/slices/0.png"],
    "evidence": f"/jobs/{_KEY}/scenes/0/evidence.nii.gz",
}
_MODEL: dict[str, Any] = {
    "name": "tumorlens-default",
    "versions": ["0.2.0"],
    "platform": "onnxruntime_onnx",
    "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 224, 224]}],
    "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 4]}],
    "parameters": {
        "sha256": "9f86d0…",
        "classes": ["no_tumor", "glioma", "meningioma", "pituitary"],
        "operating_point": "balanced",
        "license": "see MODEL_LICENSE.md",
        "research_use": RESEARCH_USE,
    },
}
_SERVER: dict[str, Any] = {"name": "tumorlens", "version": __version__, "extensions": []}

EXAMPLES: Mapping[str, dict[str, Any]] = {
    "result": _RESULT,
    "job result": {**_RESULT, "scenes": [_SCENE]},
    "job": _JOB,
    "model": _MODEL,
    "server": _SERVER,
}
"""Kind of answer -> an example. Records are shortened: `docs/contracts.md` has all their keys."""

_PROBLEMS = {
    400: "The body is no form, no file, or empty; a name leads out of its folder.",
    401: "The token is missing or wrong.",
    403: "Without a token, only this machine is answered.",
    404: "No such job, series, slice or model; results are deleted after a while.",
    408: "The body came too slowly.",
    409: "The job is not done yet.",
    413: "Too many bytes or files, as sent or as unpacked.",
    415: "The type of the body is none that holds files.",
    422: "No file could be read as an image.",
    429: "Too many requests with files are in hand; Retry-After says when to come back.",
    503: "Judging took too long, or too many jobs are kept.",
    507: "The disk of the service has no room.",
}
_HAND_IN = (400, 401, 403, 408, 413, 415, 429, 503, 507)
_LOOK = (401, 403, 404)


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method.

    Attributes:
        method: of HTTP.
        path: with parameters in braces.
        answer: the method that answers it.
        summary: in a line.
        status: of the answer, if all goes well.
        media: its type.
        example: a key of `EXAMPLES`, or an answer; None: there is no such thing.
        problems: other states that it may have.
        takes_files: whether its body holds files.
    """

    method: str
    path: str
    answer: str
    summary: str
    status: int = 200
    media: str = "application/json"
    example: str | Mapping[str, Any] | None = None
    problems: Sequence[int] = field(default=_LOOK)
    takes_files: bool = False

    def describe(self) -> dict[str, Any]:
        """What `FastAPI.add_api_route` wants to know of it."""
        body = {"requestBody": _describe_body(), "parameters": [_NAME]} if self.takes_files else {}
        return {
            "methods": [self.method],
            "summary": self.summary,
            "status_code": self.status,
            "operation_id": self.answer,
            "responses": {self.status: self._describe_answer(), **self._describe_problems()},
            "openapi_extra": body,
        }

    def _describe_answer(self) -> dict[str, Any]:
        if self.status == 204:
            return {"description": "Done."}
        told = EXAMPLES[self.example] if isinstance(self.example, str) else self.example
        content: dict[str, Any] = {"schema": _SCHEMAS.get(self.media, {"type": "string"})}
        if told is not None:
            content["example"] = told
        return {"description": self.summary, "content": {self.media: content}}

    def _describe_problems(self) -> dict[int, Any]:
        schema = {"$ref": "#/components/schemas/Problem"}
        return {
            status: {
                "description": _PROBLEMS[status],
                "content": {PROBLEM_JSON: {"schema": schema}},
            }
            for status in self.problems
        }


_SCHEMAS: dict[str, Any] = {"application/json": {"type": "object"}}
_BINARY = {"type": "string", "format": "binary"}
_NAME = {
    "name": "name",
    "in": "query",
    "required": False,
    "description": "Name of a body that is a single file.",
    "schema": {"type": "string"},
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, in a sentence."},
        "files": {"type": "array", "items": {"type": "object"}},
        "error": {"type": "string", "description": "Below /v2: as the protocol wants it."},
    },
    "example": {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "upload.zip: cannot be unpacked; pack the archive anew",
    },
}


def _describe_body() -> dict[str, Any]:
    files = {"type": "array", "items": _BINARY}
    form = {"schema": {"type": "object", "properties": {"files": files}}}
    return {
        "required": True,
        "content": {FORM: form, **{kind: {"schema": _BINARY} for kind in SINGLE}},
    }


def list_routes() -> tuple[Route, ...]:
    """All routes of the service."""
    job, scene = "/jobs/{job}", "/jobs/{job}/scenes/{scene}"
    model = "/v2/models/{name}"
    open_to_all = ()
    return (
        Route(
            "POST", "/predict", "predict", "Judge files or a zip archive, and answer at once.",
            example="result", problems=(*_HAND_IN, 422), takes_files=True,
        ),
        Route(
            "POST", "/jobs", "start_job", "Judge files or a zip archive in the background.",
            202, example="job", problems=_HAND_IN, takes_files=True,
        ),
        Route("GET", job, "tell_job", "How far a job is.", example="job"),
        Route("DELETE", job, "delete_job", "Stop a job and delete its result.", 204),
        Route(
            "GET", f"{job}/result", "tell_result", "The verdicts of a job.",
            example="job result", problems=(*_LOOK, 409, 422),
        ),
        Route(
            "GET", f"{job}/records.jsonl", "send_records", "Records, as predict writes them.",
            media="application/x-ndjson", problems=(*_LOOK, 409, 422),
        ),
        Route(
            "GET", f"{job}/report.html", "send_report", "A page for people.",
            media="text/html", problems=(*_LOOK, 409, 422),
        ),
        Route(
            "GET", f"{scene}/slices/{{number}}.png", "send_slice",
            "A slice beside its heat and boxes; numbers count from 0.", media="image/png",
        ),
        Route(
            "GET", f"{scene}/evidence.nii.gz", "send_evidence",
            "The evidence of a series as NIfTI.", media="application/gzip",
        ),
        Route("GET", "/v2", "tell_server", "Server metadata.", example="server"),
        Route(
            "GET", "/v2/health/live", "tell_live", "Whether the service runs.",
            example={"live": True}, problems=open_to_all,
        ),
        Route(
            "GET", "/v2/health/ready", "tell_ready", "Whether the model is loaded.",
            example={"ready": True}, problems=open_to_all,
        ),
        Route("GET", model, "tell_model", "Model metadata.", example="model"),
        Route(
            "GET", f"{model}/ready", "tell_model_ready", "Whether the model is loaded.",
            example={"name": "tumorlens-default", "ready": True},
        ),
        Route("GET", "/metrics", "send_metrics", "Counters for Prometheus.", media="text/plain"),
        Route("GET", "/openapi.json", "tell_schema", "This description."),
        Route(
            "GET", "/", "tell_service", "What this is.",
            example={**_SERVER, "model": "tumorlens-default 0.2.0", "research_use": RESEARCH_USE,
                     "openapi": "/openapi.json"},
        ),
    )  # fmt: skip


def describe_service(schema: dict[str, Any]) -> dict[str, Any]:
    """Complete what FastAPI made of the routes: the token, problems, and no states that never come.

    Args:
        schema: OpenAPI; changed in place.
    """
    parts = schema.setdefault("components", {})
    parts["schemas"] = {"Problem": _PROBLEM}
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"token": []}, {}]
    for operations in schema["paths"].values():
        for operation in operations.values():
            told = operation["responses"].get("422", {})
            if PROBLEM_JSON not in told.get("content", {}):
                operation["responses"].pop("422", None)  # FastAPI's own; here it is a 404
    return schema
