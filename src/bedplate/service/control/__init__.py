"""The control service's HTTP API: routes, access, errors. What each call does is `app/control/calls/api.py`."""
