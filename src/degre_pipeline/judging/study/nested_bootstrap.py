"""Intervals over shops, seeds and requests at once: a bootstrap that draws each of them again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from degre_pipeline.reranker.metrics import Array, Estimate


@dataclass(frozen=True)
class ShopFigures:
    """Several figures of one shop: the mean of a part over the mean of a whole, by seed and request.

    All seeds are judged on the same requests, so seeds and requests cross; neither lies within the other.

    Attributes:
        parts: Of every figure, seed and request, [c, s, r].
        wholes: What the mean of a figure's parts is divided by, [c, r], of sums above zero; ones for a mean.
        units: Number of the unit that each request belongs to, such as its user, [r].

    Raises: ValueError if shapes differ or something is empty.
    """

    parts: Array
    wholes: Array
    units: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check the shapes against one another."""
        shapes = tuple(np.shape(array) for array in (self.parts, self.wholes, self.units))
        figures, _, requests = shapes[0] if len(shapes[0]) == 3 else (0, 0, 0)
        if not np.size(self.parts) or shapes[1:] != ((figures, requests), (requests,)):
            raise ValueError(
                f"parts, wholes, units have shapes {shapes}; allowed: [c, s, r], [c, r] and [r], none empty"
            )


@dataclass(frozen=True)
class _Sums:
    """Sums over the requests of a unit: parts [c, s, u] and wholes [c, u]."""

    parts: Array
    wholes: Array


def nested_bootstrap(
    shops: Sequence[ShopFigures], *, samples: int = 10_000, seed: int = 0, confidence: float = 0.95
) -> list[Estimate]:
    """Returns every figure's mean over shops with its interval over shops, seeds and requests, [c].

    A shop's figure is the mean over its seeds of mean part over mean whole. A resample draws shops; for each
    drawn shop it draws seeds, and once for all of them units with all their requests. All figures share the
    draws, so paired differences may be among them. With one shop and one seed this is the plain bootstrap.

    The usual percentiles of a few shops are too close together, so others are taken, further out: with two
    shops nearly the least and the largest resample, with many shops the usual ones. What varies within shops
    counts twice, as it also is a part of what varies between them: where it is the larger part, the interval
    is too wide rather than too narrow.

    Args:
        shops: One or more, of the same figures.
        samples: Resamples; with five shops the percentiles are 0.1 and 99.9.
        seed: Of the draws.
        confidence: Of the intervals.
    Raises: ValueError: If there is no shop, or if shops have different numbers of figures.
    Source: Davison and Hinkley, Bootstrap Methods and Their Application (1997), 3.8, all levels with
        replacement; percentiles: Hesterberg, What Teachers Should Know About the Bootstrap (2015), 4.3.
    """
    figures = {len(shop.parts) for shop in shops}
    if len(figures) != 1:
        raise ValueError(
            f"{len(shops)} shops have {sorted(figures)} figures; allowed: one shop or more, of one number"
        )
    sums = [_by_unit(shop) for shop in shops]
    means = np.mean([(one.parts.sum(-1) / one.wholes.sum(-1)[:, None]).mean(-1) for one in sums], axis=0)
    outside = _tail(sums, confidence)
    low, high = np.quantile(list(_resampled(sums, samples, seed)), [outside, 1 - outside], axis=0)
    return [Estimate(*map(float, bounds)) for bounds in zip(means, low, high, strict=True)]


def _by_unit(shop: ShopFigures) -> _Sums:
    order = np.argsort(shop.units, kind="stable")
    _, starts = np.unique(shop.units[order], return_index=True)
    return _Sums(
        *(np.add.reduceat(figures[..., order], starts, axis=-1) for figures in (shop.parts, shop.wholes))
    )


def _resampled(sums: Sequence[_Sums], samples: int, seed: int) -> Iterator[Array]:
    """Yields the figures of each resample, [c]."""
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        drawn = [_redrawn(sums[shop], rng) for shop in rng.integers(len(sums), size=len(sums))]
        yield np.mean(drawn, axis=0)


def _redrawn(shop: _Sums, rng: np.random.Generator) -> Array:
    """Returns the figures of a shop with its seeds and its units drawn again, [c]."""
    _, seeds, units = shop.parts.shape
    of_seeds = np.bincount(rng.integers(seeds, size=seeds), minlength=seeds) / seeds
    of_units = np.bincount(rng.integers(units, size=units), minlength=units)
    figures: Array = (shop.parts @ of_units) @ of_seeds / (shop.wholes @ of_units)
    return figures


def _tail(sums: Sequence[_Sums], confidence: float) -> float:
    """Returns the share of resamples beyond either end, smaller the fewer shops (or, of one shop, seeds)."""
    drawn = len(sums) if len(sums) > 1 else sums[0].parts.shape[1]
    usual = (1 - confidence) / 2
    if drawn == 1:
        return usual
    return NormalDist().cdf(sqrt(drawn / (drawn - 1)) * float(t.ppf(usual, drawn - 1)))
