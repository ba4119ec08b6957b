"""This file is about which events the filters of `docker events` let through.

Keys that mean nothing are no error, and let everything through; so does a key without values.
"""

from __future__ import annotations

from moby.core.errors import InvalidParameter
from moby.core.events import Event
from moby.core.filters import Filters
from moby.core.reference import parse_reference

_NAMED = ("config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume")
# Their actions say more behind a colon, and may be asked for without that.
_LONGER = frozenset({"health_status", "exec_create", "exec_start"})


def event_matches(event: Event, filters: Filters) -> bool:
    """Does every key let this event through?"""
    return all(_lets_through(key, filters.values(key), filters, event) for key in filters)


def _lets_through(key: str, values: list[str], filters: Filters, event: Event) -> bool:
    attributes = event.actor.attributes
    if not values:
        return True
    match key:
        case "event":
            begins = bool(_LONGER.intersection(values))
            return event.action in values or (begins and event.action.startswith(tuple(values)))
        case "type":
            return event.type in values
        case "scope":
            return event.scope in values
        case "label":
            return filters.labels_match("label", attributes)
        case "image":
            named = attributes.get("name" if event.type == "image" else "image", "")
            return any(name in values for one in (event.actor.id, named) for name in (one, _repository(one)))
        case _ if key in _NAMED:
            # Of events of every type: what a container was connected to has a name as well.
            begins_with = tuple(values)
            return event.actor.id.startswith(begins_with) or attributes.get("name", "").startswith(
                begins_with
            )
        case _:
            return True


def _repository(image: str) -> str:
    """Its name as users write it, without a tag."""
    try:
        return parse_reference(image).familiar_name
    except InvalidParameter:
        return image
