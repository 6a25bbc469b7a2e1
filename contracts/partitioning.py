"""Which partition a patient's data belongs to.

Every producer uses `partition_of`: Kafka's own default for Java clients, murmur2 of the key's UTF-8 bytes. Two
producers that disagree would split one patient over two workers, and neither would see the whole patient.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2 (32 bit, seed 0x9747b28c) as an unsigned integer, as in Kafka's `Utils.murmur2`."""
    length = len(data)
    m = 0x5BD1E995
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * m) & _MASK
        k ^= k >> 24
        k = (k * m) & _MASK
        h = ((h * m) & _MASK) ^ k
    rest = length - whole
    if rest:
        h ^= int.from_bytes(data[whole:], "little")
        h = (h * m) & _MASK
    h ^= h >> 13
    h = (h * m) & _MASK
    return h ^ (h >> 15)


def partition_of(patient: str, partitions: int) -> int:
    """The partition of `patient` on a topic with `partitions` partitions.

    >>> partition_of("p-001", 8) == partition_of("p-001", 8)
    True
    """
    return (murmur2(patient.encode()) & 0x7FFFFFFF) % partitions
