"""The sign-in and consent pages: plain HTML with two buttons."""

import html
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}}
button{{font:inherit;padding:.5rem 1rem;margin-right:.5rem}}</style>
<h1>{title}</h1><p>{question}</p>
<form method="post">{fields}
<button name="answer" value="yes" id="yes">{yes}</button>
<button name="answer" value="no" id="no">Refuse</button>
</form></html>"""


def page(title: str, question: str, query: str, yes: str) -> HTMLResponse:
    """A form that sends the query back together with the answer."""
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in parse_qsl(query)
    )
    words = {"title": html.escape(title), "question": html.escape(question), "yes": html.escape(yes)}
    return HTMLResponse(_PAGE.format(fields=fields, **words))
