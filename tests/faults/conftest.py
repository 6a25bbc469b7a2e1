"""A whole deployment that the short rows share: started once, and a ward measures all the while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.faults.harness.deployment import Deployment, deployed, two_of_each
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.reconcile import Count, reconcile
from tests.faults.harness.senders import Flow, GatewaySender
from tests.faults.harness.viewer import Viewer
from tests.faults.harness.ward import Ward

QUIET_BEDS = 12


@dataclass
class Hospital:
    """Two processors, two alerting workers and one of everything else; a ward, its ledger, and a viewer who watches."""

    deployment: Deployment
    workers: list[tuple[str, str]]
    ledger: Ledger
    sender: GatewaySender
    flow: Flow
    viewer: Viewer
    quiet: Ward  # devices that fell silent right after the start
    quiet_since_ms: int = 0
    counted: list[Count] = field(default_factory=list)

    def count(self) -> Count:
        """Everything promised until now is waited for, and counted."""
        self.sender.drain()
        return reconcile(self.deployment, self.ledger, told=list(self.viewer.frames))


@pytest.fixture(scope="module")
def hospital(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with deployed(kafka, f"faults-{time.time_ns()}-", tmp_path_factory.mktemp("hospital")) as deployment:
        workers = two_of_each(deployment)
        ledger = Ledger()
        sender, quiet = GatewaySender(deployment.gateway_url, ledger), Ward(beds=QUIET_BEDS, name="quiet", ill=False)
        with Viewer(deployment.api_url) as viewer, Flow(Ward(beds=24), sender) as flow:
            with Flow(quiet, sender, start_ms=flow.start_ms) as silent_soon:
                deployment.wait("a first second of the quiet ward", lambda: silent_soon.seconds >= 3, 20)
            sender.drain()
            yield Hospital(
                deployment, workers, ledger, sender, flow, viewer, quiet, quiet_since_ms=silent_soon.last_ms
            )
        sender.close()
