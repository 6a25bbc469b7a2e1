"""What counts as an alarm, as data: `model` says what a rule is, `load` reads rule sets, `default.toml` ships with us."""
