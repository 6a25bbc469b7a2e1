"""What a client of the API may be told, and addresses that could never be right."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError

from api.schema import ProblemDocument
from contracts.errors import VigilError


class ApiRefused(VigilError):
    """The server answered, and the answer is no. `status` is HTTP's, or the close code of a WebSocket; `kind` is stable, `fields`
    names what was wrong with the request."""

    def __init__(self, status: int, kind: str, detail: str, *, fix: str = "", fields: tuple[str, ...] = ()) -> None:
        super().__init__(detail, cause=f"the API answered {status}", fix=fix)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.fields = fields


class ApiAway(VigilError):
    """Nothing answered, several times."""


def refused(status: int, content: bytes) -> ApiRefused:
    """What a refusal says, whoever wrote it."""
    try:
        problem = ProblemDocument.model_validate_json(content, extra="ignore")
    except ValidationError:
        return ApiRefused(status, "unknown", "What answered is not a Vigil API.", fix="look at the address")
    fields = tuple(error.field for error in problem.errors or ())
    return ApiRefused(status, problem.type.rpartition(":")[2], problem.detail, fix=problem.fix or "", fields=fields)


def checked_address(address: str) -> SplitResult:
    """The parts of the address of an API. Raises `VigilError` for one that could never be asked."""
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        _ = parts.port
    except ValueError:
        sound = False
    if not sound:
        raise VigilError(f"{address!r} is not the address of an API.", fix="write it like http://127.0.0.1:8600")
    return parts
