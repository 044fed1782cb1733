"""Labels, network tags and gstack's own marks as CloudStack resource tags.

Apart because everything that has labels keeps them this way. Three kinds share an object's tags: a label
is a tag of its own name; a network tag is a key ``gstack-tag:<tag>``; gstack's marks are keys
``gstack:<name>``. All others are foreign: hidden, never touched. The surprising thing: CloudStack refuses
empty values, characters beyond the basic plane and control characters, silently cuts at 255, and takes
``env``, ``ENV`` and ``énv`` for one key. So values are encoded, lengths are checked, and clashes are found
before anything is sent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gstack.errors import GceError, invalid

Row = Mapping[str, Any]
Tag = dict[str, str]

NETWORK_TAG = "gstack-tag:"
OWN = "gstack:"
LONGEST = 255  # of a key and of a value; CloudStack cuts without a word
LONGEST_LABEL = 63
MOST_LABELS = 64

_EMPTY = "="
_PRESENT = "true"
_ESCAPE = re.compile(r"=([0-9a-f]{1,6});")


@dataclass(frozen=True)
class Changes:
    """What brings an object's tags to what is wanted: first ``delete``, then ``create``; both are lists for
    the parameter ``tags`` of deleteTags and createTags. Empty ones must not be sent: deleteTags without
    tags deletes all.
    """

    delete: list[Tag]
    create: list[Tag]

    def __bool__(self) -> bool:
        return bool(self.delete or self.create)


def encode(text: str) -> str:
    """``text`` as CloudStack can keep it: ``=`` for nothing, ``=1f600;`` for a character it refuses."""
    if not text:
        return _EMPTY
    kept = "".join(f"={ord(one):x};" if _refused(one) else one for one in text)
    # Comparisons ignore spaces at the end.
    return kept[:-1] + "=20;" if kept.endswith(" ") else kept


def decode(text: str) -> str:
    """The inverse of :func:`encode`; what gstack did not write comes back as it is."""
    if text == _EMPTY:
        return ""
    return _ESCAPE.sub(lambda found: _character(found), text)


def is_label(key: str, value: str) -> bool:
    """Whether GCE would accept this as a label: up to 63 lower-case letters (of any script), digits, ``_``
    and ``-``; the key begins with a letter."""
    return (
        0 < len(key) <= LONGEST_LABEL
        and len(value) <= LONGEST_LABEL
        and _is_letter(key[0])
        and all(map(_is_label_character, key + value))
    )


def labels(tags: Iterable[Row]) -> dict[str, str]:
    """The labels among an object's tags, in order of key."""
    found = {}
    for key, value in _pairs(tags):
        if is_label(key, value):
            found[key] = value
    return dict(sorted(found.items()))


def network_tags(tags: Iterable[Row]) -> list[str]:
    """The network tags among an object's tags, in order."""
    return sorted(key.removeprefix(NETWORK_TAG) for key, _ in _pairs(tags) if key.startswith(NETWORK_TAG))


def own_values(tags: Iterable[Row]) -> dict[str, str]:
    """gstack's own marks among an object's tags: ``{"family": "debian-12"}`` for ``gstack:family``."""
    return {key.removeprefix(OWN): value for key, value in _pairs(tags) if key.startswith(OWN)} if tags else {}


def check_labels(wanted: Mapping[str, str], location: str = "labels") -> None:
    """Raise GceError invalid, naming the field, for labels that GCE would refuse."""
    if len(wanted) > MOST_LABELS:
        raise GceError("invalid", f"At most {MOST_LABELS} labels are allowed.", location=location)
    rule = "up to 63 lower-case letters, digits, '_' or '-'"
    for key, value in wanted.items():
        if not is_label(key, ""):
            raise invalid(location, key, f"A label's key has {rule} and begins with a letter.")
        if not is_label("a", value):
            raise invalid(f"{location}.{key}", value, f"A label's value has {rule}.")


def plan_labels(tags: Iterable[Row], wanted: Mapping[str, str], location: str = "labels") -> Changes:
    """What makes ``wanted`` the labels of an object that has ``tags``. Raises GceError invalid or
    alreadyExists."""
    check_labels(wanted, location)
    return plan_changes(tags, wanted, lambda key, value: is_label(key, value), location)


def plan_network_tags(tags: Iterable[Row], wanted: Iterable[str]) -> Changes:
    """What makes ``wanted`` the network tags of an object that has ``tags``."""
    marked = {NETWORK_TAG + tag: _PRESENT for tag in wanted}
    return plan_changes(tags, marked, lambda key, _: key.startswith(NETWORK_TAG), "tags.items")


def plan_own(tags: Iterable[Row], wanted: Mapping[str, str | None]) -> Changes:
    """What sets gstack's marks of these names, or takes them away where the value is None; others stay."""
    marked = {OWN + name: value for name, value in wanted.items() if value is not None}
    named = {OWN + name for name in wanted}
    return plan_changes(tags, marked, lambda key, _: key in named)


def plan_changes(
    tags: Iterable[Row],
    wanted: Mapping[str, str],
    ours: Callable[[str, str], bool],
    location: str = "labels",
) -> Changes:
    """The fewest deletions and creations that turn those of an object's tags that are ``ours`` (a question
    about the decoded key and value) into ``wanted`` (decoded).

    Raises GceError alreadyExists when a wanted key is, for CloudStack, the same as another wanted or a
    foreign one, and invalid when a key or value is too long for it.
    """
    # A tag made with another tool may have a null key; only deleting all tags would remove it.
    present = {str(tag["key"]): str(tag.get("value", "")) for tag in tags if tag.get("key") is not None}
    target = {_checked(key, location): _checked(value, location) for key, value in wanted.items()}
    mine = {key for key, value in present.items() if ours(decode(key), decode(value))}
    _refuse_clashes(target, present.keys() - mine, location)
    delete = [key for key in present if key in mine and present[key] != target.get(key)]
    create = [key for key in target if present.get(key) != target[key]]
    return Changes(
        [{"key": key} for key in delete],
        [{"key": key, "value": target[key]} for key in create],
    )


def join(*plans: Changes) -> Changes:
    """Several plans for one object as one: labels and network tags in two calls instead of four."""
    return Changes([tag for plan in plans for tag in plan.delete], [tag for plan in plans for tag in plan.create])


def new_tags(labels: Mapping[str, str], own: Mapping[str, str], location: str = "labels") -> list[Tag]:
    """The tags of an object that is being made: its labels, which ``location`` has, and gstack's marks."""
    return join(plan_labels((), labels, location), plan_own((), own)).create


def same_key(key: str) -> str:
    """What CloudStack's database compares keys by: no case, no accents, no spaces at the end."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", key) if not unicodedata.combining(one))
    return bare.casefold().rstrip(" ")


def _refuse_clashes(target: Mapping[str, str], foreign: Iterable[str], location: str) -> None:
    others = {same_key(key): key for key in foreign}
    for key in target:
        other = others.get(same_key(key))
        if other is not None:
            raise GceError(
                "alreadyExists",
                f"The key '{decode(key)}' in '{location}' cannot be told apart from '{decode(other)}', which "
                "is there already: CloudStack's tags ignore case and accents.",
                location=location,
            )
        others[same_key(key)] = key


def _checked(text: str, location: str) -> str:
    encoded = encode(text)
    if len(encoded) > LONGEST:
        raise invalid(location, text[:40] + "…", f"CloudStack keeps at most {LONGEST} characters of a tag.")
    return encoded


def _pairs(tags: Iterable[Row]) -> Iterable[tuple[str, str]]:
    for tag in tags:
        if tag.get("key") is not None:
            yield decode(str(tag["key"])), decode(str(tag.get("value", "")))


def _refused(character: str) -> bool:
    return character == "=" or character > "\uffff" or unicodedata.category(character) in ("Cc", "Cs")


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    surrogate = 0xD800 <= code <= 0xDFFF  # not a character by itself, and no JSON can hold it
    return chr(code) if code <= 0x10FFFF and not surrogate else found[0]


def _is_letter(character: str) -> bool:
    return unicodedata.category(character) in ("Ll", "Lo")


def _is_label_character(character: str) -> bool:
    return character in "_-" or unicodedata.category(character) in ("Ll", "Lo", "Nd", "Nl", "No")
