"""What data must look like: Great Expectations behind the catalog's `validator:` key."""

from .log_support_page import LogSupportPage
from .validator import InvalidTableError, RequestLogValidator, TableValidator

__all__ = ["InvalidTableError", "LogSupportPage", "RequestLogValidator", "TableValidator"]
