"""The report page: what it shows (model), how it is written (page), how figures are drawn (plots, axis)."""
