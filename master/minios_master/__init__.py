"""The ready master around the steps: configurator, embedded master and command line."""
