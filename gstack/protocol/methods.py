"""Which method of the API is answered by which function, and which is refused by design.

Apart so that a handler is found by grepping for its method id and a typo fails at import. ``HANDLERS`` and
``REFUSED`` are registries: filled while the rooms are imported, read-only afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gstack.protocol.call import Call
from gstack.protocol.discovery import Method, document
from gstack.protocol.policy import Policy

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Handler:
    """A function bound to its method.

    ``needs`` names the CloudStack commands without which it cannot work; ``public``: image projects, which
    belong to nobody, may be asked as well.
    """

    method: Method
    function: Callable[[Call], Any]
    needs: tuple[str, ...]
    body: Policy | None
    public: bool = False

    def __call__(self, call: Call) -> Any:
        """Run the function."""
        return self.function(call)


HANDLERS: dict[str, Handler] = {}
REFUSED: dict[str, str] = {}


def method(
    method_id: str, *, needs: tuple[str, ...] = (), body: Policy | None = None, public: bool = False
) -> Callable[[Function], Function]:
    """Bind a function to ``method_id``.

    A method that takes a body needs a policy, so that no member is ever dropped in silence. Raises ValueError
    at import for an unknown or doubly bound id and for a policy that does not fit the method's request.
    """
    found = _free(method_id)
    if (body is None) != (found.request is None):
        raise ValueError(f"{method_id}: its request is {found.request}, its policy {body}")
    if body is not None:
        body.bind(str(found.request))

    def bind(function: Function) -> Function:
        HANDLERS[method_id] = Handler(found, function, needs, body, public)
        return function

    return bind


def refused(method_id: str, reason: str) -> None:
    """Mark a method as refused by design; ``reason`` is a whole sentence, shown to clients and in the
    docs."""
    REFUSED[_free(method_id).id] = reason


def coverage() -> list[tuple[str, str, str]]:
    """Every method of the API as (id, ``served`` | ``refused`` | ``not yet``, reason), sorted by id."""
    return sorted((method_id, *_state(method_id)) for method_id in document().methods)


def _state(method_id: str) -> tuple[str, str]:
    if method_id in HANDLERS:
        return "served", ""
    if method_id in REFUSED:
        return "refused", REFUSED[method_id]
    return "not yet", ""


def _free(method_id: str) -> Method:
    found = document().methods.get(method_id)
    if found is None:
        raise ValueError(f"{method_id} is no method of compute v1")
    if method_id in HANDLERS or method_id in REFUSED:
        raise ValueError(f"{method_id} is bound twice")
    return found
