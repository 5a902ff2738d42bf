"""Puts the service together and lets uvicorn run it."""

import ipaddress
import logging
import sys

import torch
import uvicorn

from degre_pipeline.serving.web.app import create_app
from degre_pipeline.serving.web.http_limits import HttpLimits, limited_protocol
from degre_pipeline.serving.web.redaction import guard_logs
from degre_pipeline.serving.web.running_parts import Service
from degre_pipeline.serving.web.service_settings import ServiceSettings

logger = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
"""How long a thread may keep the others from Python; by default 5 ms, which an answer would feel."""


def serve(settings: ServiceSettings) -> None:
    """Runs the service until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    service = Service(settings)
    guard_logs()
    if settings.token is None and not _is_loopback(settings.host):
        logger.warning("listening on %s without a token: anybody who reaches it may ask", settings.host)
    torch.set_num_threads(1)  # more would take turns with the thread that talks to clients
    sys.setswitchinterval(SWITCH_SECONDS)
    limits = HttpLimits(settings.max_header_bytes, settings.header_seconds, settings.max_connections)
    uvicorn.run(
        create_app(service),
        host=settings.host,
        port=settings.port,
        http=limited_protocol(settings.http, limits.of_system(), service.measures),
        ws="none",
        h11_max_incomplete_event_size=2 * settings.max_header_bytes,  # so that ours is the limit that is met
        log_level="warning",
        log_config=None,  # uvicorn's messages go where the others go
        access_log=False,
        timeout_keep_alive=30,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
