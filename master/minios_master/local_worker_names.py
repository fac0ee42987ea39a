"""Names of the workers inside the master, for code that must not import Buildbot."""

LOCAL_PREFIX = "local-"
"""How the names of local workers start."""
COORDINATOR = "coordinator"
"""The local worker that holds the matrix build while it waits."""
