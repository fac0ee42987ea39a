"""The configuration folder, read and checked: see `load.load_project`."""
