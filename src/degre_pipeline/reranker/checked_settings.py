"""Checks of settings: each error names the setting, its value and what is allowed."""

import math
from collections.abc import Mapping
from typing import Literal, get_args, get_type_hints

Switch = Literal["auto", "on", "off"]


def require(holds: bool, name: str, value: object, allowed: str) -> None:
    """Raises ValueError naming the setting, its value and what was allowed, unless the condition holds."""
    if not holds:
        raise ValueError(f"{name} is {value!r}; allowed: {allowed}")


def check_types(config: object) -> None:
    """Raises ValueError for the first setting that is no number, text or truth value where one is needed.

    Settings that mean the same in every configuration (`LEAST`) are held to the same limits, too.
    """
    for name, declared in get_type_hints(type(config)).items():
        types, kind = _KINDS.get(declared, ((object,), ""))
        value = getattr(config, name)
        truth_for_number = isinstance(value, bool) and declared in (int, float)
        unknown = isinstance(value, float) and math.isnan(value)
        require(isinstance(value, types) and not truth_for_number and not unknown, name, value, kind)
        if name in LEAST:
            require(value >= LEAST[name], name, value, f"{LEAST[name]} or more")


LEAST: Mapping[str, int] = {"seed": 0, "bootstrap_samples": 40}
"""Of fewer than 40 resamples none lies beyond the ends of a 95% interval, and the ends are chance."""


_KINDS: Mapping[object, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
}


def require_choice(name: str, value: str, choices: object) -> None:
    """Raises ValueError unless the value is one of a Literal's choices."""
    require(value in get_args(choices), name, value, ", ".join(map(str, get_args(choices))))
