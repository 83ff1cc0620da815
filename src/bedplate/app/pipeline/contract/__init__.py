"""What a use case is given and gives back, and the tools that every use case may use."""
