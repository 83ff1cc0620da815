"""What there is to run on, and what fits there.

`node_book.py` knows the nodes; `needs.py` turns requests into shapes and classes that placement counts in; `room.py` counts the
workers that fit on each node, `gang.py` spreads a job over them, `placer.py` takes the places; `fit_memo.py` remembers what had
no room.
"""
