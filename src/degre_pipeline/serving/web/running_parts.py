"""The parts of a running service: what follows, checks, decodes and writes."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from degre_pipeline.locations import tracking_uri
from degre_pipeline.serving.web.cache_folder import cache_folder
from degre_pipeline.serving.web.checking import Checker
from degre_pipeline.serving.web.follower import Follower
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.model_source import ModelSource
from degre_pipeline.serving.web.prediction_log import PredictionLog
from degre_pipeline.serving.web.reranking import Reranking
from degre_pipeline.serving.web.service_settings import ServiceSettings
from degre_pipeline.serving.web.shadow import Shadow
from degre_pipeline.serving.web.threads import Repeating


class Part(Protocol):
    """A part of the service that has threads of its own."""

    @property
    def threads(self) -> Sequence[Repeating]:
        """The threads that must go on."""

    def start(self) -> None:
        """Begins."""

    def stop(self) -> None:
        """Ends."""


class Service:
    """The parts of a running service, put together from its settings.

    Args:
        settings: The settings.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings, self.measures = settings, Measures()
        cache = cache_folder(settings.cache_folder)
        source = ModelSource(tracking_uri(settings.tracking_uri, Path.cwd()), settings.model_name, cache)
        first_length = settings.list_length or source.remembered_list_length(settings.alias)
        self.champion = Follower(source, settings.alias, settings, self.measures, self.measures.serves)
        self.log = (
            PredictionLog(settings.prediction_log, settings.log_seconds, self.measures)
            if settings.prediction_log
            else None
        )
        self.shadow = None
        if settings.shadow_alias:
            follower = Follower(source, settings.shadow_alias, settings, self.measures)
            self.shadow = Shadow(follower, settings.shadow_share, self.log, self.measures, random.Random())
        checker = Checker(
            self.measures,
            most_requests=settings.max_requests,
            most_candidates=settings.max_candidates,
            strict=settings.strict,
        )
        self.reranking = Reranking(
            self.champion,
            checker,
            self.measures,
            deadline_ms=settings.deadline_ms,
            first_list_length=first_length,
            log=self.log,
            shadow=self.shadow,
        )
        parts: list[Part | None] = [self.champion, *self.reranking.parts, self.shadow, self.log]
        self._parts = [part for part in parts if part is not None]

    def start(self) -> None:
        """Starts every part."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Stops every part, the prediction log last."""
        for part in self._parts:
            part.stop()

    def unready(self) -> str | None:
        """Returns in a few words why no model answers or soon none will; None where all is well.

        What went wrong in detail is for those who may ask `/version`.
        """
        threads = [thread for part in self._parts for thread in part.threads]
        if ended := [thread.name for thread in threads if thread.has_ended]:
            return f"a thread has ended, and a restart is needed: {', '.join(ended)}"
        if failing := [thread.name for thread in threads if thread.fails]:
            return f"a thread fails again and again: {', '.join(failing)}"
        return "no model is loaded yet" if self.champion.model is None else None
