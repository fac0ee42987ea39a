"""A pinned release's source: fetched, verified, cached, patched and repacked."""
