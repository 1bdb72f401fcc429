"""Networks that are trained here: what they are written to, and what reads them back."""
