"""A second model that ranks a sample of the requests unseen."""

import logging
import queue
import random
from collections.abc import Sequence

from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.model.reranking_model import RankedList
from degre_pipeline.serving.web.follower import Follower
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.prediction_log import PredictionLog
from degre_pipeline.serving.web.threads import Repeating

logger = logging.getLogger(__name__)

MOST_WAITING = 256


class Shadow:
    """Ranks a sample with the model of another alias, after the answer, and notes how it compares.

    Args:
        follower: Of the shadow's alias.
        share: Of the requests.
        log: Where its lists go, if anywhere.
        measures: Where comparisons are counted.
        chance: Draws the sample.
    """

    def __init__(
        self,
        follower: Follower,
        share: float,
        log: PredictionLog | None,
        measures: Measures,
        chance: random.Random,
    ) -> None:
        self._follower, self._share, self._log = follower, share, log
        self._measures, self._chance = measures, chance
        self._waiting: queue.Queue[tuple[Request, RankedList] | None] = queue.Queue(MOST_WAITING)
        self._thread = Repeating("shadow", self._step, measures)

    def start(self) -> None:
        """Begins to follow and to rank."""
        self._follower.start()
        self._thread.start()

    def stop(self) -> None:
        """Stops."""
        self._follower.stop()
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put(None)

    def sample(self, requests: Sequence[Request], answered: Sequence[RankedList]) -> None:
        """Takes a share of answered requests; where too many wait, it drops them."""
        for pair in zip(requests, answered, strict=True):
            if self._chance.random() < self._share:
                try:
                    self._waiting.put_nowait(pair)
                except queue.Full:
                    self._measures.dropped.labels("shadow").inc()

    @property
    def threads(self) -> Sequence[Repeating]:
        """The threads that must go on."""
        return [*self._follower.threads, self._thread]

    def _step(self) -> bool:
        pair, model = self._waiting.get(), self._follower.model
        if pair is not None and model is not None:
            try:
                self._compare(model.version, *pair, model.reranker.rerank([pair[0]])[0])
            except Exception as error:
                self._measures.shadow.labels("failed").inc()
                logger.warning("the shadow, version %s, failed: %s", model.version, error)
        return pair is not None

    def _compare(self, version: str, request: Request, answered: RankedList, shadow_list: RankedList) -> None:
        if shadow_list.item_ids == answered.item_ids:
            compared = "same"
        else:
            compared = "same_items" if set(shadow_list.item_ids) == set(answered.item_ids) else "other"
        self._measures.shadow.labels(compared).inc()
        if self._log is not None:
            self._log.add([shadow_list], version=version, role="shadow")
