"""How each kind of device is programmed: one record a vendor (`core.backends.Backend`), one line in `registry.py`.

A new kind of device is one file here. People add theirs without touching bedplate: `BEDPLATE_BACKENDS=my.package:BACKEND`.
"""
