"""The served model: raw requests in, ordered lists out, packed so that plain MLflow loads it."""
