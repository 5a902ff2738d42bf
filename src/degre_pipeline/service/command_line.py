"""The command line of the service: settings, then uvicorn."""

import ipaddress
import logging
import sys
import warnings

import torch
import uvicorn
from pydantic import ValidationError
from pydantic_settings import CliApp

from degre_pipeline.service.app import create_app
from degre_pipeline.service.cache_folder import CacheFolderError
from degre_pipeline.service.http_limits import HttpLimits, limited_protocol
from degre_pipeline.service.redaction import guard_logs
from degre_pipeline.service.settings import PREFIX, ServiceSettings

logger = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
"""How long a thread may keep the others from Python; by default 5 ms, which an answer would feel."""


def serve(arguments: list[str]) -> None:
    """Run the service until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = read_settings(arguments)
    try:
        app = create_app(settings)
    except CacheFolderError as error:
        raise SystemExit(str(error)) from None
    guard_logs()
    if settings.token is None and not _is_loopback(settings.host):
        logger.warning("listening on %s without a token: anybody who reaches it may ask", settings.host)
    torch.set_num_threads(1)  # more would take turns with the thread that talks to clients
    sys.setswitchinterval(SWITCH_SECONDS)
    limits = HttpLimits(settings.max_header_bytes, settings.header_seconds, settings.max_connections)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=limited_protocol(settings.http, limits.of_system(), app.state.service.measures),
        ws="none",
        h11_max_incomplete_event_size=2 * settings.max_header_bytes,  # so that ours is the limit that is met
        log_level="warning",
        log_config=None,  # uvicorn's messages go where the others go
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
