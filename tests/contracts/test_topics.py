"""The topic table is what the broker gets."""

from contracts.topics import ALARMS, LATEST, PARTITIONS, READINGS, REJECTED, SCORES, SNAPSHOTS, TOPICS, WINDOWS


def test_topics_of_patients_share_one_partition_count() -> None:
    assert {t.partitions for t in (READINGS, WINDOWS, LATEST, SCORES, ALARMS, REJECTED, SNAPSHOTS)} == {PARTITIONS}


def test_every_topic_says_how_long_it_keeps_data() -> None:
    for topic in TOPICS:
        settings = topic.settings()
        assert settings["retention.ms"] == str(topic.retention_ms)
        assert settings["message.timestamp.type"] == "LogAppendTime", "recovery searches by the broker's time"
        assert topic.payload


def test_state_is_never_deleted_by_age() -> None:
    assert SNAPSHOTS.settings()["cleanup.policy"] == "compact"
    assert SNAPSHOTS.retention_ms == -1
