"""Where the demo's clinics stand: every zone of the United States, and some abroad whose clocks are odd."""

from typing import Final, NamedTuple


class Place(NamedTuple):
    """`phone`: E.164 up to the last two digits, from ranges kept for fiction; empty where a country keeps none."""

    city: str
    region: str
    postal_code: str
    zone: str
    latitude: float
    longitude: float
    phone: str
    country: str = "US"


def _us(city: str, region: str, postal_code: str, zone: str, latitude: float, longitude: float, area: int) -> Place:
    return Place(city, region, postal_code, f"America/{zone}", latitude, longitude, f"+1{area}55501")


# In this order, so that a small demo has variety too. The large ones come again where more clinics are wanted.
LARGE: Final = (
    _us("New York", "NY", "10001", "New_York", 40.7484, -73.9857, 212),
    _us("Chicago", "IL", "60601", "Chicago", 41.8837, -87.6489, 312),
    _us("Denver", "CO", "80202", "Denver", 39.7420, -104.9915, 303),
    _us("Los Angeles", "CA", "90012", "Los_Angeles", 34.0522, -118.2437, 213),
    _us("Phoenix", "AZ", "85004", "Phoenix", 33.4484, -112.0740, 602),
    Place("Honolulu", "HI", "96813", "Pacific/Honolulu", 21.3280, -157.8400, "+180855501"),
    _us("Anchorage", "AK", "99501", "Anchorage", 61.1976, -149.8497, 907),
    _us("Boise", "ID", "83702", "Boise", 43.6050, -116.2223, 208),
    _us("Indianapolis", "IN", "46204", "Indiana/Indianapolis", 39.7684, -86.1581, 317),
    _us("Detroit", "MI", "48226", "Detroit", 42.3614, -83.0958, 313),
    _us("Louisville", "KY", "40202", "Kentucky/Louisville", 38.2127, -85.7285, 502),
    _us("Seattle", "WA", "98101", "Los_Angeles", 47.6262, -122.3221, 206),
    _us("Houston", "TX", "77002", "Chicago", 29.7604, -95.3698, 713),
    _us("Atlanta", "GA", "30303", "New_York", 33.7490, -84.3880, 404),
    _us("Boston", "MA", "02116", "New_York", 42.3401, -71.1089, 617),
    _us("Minneapolis", "MN", "55401", "Chicago", 44.9778, -93.2650, 612),
    _us("Salt Lake City", "UT", "84101", "Denver", 40.7408, -111.8910, 801),
    _us("Portland", "OR", "97205", "Los_Angeles", 45.5152, -122.6584, 503),
    _us("Philadelphia", "PA", "19107", "New_York", 39.9826, -75.1652, 215),
    _us("San Antonio", "TX", "78205", "Chicago", 29.4241, -98.4936, 210),
    _us("San Diego", "CA", "92101", "Los_Angeles", 32.7557, -117.1211, 619),
    _us("Dallas", "TX", "75201", "Chicago", 32.7767, -96.7970, 214),
    _us("Nashville", "TN", "37203", "Chicago", 36.1627, -86.7816, 615),
    _us("Charlotte", "NC", "28202", "New_York", 35.2271, -80.8431, 704),
    _us("Albuquerque", "NM", "87102", "Denver", 35.0844, -106.6504, 505),
    _us("Tucson", "AZ", "85701", "Phoenix", 32.2226, -110.9747, 520),
    _us("Kansas City", "MO", "64106", "Chicago", 39.0697, -94.5586, 816),
    _us("Columbus", "OH", "43215", "New_York", 39.9612, -82.9988, 614),
    _us("Sacramento", "CA", "95814", "Los_Angeles", 38.5816, -121.4744, 916),
    _us("Las Vegas", "NV", "89101", "Los_Angeles", 36.1716, -115.1691, 702),
)

SMALL: Final = (
    Place("Pune", "MH", "411001", "Asia/Kolkata", 18.5204, 73.8567, "", "IN"),
    Place("Adelaide", "SA", "5000", "Australia/Adelaide", -34.9285, 138.6007, "+618555000", "AU"),
    Place("Lord Howe Island", "NSW", "2898", "Australia/Lord_Howe", -31.5290, 159.0710, "+612555000", "AU"),
    Place("Kathmandu", "", "44600", "Asia/Kathmandu", 27.7172, 85.3240, "", "NP"),
    Place("St. John's", "NL", "A1C 1A1", "America/St_Johns", 47.5615, -52.7326, "+170955501", "CA"),
    Place("Dublin", "", "D02", "Europe/Dublin", 53.3398, -6.2603, "+3532091000", "IE"),
    Place("Casablanca", "", "20000", "Africa/Casablanca", 33.5731, -7.5898, "", "MA"),
    Place("San Juan", "PR", "00907", "America/Puerto_Rico", 18.4155, -66.0594, "+178755501"),
    Place("Hagåtña", "GU", "96910", "Pacific/Guam", 13.4650, 144.7520, "+167155501"),
    Place("Hilo", "HI", "96720", "Pacific/Honolulu", 19.7071, -155.0885, "+180855501"),
    _us("Juneau", "AK", "99801", "Juneau", 58.3600, -134.5600, 907),
    _us("Sitka", "AK", "99835", "Sitka", 57.0531, -135.3300, 907),
    _us("Nome", "AK", "99762", "Nome", 64.5051, -165.4000, 907),
    _us("Yakutat", "AK", "99689", "Yakutat", 59.5469, -139.7172, 907),
    _us("Metlakatla", "AK", "99926", "Metlakatla", 55.1257, -131.5665, 907),
    _us("Adak", "AK", "99546", "Adak", 51.8800, -176.6500, 907),
    _us("Knox", "IN", "46534", "Indiana/Knox", 41.2959, -86.6250, 574),
    _us("Winamac", "IN", "46996", "Indiana/Winamac", 41.0514, -86.6031, 574),
    _us("Vincennes", "IN", "47591", "Indiana/Vincennes", 38.6773, -87.5086, 812),
    _us("Petersburg", "IN", "47567", "Indiana/Petersburg", 38.4920, -87.2786, 812),
    _us("Tell City", "IN", "47586", "Indiana/Tell_City", 37.9573, -86.7480, 812),
    _us("Marengo", "IN", "47140", "Indiana/Marengo", 38.3690, -86.3436, 812),
    _us("Vevay", "IN", "47043", "Indiana/Vevay", 38.7600, -85.0772, 812),
    _us("Monticello", "KY", "42633", "Kentucky/Monticello", 36.8298, -84.8491, 606),
    _us("Menominee", "MI", "49858", "Menominee", 45.1200, -87.6240, 906),
    _us("Center", "ND", "58530", "North_Dakota/Center", 47.1164, -101.2996, 701),
    _us("New Salem", "ND", "58563", "North_Dakota/New_Salem", 46.8450, -101.4113, 701),
    _us("Beulah", "ND", "58523", "North_Dakota/Beulah", 47.2634, -101.7779, 701),
    _us("El Paso", "TX", "79901", "Denver", 31.7919, -106.4250, 915),
    _us("Pensacola", "FL", "32502", "Chicago", 30.4413, -87.2169, 850),
    _us("Billings", "MT", "59101", "Denver", 45.7833, -108.5007, 406),
    _us("Cheyenne", "WY", "82001", "Denver", 41.1400, -104.8202, 307),
    _us("Spokane", "WA", "99201", "Los_Angeles", 47.6588, -117.4260, 509),
    _us("Fargo", "ND", "58102", "Chicago", 46.8772, -96.8098, 701),
    _us("Omaha", "NE", "68102", "Chicago", 41.2565, -95.9645, 402),
    _us("Burlington", "VT", "05401", "New_York", 44.4659, -73.1921, 802),
    _us("Portland", "ME", "04101", "New_York", 43.6691, -70.2853, 207),
    _us("Richmond", "VA", "23219", "New_York", 37.5507, -77.4360, 804),
    _us("Tampa", "FL", "33602", "New_York", 27.9706, -82.4572, 813),
    _us("Pittsburgh", "PA", "15222", "New_York", 40.4506, -79.9759, 412),
    _us("Buffalo", "NY", "14202", "New_York", 42.9064, -78.8484, 716),
    _us("Cleveland", "OH", "44114", "New_York", 41.4693, -81.6844, 216),
    _us("Milwaukee", "WI", "53202", "Chicago", 43.0389, -87.9465, 414),
    _us("Des Moines", "IA", "50309", "Chicago", 41.5868, -93.6250, 515),
    _us("Sioux Falls", "SD", "57104", "Chicago", 43.5446, -96.7311, 605),
)


def placed(count: int) -> list[Place]:
    """One place for each of `count` clinics: large and small in turn at first, then the large ones again and again."""
    turns = [place for pair in zip(LARGE, SMALL, strict=False) for place in pair] + list(SMALL[len(LARGE) :])
    while len(turns) < count:
        turns.extend(LARGE)
    return turns[:count]
