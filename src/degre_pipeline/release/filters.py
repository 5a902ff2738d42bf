"""Texts as MLflow's search filters take them."""


def quoted(text: str) -> str:
    """Returns a text as a value in a search filter, between the quotes that it does not hold itself.

    Raises: ValueError: If no filter can hold it: MLflow's filters have no way to escape a quote.
    """
    mark = next((one for one in "'\"" if one not in text), None)
    if mark is None or "\\" in text:
        raise ValueError(
            f"{text!r} cannot be searched for in MLflow; allowed: a text with one kind of quotes at most "
            "and no backslash"
        )
    return f"{mark}{text}{mark}"
