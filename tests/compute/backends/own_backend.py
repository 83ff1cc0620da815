"""A backend of a user's own, for tests."""

from bedplate.core.backends import Backend

BACKEND = Backend(name="secret", vendor="secret", torch_device="cpu", collectives="gloo", environment={"SECRET_MODE": "7"})
NOT_ONE = "a text"
