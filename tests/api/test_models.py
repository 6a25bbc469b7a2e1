"""Who may score, over REST: every registered version with its stage and what its gates said."""

from __future__ import annotations

from contracts.registry import Stage
from infra.runtime.settings import Settings
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.model_registry import ModelRegistry, ModelVersion
from tests.api.builders import NOW_MS
from tests.api.conftest import Rest


async def test_each_version_stands_with_its_stage_and_the_verdict_of_its_gates(rest: Rest, settings: Settings) -> None:
    assert await rest.get("/api/v1/models") == {"items": []}
    engine = open_engine(settings.sql_url)
    registry = ModelRegistry(engine)
    passed = {"name": "events", "passed": True, "said": "184"}
    failed = {"name": "calibration", "passed": False, "said": "slope 3"}
    shipped: list[tuple[str, Stage, list[dict[str, object]]]] = [
        ("1", Stage.CHAMPION, [passed]), ("2", Stage.SHADOW, [passed, failed]), ("3", Stage.CANDIDATE, []),
    ]  # fmt: skip
    for version, stage, gates in shipped:
        found = ModelVersion(
            name="toy", version=version, digest="0" * 64, kind="classifier", framework="torch", author="ann",
            at_ms=NOW_MS + int(version),
        )  # fmt: skip
        registry.register(found, reason="ships", stage=stage, shipped=True, evidence={"gates": gates} if gates else None)
    registry.move("toy", "2", Stage.CHAMPION, author="ben", reason="better", at_ms=NOW_MS + 9, rules={})
    engine.dispose()
    items = (await rest.get("/api/v1/models"))["items"]
    assert [(i["version"], i["stage"], i["by"], i["gates"]) for i in items] == [
        ("1", "retired", "ben", "all 1 passed"),
        ("2", "champion", "ben", "NOT passed: calibration (slope 3)"),
        ("3", "candidate", "ann", ""),
    ]
    assert items[1]["reason"] == "better"
    assert items[0]["reason"] == "replaced by 2: better"
