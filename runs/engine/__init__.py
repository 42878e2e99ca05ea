"""What workers do: lease trials, call, score, record. `host` is the way in; nothing here serves a page."""
