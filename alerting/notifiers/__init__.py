"""Notifiers: how a notice gets to a person. One file a channel, one contract for all (`base`), one loop that sends
(`sender`)."""
