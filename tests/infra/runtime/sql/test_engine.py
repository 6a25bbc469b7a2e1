"""What an error of the database says: the statement, and nothing that was in it."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, exc, text

from infra.runtime.sql.engine import writing


def test_an_error_holds_no_value_that_was_sent(engine: Engine) -> None:
    """Errors reach logs; values are of patients, and addresses of messages hold secrets."""
    with pytest.raises(exc.SQLAlchemyError) as caught, writing(engine) as connection:
        connection.execute(text("INSERT INTO alembic_version VALUES (:value, :value)"), {"value": "hush"})
    assert "INSERT INTO alembic_version" in str(caught.value)
    assert "hush" not in str(caught.value)
