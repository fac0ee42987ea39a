"""A client of OCI registries (distribution-spec 1.1): exact bytes, checked digests, bounded patience."""
