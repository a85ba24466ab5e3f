"""Several runs side by side: from their reports, what differs between them and how surely."""
