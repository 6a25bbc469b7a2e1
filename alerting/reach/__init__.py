"""Who is told of an alarm, when, and through what: policy as data, escalation as a pure machine, and its process."""
