"""What is sent: choices side by side, whole or as a stream of events, with log-probabilities."""
