"""The service from outside: `connect.py` finds it, `client.py` asks, over `connection.py`; `waiting.py` follows a job."""
