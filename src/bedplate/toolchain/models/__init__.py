"""Models: the decoder that everything here trains, compresses and serves, and where its files come from."""
