"""Languages: which one is used, and the gettext catalogues `LANGUAGE/LC_MESSAGES/bedplate.po` behind it."""
