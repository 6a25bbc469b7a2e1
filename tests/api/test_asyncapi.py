"""The AsyncAPI document is committed, so that a change of the live protocol is seen and meant; and it tells the truth.

Write it anew with `python -m tests.api.test_asyncapi`. That real frames are what it says is tested in `test_live`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.asyncapi import asyncapi
from api.live_schema import CLOSES, FRAMES, HEARTBEAT_S, MESSAGES, RESUME_LIMIT
from api.viewer import Closing, parse_message
from tests.api.test_openapi import as_text

DOCS = Path(__file__).parents[2] / "docs"
FILE = DOCS / "asyncapi.json"


@cache
def validator(name: str) -> jsonschema_rs.Validator:
    """Of the payload of a message of the committed document, like "frame.vitals"."""
    document = json.loads(FILE.read_text())
    payload = document["components"]["messages"][name]["payload"]
    return jsonschema_rs.validator_for(
        {"$schema": "http://json-schema.org/draft-07/schema#", **payload, "components": document["components"]}
    )


def check_frame(frame: dict[str, Any]) -> None:
    """Raises unless the frame is what the committed document says."""
    validator(f"frame.{frame['type']}").validate(frame)


def test_the_committed_document_is_current() -> None:
    assert FILE.read_text() == as_text(asyncapi()), "write it anew: python -m tests.api.test_asyncapi"


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi()
    for target in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        found: Any = document
        for part in target.split("/"):
            found = found[part]
        assert found, target


@pytest.mark.parametrize("name", asyncapi()["components"]["messages"])
def test_every_example_is_valid_and_a_wrong_one_is_not(name: str) -> None:
    (example,) = asyncapi()["components"]["messages"][name]["examples"]
    validator(name).validate(example["payload"])
    side, _, type_ = name.partition(".")
    (FRAMES if side == "frame" else MESSAGES)[type_].model_validate_json(json.dumps(example["payload"]))
    with pytest.raises(jsonschema_rs.ValidationError):
        validator(name).validate({**example["payload"], "type": "other"})


@pytest.mark.parametrize(
    ("said", "code", "fields"),
    [
        ("{", 1007, ["message"]),
        ("[]", 1007, ["message"]),
        ('"hello"', 1007, ["message"]),
        ("[" * 20_000, 1007, ["message"]),
        ('{"patients":null}', 1007, ["type"]),
        ('{"type":"shout"}', 1003, ["type"]),
        ('{"type":7}', 1003, ["type"]),
        ('{"type":"subscribe"}', 1007, ["patients"]),
        ('{"type":"subscribe","patients":"p-1"}', 1007, ["patients"]),
        ('{"type":"subscribe","patients":["p-1",""]}', 1007, ["patients.1"]),
        ('{"type":"hello","resume_feed_seq":-1}', 1007, ["resume_feed_seq"]),
        ('{"type":"hello","resume_feed_seq":"1"}', 1007, ["resume_feed_seq"]),
        ('{"type":"hello","resume_feed_seq":1,"admin":true}', 1007, ["admin"]),
        ('{"type":"hello","<b>":true,"resume_feed_seq":1e400}', 1007, ["resume_feed_seq", "?"]),
    ],
)
def test_what_is_wrong_with_a_message_is_named_and_never_repeated(said: str, code: int, fields: list[str]) -> None:
    with pytest.raises(Closing) as closing:
        parse_message(said)
    assert (closing.value.code, [e.field for e in closing.value.errors]) == (code, fields)
    assert closing.value.code in CLOSES
    check_frame(json.loads(f'{{"type":"error","seq":1,{closing.value.members()}}}'))


def test_the_page_about_the_feed_names_every_frame_close_and_limit() -> None:
    page = (DOCS / "live-feed.md").read_text()
    for name in (*FRAMES, *MESSAGES, *map(str, CLOSES), f"{RESUME_LIMIT:,}", f"{HEARTBEAT_S} s"):
        assert name in page, name


if __name__ == "__main__":
    FILE.write_text(as_text(asyncapi()))
