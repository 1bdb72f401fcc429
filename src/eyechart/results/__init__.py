"""Records on disk, the tidy table made of them, and how sure their numbers are."""
