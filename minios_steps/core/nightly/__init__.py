"""The nightly: what it tests again, what it need not do again, and what it tells in the morning."""
