"""TLS of its own: the page and the API over an encrypted connection, the cookie for it, and nothing in plain text."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from api.access import Access
from api.app import create_app
from api.node import Node
from api.server import Server, configuration
from contracts.policy import Role
from infra.runtime.clock import SystemClock
from infra.runtime.health import Health
from infra.runtime.metrics import Metrics
from infra.runtime.passwords import hashed
from infra.runtime.settings import Settings
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.engine import open_engine, upgrade
from tests.api.conftest import now_ms, until

PASSWORD = "correct horse battery"


@pytest.fixture
def pem(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of this very test for localhost, and its key."""
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    private, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )  # fmt: skip
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key


async def test_the_api_serves_tls_itself(
    pem: tuple[Path, Path], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    certificate, key = pem
    settings = Settings(
        state_dir=tmp_path, access="accounts", kafka_bootstrap_servers=f"127.0.0.1:{free_port()}", api_port=free_port(),
        tls_certificate=str(certificate), tls_key=str(key),
    )  # fmt: skip
    assert settings.local_api == f"https://127.0.0.1:{settings.api_port}"
    upgrade(settings.sql_url)
    AccountStore(open_engine(settings.sql_url)).add("anna", Role.NURSE, hashed(PASSWORD), at_ms=now_ms())
    nodes: list[Node] = []
    metrics = Metrics()
    app = create_app(
        lambda: Node(settings, SystemClock(), metrics, Health()), metrics, dist=tmp_path, started=nodes.append,
        access=Access.of([settings.local_api]),
    )  # fmt: skip
    tls = (settings.tls_certificate, settings.tls_key)
    config = configuration(app, host="127.0.0.1", port=settings.api_port, tls=tls)
    server = Server(config, lambda: nodes[0].hub)
    serving = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started and nodes and nodes[0].sql.roster_known, "the server")
        await nodes[0].accounts.look()
        base = f"https://localhost:{settings.api_port}"
        trusted = ssl.create_default_context(cafile=str(certificate))
        assert trusted.minimum_version >= ssl.TLSVersion.TLSv1_2
        async with httpx2.AsyncClient(verify=trusted, base_url=base, trust_env=False) as client:
            answer = await client.post("/api/v1/session", json={"name": "anna", "password": PASSWORD})
            assert answer.headers["set-cookie"].startswith("__Host-vigil_session=")
            assert "Secure" in answer.headers["set-cookie"]
            assert (await client.get("/api/v1/system")).status_code == 200
            with pytest.raises(httpx2.TransportError):
                await client.get(base.replace("https", "http"))
        old = ssl.create_default_context(cafile=str(certificate))
        with pytest.warns(DeprecationWarning, match="TLS"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError, match=r"(?i)ssl|tls|protocol"):
            await asyncio.open_connection("localhost", settings.api_port, ssl=old)
    finally:
        server.should_exit = True
        await serving
