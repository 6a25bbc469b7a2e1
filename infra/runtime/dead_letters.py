"""Dead letters: a message that could not be used, kept whole with the reason, on `vitals.rejected`.

Nothing is dropped in silence: whoever wrote the message can find it, see which field was at fault and where it came
from, and send it again. Reasons name fields and rules, never a measured value: they also reach logs and screens.
"""

from __future__ import annotations

from typing import Final

from contracts.topics import CONTENT_TYPE, REJECTED
from infra.runtime.records import Output, Record

MAX_VALUE_BYTES: Final = 1024 * 1024
MAX_TEXT_BYTES: Final = 1024

FIELD: Final = "field"
REASON: Final = "reason"
ORIGIN_TOPIC: Final = "origin-topic"
ORIGIN_PARTITION: Final = "origin-partition"
ORIGIN_OFFSET: Final = "origin-offset"
TRUNCATED_FROM: Final = "truncated-from-bytes"
TOMBSTONE: Final = "tombstone"

PROCESSING_FAULT: Final = "processing fault"


def dead_letter(record: Record, field: str, reason: str) -> Output:
    """`record` as a dead letter: same partition and key, the original bytes (at most 1 MiB), the reason in headers.

    `field` is the part at fault (`payload` when nothing could be read).
    """
    value = record.value or b""
    headers = [
        (REASON, _text(reason)),
        (FIELD, _text(field)),
        (ORIGIN_TOPIC, record.topic.encode()),
        (ORIGIN_PARTITION, b"%d" % record.partition),
        (ORIGIN_OFFSET, b"%d" % record.offset),
        (CONTENT_TYPE, _text(record.content_type())),
    ]
    if len(value) > MAX_VALUE_BYTES:
        headers.append((TRUNCATED_FROM, b"%d" % len(value)))
        value = value[:MAX_VALUE_BYTES]
    if record.value is None:
        headers.append((TOMBSTONE, b"true"))
    key = record.key[:MAX_TEXT_BYTES] if record.key is not None else None
    return Output(topic=REJECTED.name, partition=record.partition, key=key, value=value, headers=tuple(headers))


def reason_of(output: Output) -> str:
    """The reason that `dead_letter` wrote, for counting."""
    return next((content.decode("utf-8", "replace") for name, content in output.headers if name == REASON), "")


def _text(text: str) -> bytes:
    """Bounded UTF-8: a content type or reason of any length must not make the letter undeliverable."""
    return text.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore").encode()
