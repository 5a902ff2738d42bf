"""What really drives clicks in the simulated shop, so that the worth of any list can be asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degre_pipeline.simulation.truth_checks import check_known_categories, check_rows, check_sequences

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]

_LISTS_PER_CHUNK = 1 << 17

World = Literal["shop", "page", "leaving"]
"""What a click depends on; see `ClickTruth`."""


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


class Behaviour(NamedTuple):
    """What a user does who looks at a slot; two arrays of one shape, 0 for empty slots.

    Attributes:
        clicked: Probability of a click.
        goes_on: Probability of looking at the next slot, too.
    """

    clicked: FloatArray
    goes_on: FloatArray


class Slot(NamedTuple):
    """What happens at one slot; three arrays of one shape.

    Attributes:
        reached: Probability that the slot is looked at.
        clicked: Probability of a click by who looks at it; 0 for an empty slot.
        goes_on: Probability that who looks at it looks at the next slot, too; 0 for an empty slot.
    """

    reached: FloatArray
    clicked: FloatArray
    goes_on: FloatArray


def sigmoid(logits: FloatArray) -> FloatArray:
    """Returns the probabilities of logits, without overflow."""
    probabilities: FloatArray = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return probabilities


@dataclass(frozen=True, eq=False)
class ClickTruth:
    """The true click model of a set of requests.

    A user who looks at slot t (1-based) clicks its item with probability
    `sigmoid(stand_alone_logit - slot_penalty * (t - 1) - satiation * company of its category
    + complement_bonus if an item of its company has category complement_of[its category])`.
    The company of an item is what stands before it, in the world `page` all other items of the list.
    In the world `leaving` a user looks at the next slot only with probability
    `sigmoid(patience + interest * the logit of this slot's click)`; in the others at every slot.
    Clicks do not depend on earlier clicks: a list's utility is the sum of its slots' probabilities.

    Attributes:
        request_id: Unique ids, int64 [r].
        stand_alone_logits: float32 [r, n]; minus infinity where a request has no such candidate.
        categories: int64 [r, n]; -1 where a request has no such candidate.
        complement_of: Category that earns category c its bonus when placed before it, int64 [c]; -1 for none.
        satiation: Logit lost per item of the same category in an item's company.
        complement_bonus: Logit gained by a complement in an item's company.
        slot_penalty: Logit lost per slot down the list.
        world: What an item's company is, and whether users leave.
        patience: Of the world `leaving`: logit of going on after an item whose click logit is 0.
        interest: Of the world `leaving`: what an item's click logit adds to that.

    Raises: ValueError if shapes disagree, an id occurs twice, or a category or the world is unknown.
    """

    request_id: IntArray
    stand_alone_logits: FloatArray
    categories: IntArray
    complement_of: IntArray
    satiation: float
    complement_bonus: float
    slot_penalty: float
    world: World = "shop"
    patience: float = 0.0
    interest: float = 0.0

    def __post_init__(self) -> None:
        """Check the fields against one another."""
        if self.world not in WORLDS:
            raise ValueError(f"world is {self.world!r}; allowed are {', '.join(WORLDS)}")
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
            probabilities[rows, :, slot] = values.reached * values.clicked
        return probabilities

    def behaviour(self, sequences: IntArray) -> Behaviour:
        """What a user does who looks at a slot, fields [r, s, t]; arguments and errors as above."""
        clicked, goes_on = np.zeros(sequences.shape), np.zeros(sequences.shape)
        for rows, slot, values in self._slots(sequences):
            clicked[rows, :, slot], goes_on[rows, :, slot] = values.clicked, values.goes_on
        return Behaviour(clicked, goes_on)

    def utility(self, sequences: IntArray) -> FloatArray:
        """Expected clicks of every list, [r, s]; arguments and errors as in `click_probabilities`."""
        utility = np.zeros(sequences.shape[:2])
        for rows, _, values in self._slots(sequences):
            utility[rows] += values.reached * values.clicked
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

    def clicks(self, sequences: IntArray, luck: FloatArray, stay: FloatArray) -> NDArray[np.bool_]:
        """Whether each item of one list a request is clicked, [r, t], given chance.

        Args:
            sequences: Candidate indices, [r, t]; -1 for empty slots, at the end.
            luck: Uniform in [0, 1), [r, t]: who looks clicks where it is below the click's probability.
            stay: Likewise for looking at the next slot.
        """
        clicked, goes_on = (one[:, 0] for one in self.behaviour(sequences[:, None]))
        left = np.cumsum(stay >= goes_on, axis=1)[:, :-1] > 0
        happens: NDArray[np.bool_] = luck < clicked
        happens[:, 1:] &= ~left
        return happens

    def click_logits(self, company: IntArray, slot: int, appeal: Appeal) -> FloatArray:
        """Click logit of candidates in their company.

        Args:
            company: Other candidates as bit sets, any shape that broadcasts with the appeal.
            slot: Number of earlier slots, t - 1.
            appeal: What is placed.
        """
        of_category = np.bitwise_count(company & appeal.same_category)
        logits = appeal.logits - self.slot_penalty * slot - self.satiation * of_category
        found: FloatArray = logits + self.complement_bonus * ((company & appeal.complements) != 0)
        return found

    def going_on(self, click_logits: FloatArray) -> FloatArray:
        """Probability of looking at the next slot, of the click logit of this one."""
        if self.world != "leaving":
            return np.ones_like(click_logits)
        return sigmoid(self.patience + self.interest * click_logits)

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
        """Flat mapping of field name to tensor, for safetensors; scalars are 0-d, the world its number."""
        values = {name: getattr(self, name) for name in _FIELDS} | {"world": WORLDS.index(self.world)}
        return {name: torch.from_numpy(np.array(value)) for name, value in values.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> ClickTruth:
        """Inverse of `to_tensors`; one that names no world is of the shop.

        Raises: ValueError naming missing or unknown keys.
        """
        if not set(_FIELDS) - set(_OF_A_WORLD) <= set(tensors) <= set(_FIELDS):
            raise ValueError(
                f"truth tensors have the keys {sorted(tensors)}; allowed are exactly {sorted(_FIELDS)}"
            )
        arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        return cls(
            request_id=arrays["request_id"],
            stand_alone_logits=arrays["stand_alone_logits"],
            categories=arrays["categories"],
            complement_of=arrays["complement_of"],
            world=WORLDS[int(arrays.get("world", 0))],
            **{name: float(arrays[name]) for name in _NUMBERS if name in arrays},
        )

    def _rows(self, rows: Sequence[int] | slice) -> ClickTruth:
        return replace(
            self,
            request_id=self.request_id[rows],
            stand_alone_logits=self.stand_alone_logits[rows],
            categories=self.categories[rows],
        )

    def _slots(self, sequences: IntArray) -> Iterator[tuple[slice, int, Slot]]:
        """Yield rows, slot (from 0) and what happens there, fields [rows, s], in bounded memory."""
        check_sequences(sequences, *self.categories.shape)
        step = max(1, _LISTS_PER_CHUNK // max(1, sequences.shape[1]))
        for start in range(0, len(sequences), step):
            rows = slice(start, min(start + step, len(sequences)))
            appeal = self._rows(rows).appeal()
            chosen = np.asarray(sequences[rows], dtype=np.int64)
            bits = np.where(chosen >= 0, 1 << np.maximum(chosen, 0), 0)
            earlier, reached = np.zeros(chosen.shape[:2], dtype=np.int64), np.ones(chosen.shape[:2])
            whole = np.bitwise_or.reduce(bits, axis=2)
            for slot in range(chosen.shape[2]):
                filled, own = chosen[..., slot] >= 0, bits[..., slot]
                placed = appeal.at(np.where(filled, chosen[..., slot], 0))
                self._check_placed(
                    (earlier & own != 0) | (filled & np.isneginf(placed.logits)), rows, chosen[..., slot]
                )
                company = whole & ~own if self.world == "page" else earlier
                logits = self.click_logits(company, slot, placed)
                goes_on = np.where(filled, self.going_on(logits), 0.0)
                yield rows, slot, Slot(reached, np.where(filled, sigmoid(logits), 0.0), goes_on)
                earlier = earlier | own
                reached = reached * goes_on

    def _check_placed(self, wrong: NDArray[np.bool_], rows: slice, chosen: IntArray) -> None:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"sequences place candidate {chosen[row, column]} of request {self.request_id[rows][row]} "
                "twice or where there is none; allowed are the request's own candidates, each once"
            )


WORLDS: tuple[World, ...] = get_args(World)
_NUMBERS = ("satiation", "complement_bonus", "slot_penalty", "patience", "interest")
_OF_A_WORLD = ("world", "patience", "interest")
_FIELDS = tuple(field.name for field in fields(ClickTruth))


def concatenate_truths(truths: Sequence[ClickTruth]) -> ClickTruth:
    """One truth for the requests of several, which must share the click model and n.

    Raises: ValueError if there are none, or if they differ in scalars or complements.
    """
    if not truths:
        raise ValueError("truths is empty; allowed are one or more")
    first = truths[0]
    for other in truths[1:]:
        for name in ("world", *_NUMBERS, "complement_of"):
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
