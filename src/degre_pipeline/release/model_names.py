"""Names that a registered model can have."""

_REFUSED = "/:.%\"'\\"
"""MLflow refuses the first six, some of them only when a model is logged; no filter holds the last."""
_LONGEST = 200


def check_model_name(name: object) -> None:
    """Raises ValueError unless MLflow can log and register a model of this name, and find it again."""
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= _LONGEST
        or name != name.strip()
        or not name.isprintable()
        or any(mark in name for mark in _REFUSED)
    ):
        raise ValueError(
            f"registration.model_name is {name!r}; allowed: 1 to {_LONGEST} letters, digits, '_', '-' and "
            f"the like, without any of {' '.join(_REFUSED)} and without blanks at its ends"
        )
