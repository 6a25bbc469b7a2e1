"""Alarms, people and rules in SQL: a SQLite file in the embedded mode, PostgreSQL in production.

`engine.upgrade(url)` brings a database to the newest schema; `engine.open_engine(url)` gives the engine that the stores in
`alarms.py`, `patients.py` and `rules.py` take. Engines and stores may be used from several threads at once: a store keeps
nothing but its engine, and every call is one short transaction on a connection of its own.
"""
