"""The API's description as a page: HTML that needs no script and no network. Pure.

It is made of the OpenAPI document alone, so it says what that says.
"""

import html
from collections.abc import Iterator
from typing import Any

_STYLE = """
:root {
  --ink: #1d2430; --soft: #5a6575; --line: #dde2ea; --paper: #ffffff; --code: #f4f6f9;
  --accent: #0b6e69; --get: #1f6feb; --post: #0b6e69; --delete: #b42318;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ee; --soft: #9aa5b4; --line: #2c3440; --paper: #12161c; --code: #1a2028;
    --accent: #4cc3bb; --get: #6ca8ff; --post: #4cc3bb; --delete: #ff8a80;
  }
}
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper); font: 16px/1.55 system-ui, sans-serif; }
.layout { display: grid; grid-template-columns: 17rem minmax(0, 1fr); max-width: 80rem; margin: 0 auto; }
nav { position: sticky; top: 0; align-self: start; height: 100vh; overflow: auto; padding: 2rem 1.5rem; }
nav { font-size: .875rem; }
nav h2 { font-size: .875rem; color: var(--soft); margin: 1.5rem 0 .5rem; }
nav a { display: block; padding: .2rem 0; color: var(--ink); text-decoration: none; }
nav a:hover, a:focus { color: var(--accent); text-decoration: underline; }
main { padding: 2rem 2rem 6rem; border-left: 1px solid var(--line); }
h1 { font-size: 1.75rem; margin: 0 0 .25rem; }
section { padding-top: 1.75rem; margin-top: 1.75rem; border-top: 1px solid var(--line); }
h2 { font-size: 1.125rem; margin: 0; display: flex; gap: .75rem; align-items: baseline; flex-wrap: wrap; }
h3 { font-size: .875rem; color: var(--soft); font-weight: 600; margin: 1.25rem 0 .25rem; }
p { margin: .35rem 0; max-width: 44rem; }
.soft { color: var(--soft); }
code, pre { font-family: ui-monospace, monospace; font-size: .875em; }
pre { background: var(--code); padding: .75rem 1rem; border-radius: .5rem; overflow: auto; }
.verb { font: 700 .75rem ui-monospace, monospace; }
.get { color: var(--get); }
.post { color: var(--post); }
.delete { color: var(--delete); }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
td, th { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; }
td, th { border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td:first-child { white-space: nowrap; }
td a, p a, h3 a { color: var(--accent); }
@media (max-width: 50rem) {
  .layout { display: block; }
  nav { position: static; height: auto; padding-bottom: 0; columns: 2; }
  nav h2 { break-after: avoid; margin-top: 0; }
  main { border: 0; padding: 1.5rem; }
  td:first-child { white-space: normal; }
}
"""

Node = dict[str, Any]


def render(document: Node) -> str:
    """Return the page of an OpenAPI document."""
    info = document["info"]
    listed = list(_operations(document))
    schemas = document["components"]["schemas"]
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width, initial-scale=1">',
        f"<title>{_text(info['title'])} API</title><style>{_STYLE}</style></head><body><div class=layout>",
        f"<nav aria-label=Contents>{_contents(listed, schemas)}</nav><main>",
        f"<h1>{_text(info['title'])} API</h1>",
        f"<p class=soft>Version {_text(info['version'])}</p><p>{_text(info['description'])}</p>",
        "<p>Each request carries a key in the header <code>Api-Key</code>, or a token where the index takes "
        "some. For programs: "
        '<a href="openapi.json">openapi.json</a>.</p>',
        _common(listed),
        *(_operation(*one) for one in listed),
        *(_schema(name, schema) for name, schema in schemas.items()),
        "</main></div></body></html>",
    ]
    return "".join(parts)


def _operations(document: Node) -> Iterator[tuple[str, str, Node]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _contents(listed: list[tuple[str, str, Node]], schemas: Node) -> str:
    calls = "".join(
        f'<a href="#{_text(one["operationId"])}">{_verb(method)} {_text(path)}</a>'
        for method, path, one in listed
    )
    kinds = "".join(f'<a href="#schema-{_text(name)}">{_text(name)}</a>' for name in schemas)
    return f"<h2>Calls</h2>{calls}<h2>Schemas</h2>{kinds}"


def _common(listed: list[tuple[str, str, Node]]) -> str:
    """Return what all operations have alike: header fields, and refusals."""
    operation = listed[0][2]
    headers = [one for one in operation["parameters"] if one["in"] == "header"]
    refusals = sorted((code, one) for code, one in operation["responses"].items() if code >= "300")
    rows = "".join(
        f"<tr><td><code>{code}</code></td><td>{_text(one['description'])}</td></tr>" for code, one in refusals
    )
    problem = _type(refusals[0][1]["content"]["application/json"]["schema"])
    return (
        f"<section id=common><h2>Every call</h2><h3>Header fields, where you like</h3>{_parameters(headers)}"
        f"<h3>Refusals and failures: {problem}</h3><div class=table><table>{rows}</table></div></section>"
    )


def _operation(method: str, path: str, operation: Node) -> str:
    parts = [
        f'<section id="{_text(operation["operationId"])}">',
        f"<h2>{_verb(method)} <code>{_text(path)}</code></h2>",
        f"<p>{_text(operation['summary'])}.</p><p class=soft>{_marked(operation['description'])}</p>",
    ]
    own = [one for one in operation["parameters"] if one["in"] != "header"]
    if own:
        parts.append(f"<h3>Path and query</h3>{_parameters(own)}")
    if "requestBody" in operation:
        parts.append(f"<p>Takes {_content(operation['requestBody'])}.</p>")
    parts += [
        f"<p>Answers {_content(one)}.</p>" for code, one in operation["responses"].items() if code < "300"
    ]
    if example := operation.get("x-example"):
        sent = f'curl -H "Api-Key: $KEY" $HOST{example}'
        parts.append(f"<pre><code>{_text(sent)}</code></pre>")
    return "".join([*parts, "</section>"])


def _content(body: Node) -> str:
    ((kind, content),) = body["content"].items()
    known = _type(content["schema"]) if "$ref" in content["schema"] else ""
    if known and kind == "application/json":
        return known
    return f"<code>{_text(kind)}</code>" + (f" of {known}" if known else "")


def _parameters(parameters: list[Node]) -> str:
    rows = "".join(
        _row(one["name"], one["schema"], one.get("description", ""), required=one.get("required", False))
        for one in parameters
    )
    return f"<div class=table><table><tr><th>Name<th>Type<th>What</tr>{rows}</table></div>"


def _schema(name: str, schema: Node) -> str:
    parts = [f'<section id="schema-{_text(name)}"><h2>{_text(name)}</h2>']
    parts.append(f"<p>{_marked(schema.get('description', ''))}</p>")
    required = schema.get("required", ())
    rows = "".join(
        _row(field, inner, "", required=field in required)
        for field, inner in schema.get("properties", {}).items()
    )
    if rows:
        parts.append(f"<div class=table><table><tr><th>Field<th>Type<th>What</tr>{rows}</table></div>")
    return "".join([*parts, "</section>"])


def _row(name: str, schema: Node, about: str, *, required: bool) -> str:
    needed = " <span class=soft>needed</span>" if required else ""
    said = " ".join(filter(None, (about or _about(schema), _bounds(schema))))
    cells = (f"<code>{_text(name)}</code>{needed}", _type(schema), _marked(said))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _inner(schema: Node) -> Node:
    """Return a schema without its null."""
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return options[0] if len(options) == 1 else schema


def _about(schema: Node) -> str:
    return str(schema.get("description") or _inner(schema).get("description", ""))


def _bounds(schema: Node) -> str:
    found = _inner(schema)
    said = []
    for least, most, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " of them"),
    ):
        low, high = found.get(least), found.get(most)
        if high is not None and low == high:
            said.append(f"({high:,}{unit})")
        elif low is not None and high is not None:
            said.append(f"({low:,} to {high:,}{unit})")
        elif high is not None:
            said.append(f"(at most {high:,}{unit})")
        elif low is not None:
            said.append(f"(at least {low:,}{unit})")
    return " ".join(said)


def _type(schema: Node) -> str:
    found = _inner(schema)
    if "$ref" in found:
        name = _text(found["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in found:
        return " or ".join(_type(one) for one in found["anyOf"] if one.get("type") != "null")
    if "enum" in found:
        return " or ".join(f"<code>{_text(str(one))}</code>" for one in found["enum"])
    return _plain_type(found)


def _plain_type(found: Node) -> str:
    match found.get("type"):
        case "array":
            return f"list of {_type(found.get('items', {}))}"
        case "object":
            of = found.get("additionalProperties")
            return f"object of {_type(of)}" if isinstance(of, dict) else "object"
        case str(kind):
            return _text(kind)
        case _:
            return "anything"


def _verb(method: str) -> str:
    return f'<span class="verb {_text(method)}">{_text(method.upper())}</span>'


def _marked(text: str) -> str:
    """Return a text whose `code` is marked as such."""
    pieces = _text(text).split("`")
    return "".join(f"<code>{one}</code>" if number % 2 else one for number, one in enumerate(pieces))


def _text(text: str) -> str:
    return html.escape(text)
