"""Passwords: argon2id, and what a new one must be.

Parameters as OWASP's Password Storage Cheat Sheet gives them for argon2id: 19 MiB, two passes, one lane. A stored hash names its
own parameters, so a hash of older ones is verified with those and made anew at the next log-in.
"""

from __future__ import annotations

import secrets
import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from contracts.errors import InvalidInput

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
SHORTEST: Final = 12  # characters; length counts, rules about kinds of characters do not (NIST SP 800-63B)
LONGEST: Final = 256

_HASHER: Final = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, type=Type.ID)


def check_new_password(password: str, name: str) -> None:
    """Raises `InvalidInput` that says what a new password of account `name` lacks."""
    if len(password) < SHORTEST:
        raise InvalidInput("password", f"must have at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise InvalidInput("password", f"must have at most {LONGEST} characters")
    plain = _plain(password).lower()
    if name.lower() in plain or "vigil" in plain:
        raise InvalidInput("password", "must not hold the account's name, nor this system's")
    if len(set(plain)) < 5:
        raise InvalidInput("password", "must not be a few characters over and over")


def hashed(password: str) -> str:
    """The hash to store, in argon2's own format. Takes some tens of milliseconds of CPU, on purpose."""
    return _HASHER.hash(_plain(password))


def matches(stored: str | None, password: str) -> bool:
    """Whether `password` belongs to the hash `stored`. None (there is no such account) takes as long, and is False."""
    try:
        return _HASHER.verify(stored or _nobodys(), _plain(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than a new one would be."""
    return _HASHER.check_needs_rehash(stored)


@cache
def _nobodys() -> str:
    """A hash that no password is known for."""
    return _HASHER.hash(secrets.token_urlsafe(32))


def prepare() -> None:
    """Make what the first failed log-in would otherwise have to make: it must not take longer than the others."""
    _nobodys()


def _plain(password: str) -> str:
    """One spelling of the same characters, whichever keyboard they were typed on (NIST SP 800-63B 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
