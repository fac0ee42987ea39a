"""Buildbot steps that turn a BusyBox release into a container image for one CPU."""
