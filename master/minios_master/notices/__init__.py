"""Who is told when something happens: one message per event, by mail and by webhook."""
