"""The web service: requests over HTTP, answered by the model that the registry calls champion."""
