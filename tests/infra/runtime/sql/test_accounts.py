"""Accounts, care teams, sessions and failed log-ins on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from contracts.errors import InvalidInput, VigilError
from contracts.policy import Action, Allowed, Denied, Patient, Role, allow
from infra.runtime.passwords import check_new_password, hashed, matches, outdated
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.engine import reading
from infra.runtime.sql.sessions import KEPT_MS, LIFETIME_MS, Kind, SessionStore, delay_ms, digest_of

NOW_MS = 1_772_359_200_000
HOUR_MS = 3_600_000


def test_an_account_and_its_care_team(engine: Engine) -> None:
    """From nothing to a nurse who sees the patients of her ward for one shift, and nobody's after it."""
    store = AccountStore(engine)
    before = store.revision()
    store.add("anna", Role.NURSE, "hash", at_ms=NOW_MS, full_name="Anna Berg")
    store.cover("a", units=["Ward A"], patients=["p-9"])
    store.cover("a", units=["Ward A", "Ward B"])  # more of the same team
    store.join("a", "anna", from_ms=NOW_MS, until_ms=NOW_MS + HOUR_MS)
    directory = store.directory()
    assert directory.revision == store.revision() > before
    anna = directory.subject("anna")
    assert anna is not None

    def sees(key: str, unit: str | None, at_ms: int) -> bool:
        return isinstance(allow(anna, Action.PATIENT_SEE, Patient(key=key, unit=unit), at_ms), Allowed)

    assert sees("p-1", "Ward A", NOW_MS)
    assert sees("p-2", "Ward B", NOW_MS)
    assert sees("p-9", None, NOW_MS)
    assert not sees("p-1", "Ward C", NOW_MS)
    assert not sees("p-1", None, NOW_MS)
    assert sees("p-1", "Ward A", NOW_MS + HOUR_MS - 1)
    assert not sees("p-1", "Ward A", NOW_MS + HOUR_MS)
    assert store.leave("a", "anna", at_ms=NOW_MS + 1000)
    anna = store.directory().subject("anna")
    assert sees("p-1", "Ward A", NOW_MS + 999)
    assert not sees("p-1", "Ward A", NOW_MS + 1000)
    assert not store.leave("a", "anna", at_ms=NOW_MS + 2000), "she has left"


def test_every_change_of_rights_moves_the_revision(engine: Engine) -> None:
    store, sessions = AccountStore(engine), SessionStore(engine)
    seen = [store.revision()]

    def moved() -> bool:
        seen.append(store.revision())
        return seen[-1] > seen[-2]

    store.add("anna", Role.NURSE, "hash", at_ms=NOW_MS)
    assert moved()
    store.cover("a", everybody=True)
    assert moved()
    store.join("a", "anna", from_ms=NOW_MS)
    assert moved()
    _, session = sessions.begin("anna", Kind.PAGE, at_ms=NOW_MS)
    assert not moved(), "a log-in takes nothing away"
    assert sessions.end(session.session_id, at_ms=NOW_MS, by="anna")
    assert moved()
    store.leave("a", "anna", at_ms=NOW_MS + 1)
    assert moved()
    store.set_password("anna", "other", at_ms=NOW_MS, by="root")
    assert moved()
    store.disable("anna", at_ms=NOW_MS, by="root")
    assert moved()


def test_a_disabled_account_has_no_subject_no_password_and_no_session(engine: Engine) -> None:
    store, sessions = AccountStore(engine), SessionStore(engine)
    store.add("anna", Role.NURSE, "hash", at_ms=NOW_MS)
    token, session = sessions.begin("anna", Kind.PAGE, at_ms=NOW_MS)
    store.disable("anna", at_ms=NOW_MS + 1, by="root")
    assert store.directory().subject("anna") is None
    assert store.password_hash("anna") is None
    found = sessions.find(digest_of(token))
    assert found is not None
    assert (found.ended_ms, found.ended_by) == (NOW_MS + 1, "root")
    assert sessions.ended([session.session_id, "gone"]) == {session.session_id, "gone"}
    store.set_password("anna", "new", at_ms=NOW_MS + 2, by="root")
    assert store.password_hash("anna") == "new", "a reset lets the account be used again"


def test_what_cannot_be_is_refused_with_the_field_or_the_next_command(engine: Engine) -> None:
    store = AccountStore(engine)
    for name in ("", "Anna", "-a", "a b", "a" * 65, "a\n"):
        with pytest.raises(InvalidInput, match="name"):
            store.add(name, Role.NURSE, "hash", at_ms=NOW_MS)
    with pytest.raises(InvalidInput, match="role"):
        store.add("anna", Role.LOCAL, "hash", at_ms=NOW_MS)
    store.add("anna", Role.NURSE, "hash", at_ms=NOW_MS)
    with pytest.raises(VigilError, match="vigil users reset anna"):
        store.add("anna", Role.DOCTOR, "hash", at_ms=NOW_MS)
    with pytest.raises(VigilError, match="vigil teams add"):
        store.join("a", "anna", from_ms=NOW_MS)
    store.cover("a", everybody=True)
    with pytest.raises(VigilError, match="vigil users add bob"):
        store.join("a", "bob", from_ms=NOW_MS)
    with pytest.raises(InvalidInput, match="until"):
        store.join("a", "anna", from_ms=NOW_MS, until_ms=NOW_MS)
    with pytest.raises(VigilError, match="vigil users list"):
        store.disable("bob", at_ms=NOW_MS, by="x")
    with pytest.raises(VigilError, match="vigil users list"):
        store.set_password("bob", "h", at_ms=1, by="x")


def test_a_session_ends_by_age_by_idleness_and_by_hand(engine: Engine) -> None:
    AccountStore(engine).add("anna", Role.NURSE, "hash", at_ms=NOW_MS)
    store = SessionStore(engine)
    longest_ms, idle_ms = LIFETIME_MS[Kind.PAGE]
    assert idle_ms is not None
    token, page = store.begin("anna", Kind.PAGE, at_ms=NOW_MS, address="127.0.0.1")
    _, wall = store.begin("anna", Kind.WALL, at_ms=NOW_MS + 1)
    assert store.find(digest_of(token)) == page == store.get(page.session_id)
    assert token not in str(page), "of the token only its digest is kept"
    assert page.ends_ms() == NOW_MS + idle_ms
    assert wall.ends_ms() == wall.expires_ms, "a wall is not logged off for being idle"
    assert [s.session_id for s in store.running("anna", at_ms=NOW_MS + 1)] == [wall.session_id, page.session_id]
    assert [s.kind for s in store.running(at_ms=NOW_MS + idle_ms)] == [Kind.WALL]
    store.seen({page.session_id: NOW_MS + idle_ms - 1})
    assert len(store.running("anna", at_ms=NOW_MS + idle_ms)) == 2
    store.seen({page.session_id: NOW_MS})  # older news changes nothing
    later = store.get(page.session_id)
    assert later is not None
    assert later.ends_ms() == NOW_MS + 2 * idle_ms - 1
    assert later.ends_ms(NOW_MS + longest_ms) == page.expires_ms, "nobody stays longer than a shift"
    assert store.end(page.session_id, at_ms=NOW_MS + 5, by="anna")
    assert not store.end(page.session_id, at_ms=NOW_MS + 6, by="anna")
    store.begin("anna", Kind.PAGE, at_ms=NOW_MS + 6 + KEPT_MS)
    assert store.get(page.session_id) is None, "it can be looked up for a while, not for ever"


def test_whoever_guesses_waits_longer_each_time(engine: Engine) -> None:
    store = SessionStore(engine)
    keys = {"name:anna": 3, "address:10.0.0.9": 6}
    waits = [max(0, store.failed(keys, at_ms=NOW_MS) - NOW_MS) for _ in range(6)]
    assert waits == [0, 0, 1000, 2000, 4000, 8000]
    assert store.locked_until(["name:anna"]) == NOW_MS + 8000
    assert store.locked_until(["address:10.0.0.9"]) == NOW_MS + 1000
    assert store.locked_until(["name:bob"]) == 0
    store.succeeded("name:anna")
    assert store.locked_until(["name:anna"]) == 0
    store.failed({"name:bob": 3}, at_ms=NOW_MS + 2 * 86_400_000)
    assert store.locked_until(["address:10.0.0.9"]) == 0, "a day later it is forgotten"
    assert delay_ms(10_000, 5) == 15 * 60_000


def test_passwords() -> None:
    stored = hashed("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert matches(stored, "correct horse battery")
    assert not matches(stored, "correct horse batterx")
    assert not matches(None, "correct horse battery")
    assert not matches("no hash at all", "x")
    assert matches(hashed("café crème ok"), "cafe\u0301 cre\u0300me ok"), "the same characters from another keyboard"
    assert not outdated(stored)
    assert outdated(stored.replace("t=2", "t=1"))
    check_new_password("a long enough one", "anna")
    for wrong in ("short", "x" * 257, "anna is at work", "aaaaaaaaaaaaaa", "Vigil password"):
        with pytest.raises(InvalidInput, match="password"):
            check_new_password(wrong, "anna")


def test_no_secret_stands_in_the_database(engine: Engine) -> None:
    store = AccountStore(engine)
    store.add("anna", Role.NURSE, hashed("correct horse battery"), at_ms=NOW_MS)
    token, _ = SessionStore(engine).begin("anna", Kind.PROGRAM, at_ms=NOW_MS)
    with reading(engine) as connection:
        rows = [str(connection.execute(text(f"SELECT * FROM {t}")).all()) for t in ("users", "sessions")]
    assert "correct horse" not in str(rows)
    assert token not in str(rows)


def test_a_missing_account_is_denied_like_nobody() -> None:
    assert isinstance(allow(None, Action.PATIENT_SEE, None, NOW_MS), Denied)
