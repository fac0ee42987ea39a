"""musl beside a compiler that was made for glibc: where it comes from, and how it is put there."""
