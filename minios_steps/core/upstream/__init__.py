"""Upstream's releases: found, verified, and kept apart from the pinned ones until somebody pins them."""
