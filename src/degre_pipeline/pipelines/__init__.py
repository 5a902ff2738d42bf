"""The Kedro pipelines: what runs, in which order; they meet only in the catalog."""
