"""States of the US and Australia, and the zone of each; where a state has two, the zone of its ZIP prefixes."""

from typing import Final

EASTERN: Final = "America/New_York"
CENTRAL: Final = "America/Chicago"
MOUNTAIN: Final = "America/Denver"
PACIFIC: Final = "America/Los_Angeles"
BOISE: Final = "America/Boise"
PHOENIX: Final = "America/Phoenix"
MENOMINEE: Final = "America/Menominee"
UNKNOWN: Final = ""  # both zones occur under this prefix

ONE_ZONE: Final[dict[str, str]] = {
    code: zone
    for zone, codes in {
        EASTERN: "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
        CENTRAL: "AL AR IA IL LA MN MO MS OK WI",
        MOUNTAIN: "CO MT NM UT WY",
        PACIFIC: "CA WA",
        "Pacific/Honolulu": "HI",
        "America/Puerto_Rico": "PR",
        "America/St_Thomas": "VI",
        "Pacific/Guam": "GU",
        "Pacific/Saipan": "MP",
        "Pacific/Pago_Pago": "AS",
    }.items()
    for code in codes.split()
}


def _zips(zones: dict[str, str]) -> dict[str, str]:
    return {prefix: zone for zone, prefixes in zones.items() for prefix in prefixes.split()}


_NAVAJO: Final = (
    "86033 86044 86045 86053 86503 86504 86505 86507 86510 86511 86514 86515 86535 86538 86540 86544 86545 86547 86556"
)
# The longest prefix counts; "" is the rest of the state. UNKNOWN: the ZIP does not say, so the file must.
BY_ZIP: Final[dict[str, dict[str, str]]] = {
    "AK": {"": "America/Anchorage"} | _zips({"America/Adak": "99546 99547", "America/Metlakatla": "99926"}),
    # The Navajo Nation keeps daylight time, the rest of Arizona does not.
    "AZ": {"": PHOENIX} | _zips({UNKNOWN: "860 865", PHOENIX: "8600 8601 8602 86040 86046 86047", MOUNTAIN: _NAVAJO}),
    "FL": {"": EASTERN} | _zips({CENTRAL: "324 325", EASTERN: "32456 32457"}),
    "ID": {"": BOISE} | _zips({PACIFIC: "835 838", BOISE: "83549"}),
    "IN": {"": "America/Indiana/Indianapolis"}
    | _zips(
        {
            CENTRAL: "463 464 476 477 46534 47922 47943 47948 47951 47963 47977 47978 47586",
            UNKNOWN: "475",
            "America/Indiana/Vincennes": "47501 47546 47591",
            "America/Indiana/Petersburg": "47567",
        }
    ),
    "KS": {"": CENTRAL} | _zips({MOUNTAIN: "67733 67735 67758 67836 67857 67878 67879"}),
    "KY": {"": EASTERN}
    | _zips(
        {
            CENTRAL: "420 421 422 423 424 40111 40143 40144 40146 42602 42629 42642 42721 42728 42743 42754 42765",
            UNKNOWN: "426 427",
            EASTERN: "42633 42701 42702 42718 42719 42748",
        }
    ),
    "MI": {"": "America/Detroit"}
    | _zips(
        {
            UNKNOWN: "498 499",
            MENOMINEE: "49801 49802 49858 49870 49887 49911 49920 49935 49938 49968 49969",
            "America/Detroit": "49829 49837 49849 49854 49855 49862 49866 49930 49931",
        }
    ),
    "ND": {"": CENTRAL}
    | _zips({UNKNOWN: "585", CENTRAL: "58501 58502 58503 58504 58505 58523 58540 58554 58631 58638", MOUNTAIN: "586"}),
    "NE": {"": CENTRAL}
    | _zips(
        {UNKNOWN: "690 691 692", CENTRAL: "69001 69022 69101 69103 69201", MOUNTAIN: "693 69021 69033 69140 69153"}
    ),
    "NV": {"": PACIFIC} | _zips({MOUNTAIN: "89883"}),
    "OR": {"": PACIFIC} | _zips({BOISE: "979", PACIFIC: "97907"}),
    "SD": {"": CENTRAL}
    | _zips(
        {
            MOUNTAIN: "577 57625 57638 57642",
            UNKNOWN: "575 576",
            CENTRAL: "57501 57523 57555 57559 57570 57580 57601",
        }
    ),
    "TN": {"": CENTRAL}
    | _zips(
        {
            EASTERN: "374 376 377 378 379 37303 37311 37312 37321 37323 37341 37343 37354 37363 37377 37379",
            UNKNOWN: "373",
            CENTRAL: "37327 37330 37334 37347 37355 37367 37388 37398",
        }
    ),
    "TX": {"": CENTRAL}
    | _zips(
        {
            MOUNTAIN: "799 885 79821 79835 79836 79837 79838 79839 79847 79849 79851 79853",
            UNKNOWN: "798",
            CENTRAL: "79830 79843 79845 79855",
        }
    ),
}

US: Final = frozenset(ONE_ZONE) | frozenset(BY_ZIP)

_NAMES: Final = (
    "AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,DE Delaware,"
    "DC District of Columbia,FL Florida,GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,IA Iowa,KS Kansas,"
    "KY Kentucky,LA Louisiana,ME Maine,MD Maryland,MA Massachusetts,MI Michigan,MN Minnesota,MS Mississippi,"
    "MO Missouri,MT Montana,NE Nebraska,NV Nevada,NH New Hampshire,NJ New Jersey,NM New Mexico,NY New York,"
    "NC North Carolina,ND North Dakota,OH Ohio,OK Oklahoma,OR Oregon,PA Pennsylvania,RI Rhode Island,"
    "SC South Carolina,SD South Dakota,TN Tennessee,TX Texas,UT Utah,VT Vermont,VA Virginia,WA Washington,"
    "WV West Virginia,WI Wisconsin,WY Wyoming,PR Puerto Rico,VI Virgin Islands,GU Guam,"
    "MP Northern Mariana Islands,AS American Samoa"
)
US_NAMES: Final[dict[str, str]] = {name[3:].lower(): name[:2] for name in _NAMES.split(",")}

AUSTRALIA: Final[dict[str, str]] = {
    "new south wales": "Australia/Sydney",
    "nsw": "Australia/Sydney",
    "victoria": "Australia/Melbourne",
    "vic": "Australia/Melbourne",
    "queensland": "Australia/Brisbane",
    "qld": "Australia/Brisbane",
    "south australia": "Australia/Adelaide",
    "western australia": "Australia/Perth",
    "tasmania": "Australia/Hobart",
    "tas": "Australia/Hobart",
    "northern territory": "Australia/Darwin",
    "nt": "Australia/Darwin",
    "australian capital territory": "Australia/Sydney",
    "act": "Australia/Sydney",
}
AUSTRALIA_CODES: Final[dict[str, str]] = {"sa": "Australia/Adelaide", "wa": "Australia/Perth"}  # elsewhere ambiguous
