"""Holds the Kafka of a test run: `python -m tests.kafka_holder DATA_DIR SAID RUN_PID`. Ends when the run has ended."""

import json
import shutil
import sys
import time
from pathlib import Path

import psutil

from infra.local.kafka import LocalKafka
from infra.local.ports import free_port


def main() -> None:
    data_dir, said, run = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    with LocalKafka(data_dir=data_dir, port=free_port(), on_progress=print) as kafka:
        partial = said.with_suffix(".part")
        partial.write_text(json.dumps({"bootstrap_servers": kafka.bootstrap_servers, "pid": kafka.pid}))
        partial.rename(said)
        while psutil.pid_exists(run):
            time.sleep(0.5)
    shutil.rmtree(data_dir, ignore_errors=True)  # pytest keeps its last folders, and a log can be large


if __name__ == "__main__":
    main()
