"""What the steps do, as plain Python: nothing here imports Buildbot or Twisted."""
