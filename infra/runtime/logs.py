"""Structured logs: one event per state change, fields instead of sentences, never a value or a name of a patient.

Patient keys are pseudonymous, but a log is still the wrong place to follow a person: `patient` fields are masked.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from typing import Final, Literal, TextIO, cast

# structlog would load rich, to draw tracebacks on a terminal: five megabytes in each of nine processes that write lines.
_ALONE: Final = "rich" not in sys.modules
if _ALONE:
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger  # noqa: E402

if _ALONE:
    del sys.modules["rich"]

_MASKED = ("patient", "patients")
_REFUSED = frozenset({"value", "values", "name", "payload", "reading", "readings"})


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger of a module; `name` is the module's name."""
    logger: FilteringBoundLogger = structlog.get_logger(logger_name=name)
    return logger


def mask_patient(patient: str) -> str:
    """A short, stable stand-in for a patient key."""
    return "p~" + hashlib.sha256(patient.encode()).hexdigest()[:8]


def protect_patients(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask patient keys and drop fields that could hold a measured value or a person's name."""
    for field in _MASKED:
        if isinstance(event.get(field), str):
            event[field] = mask_patient(event[field])
    for field in _REFUSED & event.keys():
        event[field] = "(withheld)"
    return event


class _Stderr:
    """Whatever is standard error when something is written. Loggers are made once and live for ever; a stream that was
    replaced and closed since (by a terminal view, by a test) must not turn a log line into an exception."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logs(format_: Literal["console", "json"], level: str = "info") -> None:
    """Set up logging for this process, once. Libraries' own messages pass the same processors, warnings and up only:
    some clients print whole messages below that."""
    stderr = cast(TextIO, _Stderr())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        protect_patients,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if format_ == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # aiokafka and faust write message contents at WARNING in some paths: nothing of a patient may reach a log.
    logging.getLogger("faust.topics").setLevel(logging.ERROR)
