"""What data must look like: Great Expectations behind the catalog's `validator:` key."""

from .validator import InvalidTableError, RequestLogValidator, TableValidator

__all__ = ["InvalidTableError", "RequestLogValidator", "TableValidator"]
