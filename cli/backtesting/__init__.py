"""What rules and models would have done: recordings, stored streams and a simulated ward, played through the live rooms."""
