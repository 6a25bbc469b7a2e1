"""REST: what a browser needs to subscribe to messages. The page `/push.html` asks for it."""

from __future__ import annotations

from fastapi import APIRouter

from api.asking import TheNode, problems
from api.problems import Problem
from api.schema import Answer

router = APIRouter(prefix="/api/v1", tags=["system"])


class PushKey(Answer):
    """The public key that messages to browsers are signed with, base64url of an uncompressed P-256 point."""

    public_key: str


@router.get("/push-key", responses=problems(404))
async def push_key(node: TheNode) -> PushKey:
    """The `applicationServerKey` of this installation (RFC 8292)."""
    key = node.settings.web_push_public_key
    if not key:
        raise Problem(
            404,
            "not-set-up",
            "Messages to browsers are not set up here. Who runs Vigil sets VIGIL_WEB_PUSH_PUBLIC_KEY.",
        )
    return PushKey(public_key=key)
