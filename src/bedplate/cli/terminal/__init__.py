"""What the verbs share at the terminal: output, progress, options, closing words."""
