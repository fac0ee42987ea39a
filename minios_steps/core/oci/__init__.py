"""OCI images as bytes: config, manifest, index, and the layout on disk."""
