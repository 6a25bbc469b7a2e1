"""The AsyncAPI 3.0 document of the live feed, made from the models of its frames and messages. Pure.

`docs/asyncapi.json` is what it says now; a test compares the two.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from pydantic import BaseModel

from api.examples import FRAME_EXAMPLES
from api.live_schema import CLOSES, FRAMES, HEARTBEAT_S, MAX_MESSAGE_BYTES, MESSAGES, PATH, PROTOCOL, RESUME_LIMIT

_DESCRIPTION: Final = (
    "Live values, scores and alarms. Offer the subprotocol vigil.v1. Text frames of JSON both ways. Not a certified alarm "
    "system. docs/live-feed.md says how to read the feed."
)


def asyncapi() -> dict[str, Any]:
    """The document, ready to be written as JSON."""
    schemas: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for prefix, models in (("frame", FRAMES), ("message", MESSAGES)):
        for type_, model in models.items():
            messages[f"{prefix}.{type_}"] = _message(type_, model, schemas, FRAME_EXAMPLES[f"{prefix}.{type_}"])
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Vigil live feed", "version": version("vigil-rpm"), "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:8600", "protocol": "ws"}},
        "channels": {
            "live": {
                "address": PATH,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {
                    "ws": {
                        "bindingVersion": "0.1.0",
                        "method": "GET",
                        "headers": {
                            "type": "object",
                            "required": ["Sec-WebSocket-Protocol"],
                            "properties": {"Sec-WebSocket-Protocol": {"type": "string", "const": PROTOCOL}},
                        },
                    }
                },
            }
        },
        "operations": {
            "tell": _operation("send", "What the server tells a viewer.", "frame", FRAMES),
            "hear": _operation("receive", "What a viewer may say.", "message", MESSAGES),
        },
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items()))},
        "x-close-codes": {str(code): meaning for code, meaning in CLOSES.items()},
        "x-limits": {
            "heartbeat_seconds": HEARTBEAT_S, "resume_changes": RESUME_LIMIT, "largest_message_bytes": MAX_MESSAGE_BYTES,
        },
    }  # fmt: skip


def _operation(action: str, summary: str, prefix: str, models: dict[str, Any]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/live"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/live/messages/{prefix}.{type_}"} for type_ in models],
    }


def _message(type_: str, model: type[BaseModel], schemas: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    name = model.__name__
    schemas[name] = schema
    description = str(schema["description"])
    return {
        "name": type_,
        "title": name,
        "summary": description.partition(".")[0] + ".",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [{"payload": example}],
    }
