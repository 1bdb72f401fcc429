"""Pages and pictures for people, all of them computed from records."""
