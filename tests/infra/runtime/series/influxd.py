"""A real InfluxDB for the tests, where its server program is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import platformdirs

from infra.local.ports import free_port

TOKEN = "a-token-for-tests"
ORG = "vigil tests"


def find_influxd() -> Path | None:
    """The server program: VIGIL_TEST_INFLUXD, on the PATH, or in the cache folder."""
    candidates = [
        os.environ.get("VIGIL_TEST_INFLUXD"),
        shutil.which("influxd"),
        str(Path(platformdirs.user_cache_dir("vigil")) / "influxd"),
    ]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK) and Path(candidate).is_file():
            return Path(candidate)
    return None


class Influxd:
    """A server on loopback with its data in `folder`. Ended by `stop`."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir(parents=True)
        self._log = (folder / "influxd.log").open("wb")
        self._process = subprocess.Popen(
            [
                program, "--bolt-path", folder / "influxd.bolt", "--engine-path", folder / "engine",
                "--sqlite-path", folder / "influxd.sqlite", "--http-bind-address", f"127.0.0.1:{self.port}",
                "--reporting-disabled",
            ],
            stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._wait()
        self._post("/api/v2/setup", {"username": "vigil", "password": "for tests only", "org": ORG, "bucket": "first",
                                     "token": TOKEN})  # fmt: skip
        self._org_id = self._get(f"/api/v2/orgs?org={ORG.replace(' ', '%20')}")["orgs"][0]["id"]

    def url(self, bucket: str) -> str:
        """The series URL of a new, empty bucket."""
        self._post("/api/v2/buckets", {"orgID": self._org_id, "name": bucket})
        return f"influx://127.0.0.1:{self.port}/{bucket}?org={ORG.replace(' ', '%20')}"

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(timeout=30)
        self._log.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self._get("/health")
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"influxd did not start: see {self._log.name}") from None
                time.sleep(0.05)

    def _get(self, path: str) -> dict[str, list[dict[str, str]]]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Token {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            document: dict[str, list[dict[str, str]]] = json.load(answer)
            return document

    def _post(self, path: str, document: dict[str, str]) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=json.dumps(document).encode(), method="POST",
            headers={"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
