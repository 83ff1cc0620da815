"""Does it keep running?"""
