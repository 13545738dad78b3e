"""Clinics, providers, visit types and their lists as this process knows them, until the streams say that they changed."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from domain.clinics import Provider
from services.live.trust import Trust

KEPT_MAX: Final[dict[str, int]] = {"clinic": 20_000, "provider": 20_000, "visit type": 1_000}
CLINICS_MAX: Final = 2_000
LISTS_MAX: Final = 200
ALL_LISTS_MAX: Final = 20_000


class ProcessCatalog:
    """Kept only what the streams tell changes of: providers who work somewhere, visit types that such a provider offers.

    What was read while something changed is not kept. Filled from the primary only (adapters.postgres.standing).
    """

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._changes = 0
        self._kept: dict[str, OrderedDict[int, Any]] = {kind: OrderedDict() for kind in KEPT_MAX}
        self._lists: OrderedDict[int, dict[Hashable, Any]] = OrderedDict()
        self._listed = 0  # Of all clinics together.
        self._working: dict[int, set[int]] = {}  # Kept providers by clinic.
        self._offered: set[int] | None = set()

    def ticket(self) -> int | None:
        """To be had before a read; None where nothing would be kept: it may as well go to a replica."""
        return None if self._trust.now() is None else self._changes

    def find(self, kind: str, keys: Sequence[int]) -> dict[int, Any]:
        """Those that are known."""
        if self._trust.now() is None:
            return {}
        kept = self._kept[kind]
        return {key: kept[key] for key in keys if key in kept}

    def learn(self, ticket: int | None, kind: str, found: Mapping[int, Any]) -> None:
        if ticket != self._changes:
            return
        kept = self._kept[kind]
        for key, one in found.items():
            if self._is_told_of(kind, key, one):
                kept[key] = one
                if kind == "provider":
                    self._note(one)
        while len(kept) > KEPT_MAX[kind]:
            kept.popitem(last=False)
            self._offered = None

    def find_lists(self, clinic_keys: Sequence[int], name: Hashable) -> dict[int, Any]:
        """Lists of that name of the clinics where it is known."""
        if self._trust.now() is None:
            return {}
        lists = self._lists
        return {key: lists[key][name] for key in clinic_keys if key in lists and name in lists[key]}

    def learn_lists(self, ticket: int | None, name: Hashable, found: Mapping[int, Any]) -> None:
        if ticket != self._changes:
            return
        for clinic_key, one in found.items():
            lists = self._lists.setdefault(clinic_key, {})
            if len(lists) >= LISTS_MAX:
                self._listed -= len(lists)
                lists.clear()
            self._listed += name not in lists
            lists[name] = one
            while len(self._lists) > CLINICS_MAX or self._listed > ALL_LISTS_MAX:
                self._listed -= len(self._lists.popitem(last=False)[1])

    def drop(self, clinic_key: int, provider_key: int | None = None) -> None:
        """A provider has changed as far as the clinic is told, or more than that; with either the visit types may have."""
        self._changes += 1
        self._listed -= len(self._lists.pop(clinic_key, ()))
        self._kept["visit type"].clear()
        self._offered = None
        providers = self._kept["provider"]
        if provider_key is not None:
            providers.pop(provider_key, None)
            return
        self._kept["clinic"].pop(clinic_key, None)
        for key in self._working.pop(clinic_key, ()):
            providers.pop(key, None)

    def forget(self) -> None:
        self._changes += 1
        for kept in self._kept.values():
            kept.clear()
        self._lists.clear()
        self._listed = 0
        self._working.clear()
        self._offered = set()

    def _is_told_of(self, kind: str, key: int, one: Any) -> bool:
        """Whether the streams would tell that it changed: no clinic hears of who works nowhere, nor of what nobody offers."""
        if kind == "provider":
            return bool(one.clinic_keys)
        return kind != "visit type" or key in self._all_offered()

    def _all_offered(self) -> set[int]:
        if self._offered is None:
            self._offered = {key for one in self._kept["provider"].values() for key in one.visit_type_keys}
        return self._offered

    def _note(self, provider: Provider) -> None:
        if self._offered is not None:
            self._offered.update(provider.visit_type_keys)
        for clinic_key in provider.clinic_keys:
            self._working.setdefault(clinic_key, set()).add(provider.key)
