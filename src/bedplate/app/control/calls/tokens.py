"""Tokens: made at random, shown once, kept as digests.

A token has 192 random bits, so a fast digest is as good as a slow one: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from bedplate.core.errors import UsageError

_PREFIX = "bpc-"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(/[a-z0-9][a-z0-9._-]{0,63}){0,7}")


def new_token() -> str:
    """A token that nobody has."""
    return _PREFIX + secrets.token_urlsafe(24)


def token_digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.blake2b(token.encode(errors="surrogateescape"), digest_size=32).hexdigest()


def check_user_name(name: str) -> None:
    """Refuse what is no name of a user.

    Raises:
        UsageError: It is none.
    """
    _check(_NAME, name, "not the name of a user", "up to 64 of a-z, 0-9, '.', '_', '-', a letter or digit first")


def check_tenant(name: str) -> None:
    """Refuse what is no path of a tenant.

    Raises:
        UsageError: It is none.
    """
    _check(_TENANT, name, "not the name of a tenant", "a path like research/vision: up to 8 names of a-z, 0-9, '.', '_', '-'")


def _check(pattern: re.Pattern[str], text: str, what: str, expected: str) -> None:
    if not pattern.fullmatch(text):
        raise UsageError(what, seen=repr(text[:80]), expected=expected)
