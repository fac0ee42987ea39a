"""What every client of web servers shares: which URLs, what went wrong, and when to try again."""
