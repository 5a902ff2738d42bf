"""Sets the spoilt requests of a log aside, or refuses the log with all that is wrong with it."""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from degre_pipeline.reranker.schema import Field
from degre_pipeline.sources.faults import (
    NOBODY,
    OF_KEYS,
    OF_REQUESTS,
    Fault,
    find_faults,
    find_stray_items,
    ids_of,
    read_columns,
)
from degre_pipeline.sources.references import check_references, unknown_references
from degre_pipeline.sources.request_log import (
    RequestLog,
    check_identifiers,
    fill_derived_columns,
    settle_columns,
)

logger = logging.getLogger(__name__)


class SpoiltLogError(ValueError):
    """A log in which more requests are spoilt than may be set aside."""


def conform_but_for_spoilt(
    log: RequestLog, fields: Iterable[Field], may_drop: float
) -> tuple[RequestLog, pd.DataFrame]:
    """Returns the log of the requests that break no rule, as `conform` returns it, and those that break one.

    A spoilt request is set aside whole: its row in `requests`, its candidates and what it showed. A wrong row
    of a user or an item spoils the requests that refer to it.

    Args:
        log: As it was read, with all its required columns.
        fields: The declared features.
        may_drop: Largest share of requests that may be set aside.
    Returns: The log; `request_id` and `reason` of what was set aside, a row for each reason.
    Raises:
        SpoiltLogError: If the share is larger, or a row names no request: with every reason, of all tables,
            and how many rows and requests it spoils.
        ValueError: If requests name no user, or no item, of a table whose fields are declared.
    """
    fields = tuple(fields)
    typed, faults = read_columns(log, fields)
    faults += find_faults(typed)
    kept = _without(typed, faults)
    if len(kept.requests):
        check_identifiers(kept)
        kept = fill_derived_columns(kept)
        stray = find_stray_items(kept)
        faults += stray
        kept = _without(kept, stray)
    _check_share(faults, typed, may_drop)
    check_references(kept, fields)
    set_aside = _listed(faults)
    for reason, count in set_aside["reason"].value_counts().items():
        logger.warning("Set aside %d request(s): %s.", count, reason)
    for line in unknown_references(kept):
        logger.warning(line)
    return kept, set_aside


def _without(log: RequestLog, faults: Sequence[Fault]) -> RequestLog:
    """Returns the log without spoilt requests and rows, its columns in their final types."""
    spoilt = np.unique(np.concatenate([NOBODY, *(fault.request_ids for fault in faults)]))
    kept = dict(log.tables())
    for name in OF_REQUESTS if faults else ():
        ids = kept[name]["request_id"]
        kept[name] = kept[name][(ids.notna() & ~ids.isin(spoilt)).to_numpy()]
    for name in OF_KEYS:
        places = np.concatenate([NOBODY, *(fault.places for fault in faults if fault.table == name)])
        kept[name] = kept[name].drop(index=np.unique(places).tolist()) if len(places) else kept[name]
    return RequestLog(**{name: settle_columns(name, table) for name, table in kept.items()})


def _check_share(faults: Sequence[Fault], log: RequestLog, may_drop: float) -> None:
    requests = np.unique(np.concatenate([ids_of(getattr(log, name)) for name in OF_REQUESTS]))
    spoilt = np.unique(np.concatenate([NOBODY, *(fault.request_ids for fault in faults)]))
    share = len(spoilt) / max(len(requests), 1)
    if not faults or (may_drop and share <= may_drop and not any(fault.is_final for fault in faults)):
        return
    listed = "".join(f"\n  - {fault}" for fault in faults)
    raise SpoiltLogError(
        f"The log breaks {len(faults)} rule(s), which spoils {len(spoilt)} of {len(requests)} requests, "
        f"a share of {share:.2g}; allowed by ingestion.request_log_files.may_drop: {may_drop:g}. "
        f"Nothing was written.{listed}"
    )


def nothing_set_aside() -> pd.DataFrame:
    """Returns the table of requests set aside, without a row."""
    return pd.DataFrame({"request_id": NOBODY, "reason": pd.Series([], dtype="str")})


def _listed(faults: Sequence[Fault]) -> pd.DataFrame:
    parts = [pd.DataFrame({"request_id": one.request_ids, "reason": one.reason}) for one in faults]
    return pd.concat(parts, ignore_index=True) if parts else nothing_set_aside()
