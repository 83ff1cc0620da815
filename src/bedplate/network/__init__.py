"""Does compute wait for the network?"""
