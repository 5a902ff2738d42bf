"""The served model, and the web service around it."""
