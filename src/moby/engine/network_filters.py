"""This file is about filters on networks: of lists, and of what a prune may remove."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from moby.core.errors import InvalidParameter
from moby.core.filters import Filters
from moby.core.networks import Network

PREDEFINED = frozenset({"bridge", "host", "none"})
_OF_LISTS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_OF_PRUNES = frozenset({"label", "label!", "until"})
_KINDS = ("builtin", "custom")

Used = Callable[[Network], bool]


def list_filter(filters: Filters, used: Used) -> Callable[[Network], bool]:
    """Says which networks a list shows; `used` says of a network whether somebody is on it.

    Raises InvalidParameter.
    """
    filters.check(_OF_LISTS)
    dangling = _dangling(filters)
    if bad := [value for value in filters.values("type") if value not in _KINDS]:
        raise InvalidParameter(f"invalid filter: 'type'='{bad[0]}'")

    def matches(network: Network) -> bool:
        predefined = network.name in PREDEFINED
        return (
            (not filters.values("driver") or network.driver in filters.values("driver"))
            and filters.text_matches("name", network.name)
            and filters.text_matches("id", network.id)
            and (not filters.values("scope") or network.scope in filters.values("scope"))
            and filters.labels_match("label", network.labels)
            and (not filters.values("type") or _KINDS[not predefined] in filters.values("type"))
            and (dangling is None or (not predefined and not used(network)) == dangling)
        )

    return matches


def prune_filter(filters: Filters, used: Used) -> Callable[[Network], bool]:
    """Says which networks a prune removes. Raises InvalidParameter."""
    filters.check(_OF_PRUNES)
    if len(filters.values("until")) > 1:
        raise InvalidParameter("more than one until filter specified")
    until = [Filters.moment(text) for text in filters.values("until")]

    def matches(network: Network) -> bool:
        return (
            network.name not in PREDEFINED
            and not network.config_only
            and not used(network)
            and all(datetime.fromisoformat(network.created) <= moment for moment in until)
            and filters.labels_match("label", network.labels)
            and not ("label!" in filters and filters.labels_match("label!", network.labels))
        )

    return matches


def _dangling(filters: Filters) -> bool | None:
    values = filters.values("dangling")
    if not values:
        return None
    if len(values) > 1:
        raise InvalidParameter('got more than one value for filter key "dangling"')
    if values and values[0] in ("0", "false"):
        return False
    if values and values[0] in ("1", "true"):
        return True
    raise InvalidParameter(
        'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")'
    )
