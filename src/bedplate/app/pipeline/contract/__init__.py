"""What a use case is given and returns, and the tools that every use case may use."""
