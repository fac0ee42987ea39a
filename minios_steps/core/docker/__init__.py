"""Images by a Docker engine on a worker: what it is told, and what it answers. Nothing here runs anything."""
