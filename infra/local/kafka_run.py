"""The local Kafka as a supervised process: prepares everything, then becomes Java, keeping its process id.

    python -m infra.local.kafka_run --data-dir DIR --port PORT [--cache-dir DIR]

Used where a supervisor restarts Kafka like any other process; `kafka.LocalKafka` is the same broker held by an object.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from contracts.errors import VigilError
from infra.local.kafka_jars import ensure_kafka
from infra.local.kafka_launch import KafkaFolder, prepare, take_folder
from infra.local.ports import LOOPBACK
from infra.local.process_status import ProcessSpec


def kafka_process(
    *, data_dir: Path, port: int, log_path: Path, cache_dir: Path | None = None, name: str = "kafka", stage: int = 0
) -> ProcessSpec:
    """The process a supervisor keeps running. Call `ensure_kafka` first to show the one-time download's progress."""
    argv = [sys.executable, "-m", "infra.local.kafka_run", "--data-dir", str(data_dir), "--port", str(port)]
    if cache_dir is not None:
        argv += ["--cache-dir", str(cache_dir)]
    return ProcessSpec(
        name=name, argv=tuple(argv), log_path=log_path, ready_url=f"tcp://{LOOPBACK}:{port}", stage=stage
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns only when Kafka could not be started; the reason is on standard error."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.kafka_run", description="Run the local Kafka.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cache-dir", type=Path)
    options = parser.parse_args(arguments)
    folder = KafkaFolder(root=options.data_dir.absolute())
    try:
        runtime = ensure_kafka(options.cache_dir, _say)
        lock = take_folder(folder, port=options.port)
        launch = prepare(folder, runtime, port=options.port, on_progress=_say)
    except VigilError as error:
        _say(str(error))
        return 1
    os.set_inheritable(lock.descriptor, True)  # the folder stays ours while Java runs
    os.execve(launch.argv[0], launch.argv, launch.env)  # noqa: S606 - our own command


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
