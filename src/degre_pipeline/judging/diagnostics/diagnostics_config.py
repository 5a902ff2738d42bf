"""What the diagnostics look at."""

from dataclasses import dataclass, field

from degre_pipeline.reranker.checked_settings import check_types, require


@dataclass(frozen=True)
class DiagnosticsConfig:
    """How much the diagnostics compute.

    Attributes:
        requests: Test requests, of those whose lists are valued, on which lists are mined anew, at most.
        random_lists: Random lists of each, over which judges are compared.
        beam_sizes: Beams whose best lists are compared; judges are compared on all lists of the widest.
    """

    requests: int = 300
    random_lists: int = 100
    beam_sizes: list[int] = field(default_factory=lambda: [1, 2, 4, 8, 16])

    def __post_init__(self) -> None:
        check_types(self)
        require(self.requests >= 1, "requests", self.requests, "1 or more")
        require(self.random_lists >= 2, "random_lists", self.random_lists, "2 or more")
        sizes = self.beam_sizes
        whole = bool(sizes) and all(type(size) is int and 1 <= size <= 10_000 for size in sizes)
        require(
            whole and len(set(sizes)) == len(sizes),
            "beam_sizes",
            sizes,
            "one whole number or more from 1 to 10,000, each once",
        )
