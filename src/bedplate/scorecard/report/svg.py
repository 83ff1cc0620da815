"""One SVG element as text; everything that comes from outside is escaped here, in one place."""

from __future__ import annotations

from html import escape


def element(name: str, *children: str, css: str = "", text: str = "", title: str = "", **attributes: object) -> str:
    """`<name …>`: `children` are elements already; `css` is the class, `title` the tooltip; numbers to a tenth."""
    written = f' class="{escape(css, quote=True)}"' if css else ""
    for key, value in attributes.items():
        shown = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
        written += f' {key.replace("_", "-")}="{escape(shown, quote=True)}"'
    tooltip = f"<title>{escape(title)}</title>" if title else ""
    return f"<{name}{written}>{tooltip}{escape(text)}{''.join(children)}</{name}>"
