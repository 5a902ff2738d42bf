"""Starts the service: `python -m degre_pipeline.serving.web --help`."""

import sys

from degre_pipeline.serving.web.process import require_serving


def main(arguments: list[str] | None = None) -> None:
    """Run the service until it is told to stop.

    Args:
        arguments: Of the command line; those of the process by default.
    Raises: SystemExit: With one sentence, if the extra `serving` is not installed, if a setting is not
        allowed, or if the cache has no safe place.
    """
    try:
        require_serving()
    except ModuleNotFoundError as error:
        raise SystemExit(str(error)) from None
    from degre_pipeline.serving.web.cache_folder import CacheFolderError, cache_folder, give_home
    from degre_pipeline.serving.web.service_settings import read_settings

    settings = read_settings(sys.argv[1:] if arguments is None else arguments)
    try:
        give_home(cache_folder(settings.cache_folder))
    except CacheFolderError as error:
        raise SystemExit(str(error)) from None
    from degre_pipeline.serving.web.server import serve

    serve(settings)


if __name__ == "__main__":
    main()
