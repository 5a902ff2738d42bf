"""Settings of the living shop."""

from dataclasses import dataclass
from datetime import date

from degre_pipeline.reranker.checked_settings import check_types, require


@dataclass(frozen=True)
class LivingShopConfig:
    """The first day that is served, and how precisely days are measured.

    Attributes:
        opens: First day that a model may serve, as an ISO date.
        days_before: Days before it, on which the shop shows what its own logging policy chooses.
        bootstrap_samples: Resamples of a day's requests behind every interval.
        seed: Of the resamples.
    """

    opens: str = "2026-01-31"
    days_before: int = 11
    bootstrap_samples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        try:
            date.fromisoformat(self.opens)
        except ValueError as error:
            raise ValueError(f"opens is {self.opens!r}; allowed: a date such as 2026-01-31") from error
        require(self.days_before >= 0, "days_before", self.days_before, "0 or more")
