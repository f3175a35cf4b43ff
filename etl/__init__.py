"""Exports -> warehouse. Plain Polars and DuckDB: nothing in here imports Django."""
