"""Where readings come from: the simulated ward, recordings, and the bridges to other systems. One file each."""
