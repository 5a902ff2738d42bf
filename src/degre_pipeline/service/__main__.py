"""Starts the service: `python -m degre_pipeline.service --help`."""

import sys

from degre_pipeline.service.process import require_serving


def main(arguments: list[str] | None = None) -> None:
    """Run the service until it is told to stop.

    Args:
        arguments: Of the command line; those of the process by default.
    Raises: SystemExit: With one sentence, if the extra `serving` is not installed.
    """
    try:
        require_serving()
    except ModuleNotFoundError as error:
        raise SystemExit(str(error)) from None
    from degre_pipeline.service.command_line import serve

    serve(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    main()
