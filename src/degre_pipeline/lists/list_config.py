"""How lists are cut from a request log and divided."""

from dataclasses import dataclass

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.sources.splits import STRATEGIES


@dataclass(frozen=True)
class ListConfig:
    """How lists are cut and divided.

    Attributes:
        list_length: Slots of a list, L.
        split: `by_day`: the last days test, those before validate; `by_time`: likewise by shares of the
            requests, for a log of a day or two; `leave_one_out`: each user's last request tests, the one
            before validates.
        external_share: Share of requests that only the external evaluator may learn from, between 0 and 1.
        seed: Of the division.
        validation_days: Days before the test's that validate, of `by_day`.
        test_days: Last days, of `by_day`.
        validation_share: Share of requests before the test's in time that validate, of `by_time`.
        test_share: Share of requests that are last in time, of `by_time`.
    """

    list_length: int = 6
    split: str = "by_day"
    external_share: float = 0.5
    seed: int = 0
    validation_days: int = 1
    test_days: int = 1
    validation_share: float = 0.1
    test_share: float = 0.1

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("validation_days", "test_days"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("validation_share", "test_share"):
            require(0 < getattr(self, name) < 1, name, getattr(self, name), "above 0, below 1")
        held_out = self.validation_share + self.test_share
        require(held_out < 1, "validation_share and test_share", held_out, "below 1 together")
        require(self.list_length >= 1, "list_length", self.list_length, "1 or more")
        require(0 < self.external_share < 1, "external_share", self.external_share, "above 0, below 1")
        require(self.split in STRATEGIES, "split", self.split, ", ".join(STRATEGIES))
