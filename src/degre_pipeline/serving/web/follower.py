"""Follows an alias of the registry: a thread loads the version it moves to, and switches when that works."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from degre_pipeline.serving.web.loading import LoadedModel, load_quickly, load_with
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.model_source import FetchedModel, ModelSource, says_there_is_none
from degre_pipeline.serving.web.observing import only_observing
from degre_pipeline.serving.web.redaction import without_secrets
from degre_pipeline.serving.web.service_settings import ServiceSettings
from degre_pipeline.serving.web.threads import Repeating
from degre_pipeline.serving.web.time_limited import TimeLimited

logger = logging.getLogger(__name__)

FETCH_SECONDS = 600.0
"""How long MLflow may take to hand a version's files over."""
RETRY_SECONDS = 60.0
"""After so long a version that could not be loaded is tried again."""


class Follower:
    """Holds the model that an alias points at, and keeps the last good one whatever happens.

    Reading `model` is atomic: a reader has the old model or the new one, whole.

    Args:
        source: The registered model.
        alias: What is followed.
        settings: The service's.
        measures: Where failures are counted.
        on_switch: Called with the new model after each switch.
    """

    def __init__(
        self,
        source: ModelSource,
        alias: str,
        settings: ServiceSettings,
        measures: Measures,
        on_switch: Callable[[LoadedModel], None] = lambda model: None,
    ) -> None:
        self.model: LoadedModel | None = None
        self.trouble: str | None = None
        self._source, self._alias, self._settings = source, alias, settings
        self._measures, self._on_switch = measures, on_switch
        self._refused: tuple[str, float, str] = ("", 0.0, "")
        self._stopped = threading.Event()
        self._thread = Repeating(f"follow-{alias}", self._step, measures)
        self._look_up, self._fetch = TimeLimited(settings.look_seconds), TimeLimited(FETCH_SECONDS)

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Stops following; the model stays."""
        self._stopped.set()

    @property
    def threads(self) -> Sequence[Repeating]:
        """The thread that must go on."""
        return [self._thread]

    def _step(self) -> bool:
        self.look()
        return not self._stopped.wait(self._settings.poll_seconds)

    def look(self) -> None:
        """Looks the alias up once and loads the version it points at if that is another one."""
        try:
            version = self._look_up.call(partial(self._source.version_of, self._alias))
        except Exception as error:
            self._measures.registry_errors.inc()
            self._note(f"alias {self._alias!r} could not be looked up: {error}")
            if self.model is None and not says_there_is_none(error):
                self._take_remembered()
            return
        self._measures.last_look.labels(self._alias).set_to_current_time()
        if self.model is not None and self.model.version == version:
            self.trouble = None
            return
        refused, when, why = self._refused
        if version == refused and time.monotonic() - when < RETRY_SECONDS:
            self._note(why)
        else:
            self._take(version)

    def _take(self, version: str) -> None:
        """Fetches a version and switches to it; where that fails, the last good one goes on or begins."""
        try:
            fetched = self._fetch.call(partial(self._source.fetch, version))
            model = load_quickly(fetched, self._settings.runner)
            self._switch(model)
        except Exception as error:
            why = f"version {version} was refused: {error}"
            self._refused = version, time.monotonic(), why
            self._measures.load_failures.inc()
            self._note(why)
            if self.model is None:
                self._take_remembered()
            return
        with only_observing(self._measures, f"version {version} that works"):
            self._source.remember(self._alias, fetched, model.example.list_length)
        self._improve(fetched)

    def _take_remembered(self) -> None:
        """Starts from the version that worked last, where another cannot be had or is refused."""
        trouble = self.trouble
        try:
            fetched = self._source.remembered(self._alias)
            if fetched is not None:
                self._switch(load_quickly(fetched, self._settings.runner))
        except Exception as error:
            logger.warning("the version that worked last could not be loaded: %s", error)
        self.trouble = trouble

    def _switch(self, model: LoadedModel) -> None:
        self.model, self.trouble = model, None
        with only_observing(self._measures, f"the switch to version {model.version}"):
            self._on_switch(model)
        gc.collect()  # or what is garbage now would be kept for ever
        gc.freeze()  # full collections need not look through all that MLflow and torch keep
        logger.info("%s is version %s in %s", self._alias, model.version, model.runner)

    def _improve(self, fetched: FetchedModel) -> None:
        """Compiles the version in the background, where `auto` leaves that for later, and switches to it."""
        if self._settings.runner != "auto" or self.model is None or self.model.runner == "aotinductor":
            return

        def compile_and_switch() -> None:
            try:
                model = load_with(fetched, "aotinductor")
            except Exception as error:
                logger.warning("version %s is not compiled and stays as it is: %s", fetched.version, error)
                return
            if self.model is not None and self.model.version == fetched.version:
                self._switch(model)

        threading.Thread(target=compile_and_switch, name="compile", daemon=True).start()

    def _note(self, trouble: str) -> None:
        trouble = without_secrets(trouble)
        if trouble != self.trouble:
            logger.warning("%s", trouble)
        self.trouble = trouble
