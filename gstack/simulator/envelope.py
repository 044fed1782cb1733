"""How an answer looks on the wire: the wrapper, JSON, and XML for those who ask for nothing better.

Apart, because only this file knows the two encodings. Surprising: an error in XML loses its uuidList and
cserrorcode, and empty lists vanish from XML while JSON shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

import orjson

from .errors import ApiError

VERSION = "4.22.0.0-SNAPSHOT"
JSON = "application/json;charset=utf-8"
XML = "text/xml;charset=utf-8"


def render(wrapper: str, body: Mapping[str, object], as_json: bool) -> tuple[str, bytes]:
    """Content type and bytes of a success."""
    if as_json:
        return JSON, orjson.dumps({wrapper: body})
    text = f'<?xml version="1.0" encoding="UTF-8"?><{wrapper} cloud-stack-version="{VERSION}">'
    return XML, f"{text}{xml(body)}</{wrapper}>".encode()


def render_error(wrapper: str, error: ApiError, is_root: bool, as_json: bool) -> tuple[str, bytes]:
    text = error.text_for(is_root)
    if not as_json:
        head = '<?xml version="1.0" encoding="UTF-8"?>'
        name = "errorresponse" if error.code in (401, 432) else wrapper
        inner = f"<errorcode>{error.code}</errorcode><errortext>{escape(text)}</errortext>"
        return XML, f"{head}<{name}>{inner}</{name}>".encode()
    body: dict[str, object] = {"uuidList": [{"uuid": key, "description": what} for key, what in error.uuids]}
    body["errorcode"] = error.code
    if error.cs is not None:
        body["cserrorcode"] = error.cs
    body["errortext"] = text
    return JSON, orjson.dumps({wrapper: body})


def xml(value: object) -> str:
    if isinstance(value, Mapping):
        return "".join(xml_field(str(name), item) for name, item in value.items())
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))


def xml_field(name: str, value: object) -> str:
    if isinstance(value, list):
        return "".join(xml_field(name, item) for item in value)
    return f"<{name}>{xml(value)}</{name}>"
