"""Keeps faults of code that only observes answers from stopping an answer."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from degre_pipeline.serving.web.measures import Measures

logger = logging.getLogger(__name__)


@contextmanager
def only_observing(measures: Measures, what: str) -> Iterator[None]:
    """A block whose faults are counted and logged, and go no further.

    Args:
        measures: Where faults are counted.
        what: Is observed; named in the log.
    """
    try:
        yield
    except Exception:
        measures.failed_steps.labels("observe").inc()
        logger.exception("%s could not be observed", what)
