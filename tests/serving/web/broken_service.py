"""The service with faults that a folder of files brings in: `broken_service.py FOLDER OPTIONS...`.

`NAME.end` ends the thread of that name by what no code foresaw; `NAME.fail` fails every step of it;
`observe.fail` fails everything that only looks at answers.
"""

import sys
from pathlib import Path

FOLDER, *OPTIONS = sys.argv[1:]


class UnforeseenError(BaseException):
    """Not an `Exception`, as what a library in Rust raises when it panics."""


def breaks(name: str) -> bool:
    return Path(FOLDER, f"{name}.fail").exists()


def break_threads() -> None:
    from degre_pipeline.serving.web.threads import Repeating

    begin, go_on = Repeating.__init__, Repeating._goes_on

    def with_faulty_step(self, name, step, *more, **others):
        def faulty() -> bool:
            if breaks(name):
                raise UnforeseenError(name)
            return step()

        begin(self, name, faulty, *more, **others)

    def goes_on(self):
        if Path(FOLDER, f"{self.name}.end").exists():
            raise UnforeseenError(self.name)
        return go_on(self)

    Repeating.__init__, Repeating._goes_on = with_faulty_step, goes_on


def break_observers() -> None:
    from degre_pipeline.serving.web.checking import Checker
    from degre_pipeline.serving.web.drift import ScoreDrift
    from degre_pipeline.serving.web.measures import Measures
    from degre_pipeline.serving.web.model_source import ModelSource
    from degre_pipeline.serving.web.prediction_log import PredictionLog
    from degre_pipeline.serving.web.shadow import Shadow

    for owner, name in (
        (Checker, "_count_unknown"),
        (ScoreDrift, "add"),
        (Measures, "serves"),
        (ModelSource, "remember"),
        (PredictionLog, "add"),
        (Shadow, "sample"),
    ):
        setattr(owner, name, _faulty(getattr(owner, name)))


def _faulty(function):
    def call(*given, **named):
        if breaks("observe"):
            raise OverflowError(f"{function.__qualname__} was made to fail")
        return function(*given, **named)

    return call


if __name__ == "__main__":
    from degre_pipeline.serving.web.__main__ import main

    break_threads()
    break_observers()
    main(OPTIONS)
