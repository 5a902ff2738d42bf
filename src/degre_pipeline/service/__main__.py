"""Starts the service: `python -m degre_pipeline.service --help`."""

import ipaddress
import logging
import sys
import warnings

import torch
import uvicorn
from pydantic import ValidationError
from pydantic_settings import CliApp

from degre_pipeline.service.app import create_app
from degre_pipeline.service.settings import PREFIX, ServiceSettings

logger = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
"""How long a thread may keep the others from Python; by default 5 ms, which an answer would feel."""


def main(arguments: list[str] | None = None) -> None:
    """Run the service until it is told to stop.

    Args:
        arguments: Of the command line; those of the process by default.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = read_settings(sys.argv[1:] if arguments is None else arguments)
    if settings.token is None and not _is_loopback(settings.host):
        logger.warning("listening on %s without a token: anybody who reaches it may ask", settings.host)
    torch.set_num_threads(1)  # more would take turns with the thread that talks to clients
    sys.setswitchinterval(SWITCH_SECONDS)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=30,
    )


def read_settings(arguments: list[str]) -> ServiceSettings:
    """Returns the settings; ends the process with one line for each that is not allowed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return CliApp.run(ServiceSettings, cli_args=arguments)
    except ValidationError as error:
        faults = {str(fault["loc"][0]): fault for fault in reversed(error.errors())}
        for name, fault in reversed(faults.items()):
            option, variable = f"--{name.replace('_', '-')}", f"{PREFIX}{name.upper()}"
            given = "" if "token" in name else f" is {fault['input']!r}"
            print(f"{option} ({variable}){given}: {fault['msg']}", file=sys.stderr)
        raise SystemExit(2) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main()
