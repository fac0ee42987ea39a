"""The worker bundle: one file that makes a bare machine a worker."""
