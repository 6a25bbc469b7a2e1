"""Training: from a recording or the project's own stored streams to a bundle. Offline: nothing here runs on the stream path."""
