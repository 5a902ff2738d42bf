"""What really drives clicks in the simulated shop, so that the worth of any list can be asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degre_pipeline.simulation.truth_checks import check_known_categories, check_rows, check_sequences

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]

_LISTS_PER_CHUNK = 1 << 17


class Appeal(NamedTuple):
    """What one candidate brings to a slot; three arrays of one shape.

    Attributes:
        logits: Stand-alone click logit.
        same_category: Bit set of the candidates that share its category.
        complements: Bit set of the candidates after which it gets the complement bonus.
    """

    logits: FloatArray
    same_category: IntArray
    complements: IntArray

    def take(self, index: Any) -> Appeal:
        """The same NumPy index applied to every field."""
        return Appeal(self.logits[index], self.same_category[index], self.complements[index])

    def at(self, candidates: IntArray) -> Appeal:
        """Appeal of chosen candidates: fields [r, n] gathered at indices [r, s]."""
        return Appeal(
            np.take_along_axis(self.logits, candidates, axis=1),
            np.take_along_axis(self.same_category, candidates, axis=1),
            np.take_along_axis(self.complements, candidates, axis=1),
        )


@dataclass(frozen=True, eq=False)
class ClickTruth:
    """The true click model of a set of requests.

    The item at slot t (1-based) is clicked with probability
    `sigmoid(stand_alone_logit - slot_penalty * (t - 1) - satiation * earlier items of its category
    + complement_bonus if an earlier item has category complement_of[its category])`.
    Clicks do not depend on earlier clicks: a list's utility is the sum of its slots' probabilities.

    Attributes:
        request_id: Unique ids, int64 [r].
        stand_alone_logits: float32 [r, n]; minus infinity where a request has no such candidate.
        categories: int64 [r, n]; -1 where a request has no such candidate.
        complement_of: Category that earns category c its bonus when placed before it, int64 [c]; -1 for none.
        satiation: Logit lost per earlier item of the same category.
        complement_bonus: Logit gained after a complement.
        slot_penalty: Logit lost per slot down the list.

    Raises: ValueError if shapes disagree, an id occurs twice or a category is unknown.
    """

    request_id: IntArray
    stand_alone_logits: FloatArray
    categories: IntArray
    complement_of: IntArray
    satiation: float
    complement_bonus: float
    slot_penalty: float

    def __post_init__(self) -> None:
        """Check the fields against one another."""
        check_rows(self.request_id, self.stand_alone_logits, self.categories)
        check_known_categories("categories", self.categories, len(self.complement_of))
        check_known_categories("complement_of", self.complement_of, len(self.complement_of))

    def click_probabilities(self, sequences: IntArray) -> FloatArray:
        """True click probability at every slot, [r, s, t]; 0 for empty slots.

        Args:
            sequences: Candidate indices of s lists per request, [r, s, t]; -1 for empty slots, at the end.

        Raises: ValueError for a wrong shape, an unknown or repeated candidate, or a gap.
        """
        probabilities = np.zeros(sequences.shape)
        for rows, slot, values in self._slots(sequences):
            probabilities[rows, :, slot] = values
        return probabilities

    def utility(self, sequences: IntArray) -> FloatArray:
        """Expected clicks of every list, [r, s]; arguments and errors as in `click_probabilities`."""
        utility = np.zeros(sequences.shape[:2])
        for rows, _, values in self._slots(sequences):
            utility[rows] += values
        return utility

    def appeal(self) -> Appeal:
        """Appeal of every candidate, fields [r, n]."""
        wanted = np.append(self.complement_of, -1)[self.categories]
        bits = 1 << np.arange(self.categories.shape[1], dtype=np.int64)
        same = self.categories[:, :, None] == self.categories[:, None, :]
        complements = (wanted[:, :, None] == self.categories[:, None, :]) & (wanted >= 0)[:, :, None]
        return Appeal(
            self.stand_alone_logits.astype(np.float64),
            np.where(same, bits, 0).sum(axis=2),
            np.where(complements, bits, 0).sum(axis=2),
        )

    def probability_after(self, prefix_bits: IntArray, slot: int, appeal: Appeal) -> FloatArray:
        """Click probability of candidates placed after a set of others.

        Args:
            prefix_bits: The earlier candidates as bit sets, any shape that broadcasts with the appeal.
            slot: Number of earlier slots, t - 1.
            appeal: What is placed.
        """
        earlier_of_category = np.bitwise_count(prefix_bits & appeal.same_category)
        logits = appeal.logits - self.slot_penalty * slot - self.satiation * earlier_of_category
        logits = logits + self.complement_bonus * ((prefix_bits & appeal.complements) != 0)
        probability: FloatArray = 0.5 + 0.5 * np.tanh(0.5 * logits)
        return probability

    def select(self, request_ids: IntArray | Sequence[int]) -> ClickTruth:
        """Truth of the named requests, in the order given.

        Raises: ValueError naming ids that are not there.
        """
        row_of = {int(known): row for row, known in enumerate(self.request_id)}
        wanted = [int(request) for request in request_ids]
        unknown = [request for request in wanted if request not in row_of]
        if unknown:
            raise ValueError(
                f"request_ids holds {len(unknown)} unknown ids, the first {unknown[:5]}; "
                f"allowed are the {len(row_of)} ids of this truth"
            )
        return self._rows([row_of[request] for request in wanted])

    def to_tensors(self) -> dict[str, Tensor]:
        """Flat mapping of field name to tensor, for safetensors; scalars are 0-d float64."""
        return {name: torch.from_numpy(np.array(getattr(self, name))) for name in _FIELDS}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> ClickTruth:
        """Inverse of `to_tensors`.

        Raises: ValueError naming missing or unknown keys.
        """
        if set(tensors) != set(_FIELDS):
            raise ValueError(
                f"truth tensors have the keys {sorted(tensors)}; allowed are exactly {sorted(_FIELDS)}"
            )
        arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        return cls(
            request_id=arrays["request_id"],
            stand_alone_logits=arrays["stand_alone_logits"],
            categories=arrays["categories"],
            complement_of=arrays["complement_of"],
            satiation=float(arrays["satiation"]),
            complement_bonus=float(arrays["complement_bonus"]),
            slot_penalty=float(arrays["slot_penalty"]),
        )

    def _rows(self, rows: Sequence[int] | slice) -> ClickTruth:
        return replace(
            self,
            request_id=self.request_id[rows],
            stand_alone_logits=self.stand_alone_logits[rows],
            categories=self.categories[rows],
        )

    def _slots(self, sequences: IntArray) -> Iterator[tuple[slice, int, FloatArray]]:
        """Yield rows, slot (from 0) and click probabilities [rows, s], in bounded memory."""
        check_sequences(sequences, *self.categories.shape)
        step = max(1, _LISTS_PER_CHUNK // max(1, sequences.shape[1]))
        for start in range(0, len(sequences), step):
            rows = slice(start, min(start + step, len(sequences)))
            appeal = self._rows(rows).appeal()
            prefix_bits = np.zeros(sequences[rows].shape[:2], dtype=np.int64)
            for slot in range(sequences.shape[2]):
                chosen = np.asarray(sequences[rows, :, slot], dtype=np.int64)
                filled = chosen >= 0
                placed = appeal.at(np.where(filled, chosen, 0))
                bits = np.where(filled, 1 << np.maximum(chosen, 0), 0)
                self._check_placed(
                    (prefix_bits & bits != 0) | (filled & np.isneginf(placed.logits)), rows, chosen
                )
                yield rows, slot, np.where(filled, self.probability_after(prefix_bits, slot, placed), 0.0)
                prefix_bits |= bits

    def _check_placed(self, wrong: NDArray[np.bool_], rows: slice, chosen: IntArray) -> None:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"sequences place candidate {chosen[row, column]} of request {self.request_id[rows][row]} "
                "twice or where there is none; allowed are the request's own candidates, each once"
            )


_SCALARS = ("satiation", "complement_bonus", "slot_penalty")
_FIELDS = tuple(field.name for field in fields(ClickTruth))


def concatenate_truths(truths: Sequence[ClickTruth]) -> ClickTruth:
    """One truth for the requests of several, which must share the click model and n.

    Raises: ValueError if there are none, or if they differ in scalars or complements.
    """
    if not truths:
        raise ValueError("truths is empty; allowed are one or more")
    first = truths[0]
    for other in truths[1:]:
        for name in (*_SCALARS, "complement_of"):
            if not np.array_equal(getattr(other, name), getattr(first, name)):
                raise ValueError(
                    f"truths differ in {name}: {getattr(first, name)} and {getattr(other, name)}"
                )
    return replace(
        first,
        request_id=np.concatenate([truth.request_id for truth in truths]),
        stand_alone_logits=np.concatenate([truth.stand_alone_logits for truth in truths]),
        categories=np.concatenate([truth.categories for truth in truths]),
    )
