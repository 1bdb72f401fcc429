"""Charts: plain functions from the tidy rows of a data set to altair charts. Each function's name is its chart's."""
