"""Images: reading them, fingerprinting them, splitting them, and views of them."""
