"""Keeps passwords that stand in addresses out of what the service says."""

import logging
import re

_USER_INFO = re.compile(r"(?<=://)[^\s/]*@")


def without_secrets(text: str) -> str:
    """Returns a text in which no address has a user name and password any more."""
    return _USER_INFO.sub("***@", text)


class CarefulFormatter(logging.Formatter):
    """Formats as another formatter does, and takes secrets out of the whole text, tracebacks included.

    Args:
        inner: The other formatter.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record's text without secrets."""
        return without_secrets(self._inner.format(record))


def guard_logs() -> None:
    """Lets every handler that exists now write without secrets."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if not isinstance(handler.formatter, CarefulFormatter):
            handler.setFormatter(CarefulFormatter(handler.formatter or logging.Formatter()))
