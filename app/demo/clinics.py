"""The demo's clinics and their patients, as rows to be written."""

from datetime import date, timedelta
from random import Random
from typing import Any

from app.demo import names
from app.demo.places import Place, placed


def clinics(seed: int, count: int) -> list[dict[str, Any]]:
    """Where places come again, the clinics there lie a little apart."""
    seen: dict[str, int] = {}
    used: set[str] = set()
    found = []
    for number, place in enumerate(placed(count)):
        random = Random(f"{seed}:clinic:{number}")
        again = seen[place.city] = seen.get(place.city, -1) + 1
        street = names.street(random)
        name = names.practice(random, street, place.city)
        while name in used and count < 2000:
            street = names.street(random)
            name = names.practice(random, street, place.city)
        used.add(name)
        found.append(_clinic(random, place, name, street, again))
    return found


def _clinic(random: Random, place: Place, name: str, street: str, again: int) -> dict[str, Any]:
    apart = 0.025 if again else 0.0
    return {
        "name": name,
        "time_zone": place.zone,
        "address_lines": [f"{random.randrange(1, 400) * 5} {street}", *_suite(random)],
        "city": place.city,
        "region": place.region or None,
        "postal_code": place.postal_code,
        "country": place.country,
        "latitude": round(place.latitude + random.uniform(-apart, apart), 5),
        "longitude": round(place.longitude + random.uniform(-apart, apart), 5),
        "phone": f"{place.phone}{again % 100:02d}" if place.phone else None,
    }


def _suite(random: Random) -> list[str]:
    return [f"Suite {random.randrange(1, 9) * 100 + random.randrange(1, 30)}"] if random.random() < 0.4 else []


def patients(seed: int, count: int, clinic_keys: list[int], today: date) -> list[dict[str, Any]]:
    """Spread evenly over the clinics. Addresses lead nowhere: example.com and example.org, and numbers kept for fiction."""
    found = []
    for number in range(count):
        random = Random(f"{seed}:patient:{number}")
        name = names.person(random)
        plain = name.lower().translate(_PLAIN).replace(" ", ".")
        domain = random.choice(("example.com", "example.org"))
        found.append(
            {
                "name": name,
                "birth_date": today - timedelta(days=random.randrange(200, 33_000)),
                "email": f"{plain}.{number}@{domain}" if random.random() < 0.85 else None,
                "phone": f"+1{random.randrange(2, 9)}{random.randrange(2, 9)}{random.randrange(2, 9)}55501{number % 100:02d}"
                if random.random() < 0.75
                else None,
                "clinic": clinic_keys[number % len(clinic_keys)],
            }
        )
    return found


_PLAIN = str.maketrans("áéíóúñå", "aeiouna")
