"""Origins as browsers send them, and what is refused."""

import pytest

from domain import origins
from domain.faults import BadInput


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("https://clinic.example", "https://clinic.example"),
        ("HTTPS://Clinic.Example", "https://clinic.example"),
        ("https://clinic.example:443", "https://clinic.example"),
        ("https://clinic.example:8443", "https://clinic.example:8443"),
        ("https://clinic.example:08443", "https://clinic.example:8443"),
        ("https://praxis-müller.example", "https://xn--praxis-mller-klb.example"),
        ("https://XN--PRAXIS-MLLER-KLB.example", "https://xn--praxis-mller-klb.example"),
        ("https://clinic。example", "https://clinic.example"),
        ("https://203.0.113.7", "https://203.0.113.7"),
        ("https://[2001:DB8:0:0::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://intranet", "https://intranet"),
        ("http://localhost", "http://localhost"),
        ("http://localhost:80", "http://localhost"),
        ("http://LOCALHOST:3000", "http://localhost:3000"),
        ("http://app.localhost:3000", "http://app.localhost:3000"),
        ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
        ("http://[::1]:5173", "http://[::1]:5173"),
        ("https://localhost:443", "https://localhost"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(typed: str, sent: str) -> None:
    assert origins.origin("origins.0", typed) == sent
    assert origins.origin("origins.0", sent) == sent


@pytest.mark.parametrize(
    "typed",
    [
        "", "null", "*", "https://", "https://*", "https://*.clinic.example", "https://clinic.*", "clinic.example",
        "//clinic.example", "http://clinic.example", "http://127.0.0.1.example", "http://localhost.example",
        "ws://localhost", "ftp://clinic.example", "javascript://clinic.example", "https:clinic.example",
        "https://clinic.example/", "https://clinic.example/embed", "https://clinic.example?a", "https://clinic.example#a",
        "https://me@clinic.example", "https://me:pass@clinic.example", "https://clinic.example:", "https://clinic.example:0",
        "https://clinic.example:65536", "https://clinic.example:8443443", "https://clinic.example:٤", "https://:443",
        "https://clinic example", " https://clinic.example", "https://clinic.example\n", "https://clinic.example\x00",
        "https://clinic_a.example", "https://-a.example", "https://a..example", "https://clinic.example.", "https://a%2eb",
        "https://[::1", "https://[fe80::1%25eth0]", "https://[clinic]", "https://::1", "https://1.2.3", "https://0x7f.1",
        "https://256.1.1.1", "https://clinic.example\\a", "https://" + "a" * 64 + ".example", "https://" + "a." * 200 + "example",
        "https://a.example,https://b.example",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_refused(typed: str) -> None:
    with pytest.raises(BadInput) as fault:
        origins.origin("origins.3", typed)
    assert fault.value.field == "origins.3"


def test_a_set_holds_each_once_and_names_what_is_wrong() -> None:
    assert origins.several("origins", []) == []
    assert origins.several("origins", ["https://b.example", "https://A.example:443", "https://a.example"]) == [
        "https://b.example",
        "https://a.example",
    ]
    with pytest.raises(BadInput) as fault:
        origins.several("origins", ["https://a.example", "https://a.example", "http://a.example"])
    assert fault.value.field == "origins.2"
    assert len(origins.several("origins", [f"https://{one}.example" for one in range(50)])) == 50
    with pytest.raises(BadInput) as fault:
        origins.several("origins", ["https://a.example"] * 51)
    assert fault.value.field == "origins"
