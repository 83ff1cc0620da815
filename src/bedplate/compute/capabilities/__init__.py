"""What known device models can do, by their vendors' published figures, and how fast each is for a kind of job.

models/         the figures: one YAML file a vendor, every entry with its source
capability.py   the record of one model
table.py        the look-up: exact, by what the tools print
figures.py      of one device: what was measured, else what is published, each figure with its provenance
roofline.py     kinds of jobs and the rate that memory and arithmetic allow them
speed.py        relative speed of models for a kind of job, corrected by what jobs achieve
"""
