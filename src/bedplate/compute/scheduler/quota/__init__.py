"""What tenants may have (`tenants.py`), hold (`ledger.py`), and how much there is to divide (`capacity.py`)."""
