"""What a new worker's machine is: asked by a script, read from the bytes it made, and judged."""
