"""REST: the trained models that are registered here, and who may score."""

from __future__ import annotations

from fastapi import APIRouter

from api.asking import TheNode, problems
from api.moments import rfc3339
from api.schema import Answer, Time
from contracts.registry import Stage

router = APIRouter(prefix="/api/v1", tags=["system"])


class RegisteredModel(Answer):
    """A version of a model. `stage`: a champion's scores count, a shadow's are compared, the others score nobody. `since`, `by`
    and `reason` are of the change that brought it there, in force from the version `in_force_from` of the rules. `gates`: what
    the gates said of it last, in a line; empty where none was asked."""

    name: str
    version: str
    kind: str
    framework: str
    digest: str
    stage: Stage
    since: Time
    by: str
    reason: str
    in_force_from: int
    gates: str


class RegisteredModels(Answer):
    """Every version, by name and age."""

    items: list[RegisteredModel]


@router.get("/models", responses=problems(503))
async def models(node: TheNode) -> RegisteredModels:
    """Every registered version of a model, its stage, and what the gates said of it."""
    found = await node.stores.models(lambda registry: registry.listed())
    return RegisteredModels(
        items=[
            RegisteredModel(
                name=row.model.name,
                version=row.model.version,
                kind=row.model.kind,
                framework=row.model.framework,
                digest=row.model.digest,
                stage=row.change.stage,
                since=rfc3339(row.change.at_ms),
                by=row.change.author,
                reason=row.change.reason,
                in_force_from=row.change.config_version,
                gates=row.gates,
            )
            for row in found
        ]
    )
