"""Languages: which one is spoken, and the gettext catalogues `LANGUAGE/LC_MESSAGES/bedplate.po` behind it."""
