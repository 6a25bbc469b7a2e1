"""How the schema came to be, one numbered file a step, run by Alembic. `engine.upgrade` is the way in."""
