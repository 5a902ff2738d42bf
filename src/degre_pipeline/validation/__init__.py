"""What data must look like: Great Expectations behind the catalog's `validator:` key."""

from degre_pipeline.validation.log_support_page import LogSupportPage
from degre_pipeline.validation.validator import (
    InvalidTableError,
    PartValidator,
    RequestLogValidator,
    TableValidator,
)

__all__ = ["InvalidTableError", "LogSupportPage", "PartValidator", "RequestLogValidator", "TableValidator"]
