"""Security options by the names of `VIGIL_KAFKA_OPTIONS` (librdkafka's), translated for aiokafka."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

from contracts.errors import VigilError

_SASL: Final = {
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
}
_MECHANISMS: Final = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
_TLS: Final = frozenset(
    {
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
        "enable.ssl.certificate.verification",
    }
)


def security_options(options: Mapping[str, str]) -> dict[str, Any]:
    """aiokafka's arguments. Options that do not concern security are the other client's and are left out.

    Raises `VigilError` for a security option that cannot be honoured: half a protection would look like a whole one.
    """
    unknown = [
        name for name in options if name.startswith(("sasl.", "ssl.")) and name not in _SASL and name not in _TLS
    ]
    if unknown:
        raise VigilError(
            f"The Kafka option {unknown[0]} is not supported by workers.",
            fix=f"use only {', '.join(sorted({*_SASL, *_TLS, 'security.protocol'}))}",
        )
    protocol = options.get("security.protocol", "PLAINTEXT").upper()
    found: dict[str, Any] = {"security_protocol": protocol}
    if protocol.startswith("SASL"):
        found.update({_SASL[name]: value for name, value in options.items() if name in _SASL})
        mechanism = found.setdefault("sasl_mechanism", "PLAIN")
        if mechanism not in _MECHANISMS:
            raise VigilError(f"The SASL mechanism {mechanism} is not supported.", fix=f"use {', '.join(sorted(_MECHANISMS))}")
    if protocol.endswith("SSL"):
        found["ssl_context"] = _context(options)
    return found


def _context(options: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.get("ssl.ca.location"))
        certificate = options.get("ssl.certificate.location")
        if certificate:
            context.load_cert_chain(certificate, options.get("ssl.key.location"), options.get("ssl.key.password"))
    except (OSError, ssl.SSLError) as error:
        raise VigilError(
            "The TLS files of VIGIL_KAFKA_OPTIONS cannot be used.", cause=type(error).__name__, fix="check their paths"
        ) from error
    if options.get("ssl.endpoint.identification.algorithm", "https").lower() == "none":
        context.check_hostname = False
    if options.get("enable.ssl.certificate.verification", "true").lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
