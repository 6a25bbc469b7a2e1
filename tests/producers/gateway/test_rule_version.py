"""The number of the rules in force, while the database comes and goes."""

from contracts.errors import Retryable
from producers.gateway.rule_version import RuleVersion


def test_it_follows_and_never_goes_back() -> None:
    numbers = iter([0, 2, 7, 3, 8])
    rules = RuleVersion(lambda: next(numbers))
    seen = []
    for _ in range(5):
        rules.refresh()
        seen.append(rules.current())
    assert seen == [0, 2, 7, 7, 8]


def test_the_last_number_stays_while_the_database_is_away() -> None:
    answers: list[int | Retryable] = [4, Retryable("away"), Retryable("away"), 5]

    def read() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Retryable):
            raise answer
        return answer

    rules = RuleVersion(read)
    seen = []
    for _ in range(4):
        rules.refresh()
        seen.append(rules.current())
    assert seen == [4, 4, 4, 5]
