"""What the models know of the data: declared feature fields and the sizes they took on the training data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Kind = Literal["categorical", "numeric", "tags"]
Group = Literal["user", "item", "context", "score"]
GROUPS: tuple[Group, ...] = get_args(Group)

RANKING_SCORE = "ranking_score"
"""Field of the score by which the ranking stage orders the candidates, where it is declared."""
SPLITS = TRAIN, VALIDATION, TEST = "train", "validation", "test"
"""Requests that are learned from, that choose when to stop, and that judge."""
ROLES = MINING, EXTERNAL = "mining", "external"
"""Evaluators that may learn from a request."""


@dataclass(frozen=True)
class Field:
    """A declared feature: the column's name, how it is encoded and the domain it belongs to.

    Attributes:
        name: Column of the users, items, requests or candidates table, by group.
        kind: `categorical` (one id), `numeric` (quantile buckets) or `tags` (several ids joined by "|").
        group: `user`, `item`, `context` or `score`; the groups of Group Layer Normalization.
        size: Most buckets of a numeric field; most tags kept of one value of a tags field.
        additive: Of a categorical or tags field, such as an id: evaluators and the ranking stage do not read
            it into their network; each value adds a number of its own to the logit of a click. Heads without
            such a logit leave it out.
    Raises: ValueError: On an unknown kind or group, a size below one, or an additive field of another kind.
    """

    name: str
    kind: Kind
    group: Group
    size: int = 32
    additive: bool = False

    def __post_init__(self) -> None:
        for label, value, allowed in (
            ("kind", self.kind, get_args(Kind)),
            ("group", self.group, GROUPS),
        ):
            if value not in allowed:
                raise ValueError(f"field {self.name!r}: {label} is {value!r}; allowed: {', '.join(allowed)}")
        if self.size < 1:
            raise ValueError(f"field {self.name!r}: size is {self.size}; allowed: 1 or more")
        if not isinstance(self.additive, bool) or (self.additive and self.kind == "numeric"):
            raise ValueError(
                f"field {self.name!r}: additive is {self.additive!r}; "
                "allowed: true for kinds categorical and tags, false for all"
            )

    @property
    def per_candidate(self) -> bool:
        """Whether the value differs between the candidates of one request."""
        return self.group in ("item", "score")

    def to_dict(self) -> dict[str, Any]:
        """Returns the JSON form; what every field was before some became additive is not named."""
        return {name: value for name, value in asdict(self).items() if value or name != "additive"}

    @property
    def columns(self) -> int:
        """Index columns that one value takes once encoded."""
        return self.size if self.kind == "tags" else 1


def parse_fields(declarations: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
    """Returns the declared fields, users' and contexts' first.

    Raises:
        ValueError: If a declaration has unknown or missing keys, if a name occurs twice, or if no
            field describes the candidates.
    """
    allowed = set(Field.__dataclass_fields__)
    fields = []
    for position, declaration in enumerate(declarations):
        unknown, missing = set(declaration) - allowed, {"name", "kind", "group"} - set(declaration)
        if unknown or missing:
            raise ValueError(
                f"field {position} ({dict(declaration)}): unknown keys {sorted(unknown)}, "
                f"missing keys {sorted(missing)}; allowed: {sorted(allowed)}"
            )
        fields.append(Field(**declaration))
    names = [field.name for field in fields]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"fields declared twice: {repeated}; every name is allowed once")
    if not any(field.per_candidate for field in fields):
        raise ValueError(
            f"fields {names} describe no candidate; at least one of group item or score is needed"
        )
    return tuple(sorted(fields, key=lambda field: field.per_candidate))


@dataclass(frozen=True)
class FieldSize:
    """A field as a model sees it: its encoding and how many indices were fitted (0 is unknown or missing)."""

    name: str
    kind: Kind
    group: Group
    columns: int
    indices: int
    additive: bool = False

    @property
    def per_candidate(self) -> bool:
        """Whether the value differs between the candidates of one request."""
        return self.group in ("item", "score")

    def as_dict(self) -> dict[str, Any]:
        """Returns the JSON form, the inverse of `FieldSize(**…)`."""
        return asdict(self)


def additive_fields(sizes: Sequence[FieldSize]) -> list[str]:
    """Returns the names of the fields that evaluators do not read into their network."""
    return [size.name for size in sizes if size.additive]
