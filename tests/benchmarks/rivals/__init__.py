"""Other stream frameworks at the work of our engine, on the same readings: what `vigil bench engine` compares with.

Each rival is a program of its own. It takes one JSON message per reading, judges the reading against its limits, and
sends the statistics of each patient and metric over 60 s, every 10 s, when the window closes. `measure.py` is the way
in. What is in the rivals' favour is said beside the code: durable state is off everywhere, so they could lose windows
in a crash where ours may not, and neither onset delays, scores nor late readings are asked of them.
"""
