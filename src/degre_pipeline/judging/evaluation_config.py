"""How lists are judged."""

from dataclasses import dataclass

from degre_pipeline.reranker.checked_settings import check_types, require


@dataclass(frozen=True)
class EvaluationConfig:
    """How lists are judged.

    Attributes:
        requests: Test requests whose lists are valued, drawn at random; 0 takes all.
        judged_requests: Of these, how many are also compared with random lists (HR@K%), the costly part.
        comparison_lists: Random lists a request, S.
        exact_requests: Requests that are also compared with all their lists, exactly, which takes seconds for
            each and judge; 0: none.
        exact_steps: Largest tree of all lists, in steps a request, that is searched; a request with a larger
            one is left out, with a warning.
        batch_size: Requests decoded and searched together.
        bootstrap_samples: Resamples behind every interval.
        device: As in `TrainingConfig`.
        seed: Of the draw of requests, lists and resamples.
    Source: DeGRe (arXiv 2605.25749), 5.1.3: 10,000 lists.
    """

    requests: int = 0
    judged_requests: int = 1000
    comparison_lists: int = 10_000
    exact_requests: int = 200
    exact_steps: int = 2_000_000
    batch_size: int = 256
    bootstrap_samples: int = 1000
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(self.requests >= 0, "requests", self.requests, "0 (all) or more")
        require(self.exact_requests >= 0, "exact_requests", self.exact_requests, "0 (none) or more")
        require(self.exact_steps >= 1, "exact_steps", self.exact_steps, "1 or more")
        for name in ("judged_requests", "comparison_lists", "batch_size"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
