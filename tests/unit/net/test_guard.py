"""The guard's tables: rows of the threat list by id (S01 to S19)."""

import random
import string
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from imagemill.model.errors import BadRequest, SettingsError, SourceForbidden
from imagemill.net.guard import Policy, Target, check, judge, parse
from imagemill.settings import Callbacks, Sources

PUBLIC = Policy.of(Sources())
PRIVATE = Policy.of(Sources(allow_private_networks=True))
METADATA = Policy.of(Sources(allow_metadata=True))
EVERYTHING = Policy.of(Sources(allow_private_networks=True, allow_networks=("0.0.0.0/0", "::/0")))
LOOPBACK = Policy.of(Sources(allow_networks=("127.0.0.0/8", "::1/128")))


def refused(url: str, policy: Policy = PUBLIC) -> bool:
    """Whether parser or policy stop *url* before any look-up."""
    try:
        check(parse(url), policy)
    except (BadRequest, SourceForbidden):
        return True
    return False


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://Example.COM", "http://example.com/"),
        ("HTTP://example.com:80/a", "http://example.com/a"),
        ("https://example.com:443?x=1", "https://example.com/?x=1"),
        ("https://example.com:80/a", "https://example.com:80/a"),
        ("http://example.com./a", "http://example.com/a"),
        ("http://example.com/a b/ü?q=é", "http://example.com/a%20b/%C3%BC?q=%C3%A9"),
        ("http://example.com/%7e%2F?", "http://example.com/%7e%2F"),
        ("http://example.com/a/../b/./c", "http://example.com/a/../b/./c"),
        ("http://example.com/x@y:z;a=[1]", "http://example.com/x@y:z;a=[1]"),
        ('http://example.com/"<>', "http://example.com/%22%3C%3E"),
        ("http://[2606:4700:0:0::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
        ("http://a_b-c.example/", "http://a_b-c.example/"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
    ],
)
def test_canonical(url, canonical):
    """One place has one spelling, and reading that again changes nothing."""
    target = parse(url)

    assert target.url == canonical
    assert parse(canonical) == target


# S12
@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "FILE://x/etc/passwd", "ftp://h/", "gopher://h/", "dict://h/", "data:image/png,x",
        "jar:http://h/", "unix:/run/x", "blob:http://h/", "javascript:alert(1)", "http:/h/", "http:h", "//h/", "h/a",
        " http://h/", "\thttp://h/", "\x00http://h/", "http\t://h/", "ht\ntp://h/", "http ://h/", "httpſ://h/",
        "hTTpſ://h/", "http://", "https://?", "http:///a", "", "s3://b/k", "local:a/b", "http+unix://h/", "http:\\\\h\\",
    ],
)  # fmt: skip
def test_schemes(url):
    with pytest.raises(BadRequest):
        parse(url)


# S13
@pytest.mark.parametrize(
    "url",
    [
        "http://good@127.0.0.1/", "http://good:x@127.0.0.1/", "http://@h/", "http://a@b@c/", "http://127.0.0.1\\@good/",
        "http://good#@evil/", "http://good/#@evil", "http://good\\.evil/", "http://go%40od/", "http://good%2eevil/",
        "http://go\tod/", "http://go\nod/", "http://go od/", "http://good\r\nHost: x/", "http://good\x7f/",
        "http://good\x85/", "http://h/\x00", "http://h/a\x85b", "http://h/a\nb", "http://h/a\\b", "http://h:/", "http://h:80:80/",
        "http://[::1/", "http://::1/", "http://[::1]x/", "http://[h]/", "http://h,i/", "http://h;i/", "http://h!/",
        "http://.h/", "http://h../", "http://a..b/", "http://./", "http://h/%", "http://h/%zz", "http://h/%0",
        "http://h/?%g0", "http://" + "a" * 64 + "/", "http://" + "a." * 127 + "aa/", "http://h/" + "a" * 9000,
        "http://h/\ud800",
    ],
)  # fmt: skip
def test_ill_formed(url):
    with pytest.raises(BadRequest):
        parse(url)


def test_question_mark_before_at_is_a_query():
    """S13: the host ends at the first "?", whatever follows it."""
    assert parse("http://good?@evil/").host == "good"


# S18
@pytest.mark.parametrize("host", ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[v1.fe80::a]", "[vF.x:y]", "[::1]]", "[]"])
def test_zones_and_future_addresses(host):
    with pytest.raises(BadRequest):
        parse(f"http://{host}/")


# S14
@pytest.mark.parametrize("port", ["0", "65536", "99999", "1e1", "-1", "+80", "080", "８０", "", "80 ", "000000"])
def test_ill_formed_ports(port):
    with pytest.raises(BadRequest):
        parse(f"http://example.com:{port}/")


@pytest.mark.parametrize("port", [1, 22, 81, 6379, 8080, 65535])
def test_ports(port):
    """S14: a port is open when it is listed, and only then."""
    target = parse(f"http://example.com:{port}/")

    with pytest.raises(SourceForbidden):
        check(target, PUBLIC)
    check(target, Policy.of(Sources(ports=(port,))))


def test_scheme_policy():
    with pytest.raises(SourceForbidden):
        check(parse("http://example.com/"), Policy.of(Sources(schemes=("https",))))


# S01, S02
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.8.8.8", "127.255.255.254", "[::1]", "localhost", "LOCALHOST", "localhost.", "a.localhost",
        "a.b.LocalHost.", "0.0.0.0", "0", "0.", "[::]", "[::ffff:0.0.0.0]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]",
        "0.1.2.3",
    ],
)  # fmt: skip
def test_loopback_and_unspecified(host):
    assert refused(f"http://{host}/")
    assert refused(f"http://{host}/", PRIVATE)
    assert refused(f"http://{host}/", METADATA)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "x.localhost", "[::ffff:127.0.0.1]"])
def test_loopback_opens_by_network(host):
    assert not refused(f"http://{host}/", LOOPBACK)


TARGETS = [
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "172.16.5.4",
    "0.0.0.0",
    "100.64.0.1",
    "127.1.2.3",
]


def spellings(ip: str) -> list[str]:
    """Ways to write one IPv4 address that some parser somewhere accepts."""
    number = int(IPv4Address(ip))
    a, b, c, d = IPv4Address(ip).packed
    wide = ip.translate({ord(n): 0xFF10 + int(n) for n in string.digits})
    circled = "".join("⓪①②③④⑤⑥⑦⑧⑨"[int(n)] if n.isdigit() else n for n in ip)
    arabic = ip.translate({ord(n): 0x0660 + int(n) for n in string.digits})
    return [
        str(number), hex(number), f"0X{number:X}", f"0{number:o}", f"0{number:0>16o}",
        f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}", f"0x{a:x}.{b}.{c}.{d}", f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"0{a:o}.{b}.{c}.{d}", f"{a:03}.{b:03}.{c:03}.{d:03}", f"{a}.{b}.{c}.0{d:o}",
        f"{a}.{b}.{c}.0x{d:x}", f"{a}.{b}.{c}.0x", f"0x{a:x}.{number & 0xFFFFFF}", f"0{a:o}.0x{number & 0xFFFFFF:x}",
        f"{a + 256}.{b}.{c}.{d}", str(number + 2**32), f"{ip}.", f"{ip}..", f"{ip}.0", f"{ip}%00", f" {ip}", f"{ip} ",
        f"{ip}\t", ip.replace(".", "%2e"), ip.replace(".", "。"), ip.replace(".", "．"), ip.replace(".", "｡"),
        ip.replace(".", "․"), wide, circled, arabic, wide.replace(".", "．"), f"\u00ad{ip}", ip.replace(".", ".\u200b"),
        f"{ip}\u2060", f"\ufeff{ip}", ip.replace("0", "\u00b0"), f"[::ffff:{ip}]", f"[::{ip}]", f"[64:ff9b::{ip}]", ip,
        f"[0:0:0:0:0:ffff:{a:02x}{b:02x}:{c:02x}{d:02x}]", f"x@{ip}", f"{ip}#", f"+{ip}", f"-{ip}", f"{a}.{b}.{c}.{d}e0",
        f"%{ord(ip[0]):02x}{ip[1:]}", "xn--" + ip.replace(".", "-") + "-",
    ]  # fmt: skip


# S03, S04
@pytest.mark.parametrize("ip", TARGETS)
def test_every_spelling(ip):
    """None of the spellings reaches an address: each is refused, or is an ordinary name for the resolver."""
    assert len(set(spellings(ip))) >= 40
    for host in spellings(ip):
        try:
            target = parse(f"http://{host}/")
        except BadRequest:
            continue
        reached = refused(f"http://{host}/") or not target.host.rpartition(".")[2].isdigit()
        assert reached, host
        assert not target.host[-1].isdigit() or refused(f"http://{host}/") or "e0" in host, host


@pytest.mark.parametrize("ip", TARGETS)
def test_numeric_spellings_never_parse(ip):
    """S03: what inet_aton would read and we would not is ill-formed, not a name."""
    for host in set(spellings(ip)[:19]) - {ip}:
        with pytest.raises(BadRequest):
            parse(f"http://{host}/")


# S04
@pytest.mark.parametrize(
    "host",
    [
        "①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1", "ｌｏｃａｌｈｏｓｔ", "local\u00adhost", "loc\u200bal.host", "𝓁ocalhost",
        "localho\u017ft", "\u212a.example", "straße.example", "bücher.example", "xn--localhost-", "xn--127-", "xn--", "xn--a-",
        "xn--a-ecp.ru.xn--999999999", "a.xn--localhost-", "xn--" + "①".encode("punycode").decode(),
        "xn--" + "ｌocal".encode("punycode").decode(),
    ],
)  # fmt: skip
def test_unicode_hosts(host):
    with pytest.raises(BadRequest):
        parse(f"http://{host}/")


def inside(v4: str) -> dict[str, str]:
    """*v4* in every form of IPv6 that carries one."""
    n = int(IPv4Address(v4))
    public = int(IPv4Address("8.8.4.4"))

    def at(number: int) -> str:
        return str(IPv6Address(number))

    return {
        "mapped, RFC 4291": at(0xFFFF << 32 | n),
        "compatible, RFC 4291": at(n),
        "6to4, RFC 3056": at(0x2002 << 112 | n << 80 | 1),
        "NAT64, RFC 6052": at(0x64FF9B << 96 | n),
        "local NAT64 /96, RFC 8215": at(0x64FF9B0001 << 80 | n),
        "local NAT64 /48, RFC 8215": at(0x64FF9B0001 << 80 | (n >> 16) << 64 | (n & 0xFFFF) << 40),
        "Teredo server, RFC 4380": at(0x20010000 << 96 | n << 64 | public ^ 0xFFFFFFFF),
        "Teredo client, RFC 4380": at(0x20010000 << 96 | public << 64 | n ^ 0xFFFFFFFF),
        "ISATAP, RFC 5214": at(0x2606 << 112 | 0x5EFE << 32 | n),
        "ISATAP global, RFC 5214": at(0x2606 << 112 | 0x02005EFE << 32 | n),
    }


# S05
@pytest.mark.parametrize("v4", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1", "100.64.0.1", "224.0.0.1"])
def test_embedded(v4):
    for form, ip in inside(v4).items():
        assert judge(ip, PUBLIC), form


def test_embedded_public():
    """S05: what carries a public address follows the block it is in itself."""
    for form, ip in inside("8.8.8.8").items():
        assert bool(judge(ip, PUBLIC)) == form.startswith(("compatible", "local")), form
        assert bool(judge(ip, PRIVATE)) == form.startswith("compatible"), form


def test_embedded_metadata_stays_shut():
    """S05 with S07: no form of a metadata address is opened by the other switches."""
    for form, ip in inside("169.254.169.254").items():
        assert judge(ip, EVERYTHING), form


def test_embedded_private_opens_with_private():
    for form, ip in inside("10.1.2.3").items():
        assert bool(judge(ip, PRIVATE)) == form.startswith("compatible"), form


DENIED = [
    "127.0.0.1",
    "127.255.255.255",
    "0.0.0.0",
    "0.1.1.1",
    "169.254.0.1",
    "169.254.255.255",
    "192.0.0.8",
    "192.0.0.10",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "2001:100::1",
    "4000::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "fe80::5efe:8.8.8.8",
]
OWN = [
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "fc00::1",
    "fdff::1",
]
OPEN = [
    "8.8.8.8",
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "169.253.1.1",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450::1",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
]


# S06
@pytest.mark.parametrize("ip", DENIED)
def test_denied(ip):
    wide = "/128" if ":" in ip else "/32"

    assert judge(ip, PUBLIC)
    assert judge(ip, PRIVATE)
    if ip not in {"::127.0.0.1", "fe80::5efe:8.8.8.8", "::2"}:
        assert judge(ip, Policy.of(Sources(allow_networks=(ip + wide,)))) is None


@pytest.mark.parametrize("ip", OWN)
def test_own_networks(ip):
    assert judge(ip, PUBLIC)
    assert judge(ip, PRIVATE) is None


@pytest.mark.parametrize("ip", OPEN)
def test_open(ip):
    assert judge(ip, PUBLIC) is None


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "fe80::1%eth0", "2606:4700::1%1", "8.8.8.8/32"]
)
def test_not_an_address(text):
    """What is not one plain address is not judged kindly."""
    assert judge(text, EVERYTHING)


# S07
@pytest.mark.parametrize(
    "ip",
    [
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23", "fd00:ec2::254", "fd00:ec2::23",
        "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    ],
)  # fmt: skip
def test_metadata(ip):
    """Every address of the table is shut by all switches but its own."""
    assert judge(ip, PUBLIC)
    assert judge(ip, PRIVATE)
    assert judge(ip, EVERYTHING)
    assert judge(ip, METADATA) is None


def test_metadata_alone():
    """S07: the metadata switch opens those addresses and none beside them."""
    assert judge("169.254.169.253", METADATA)
    assert judge("fd00:ec2::255", METADATA)
    assert judge("100.100.100.201", METADATA)


@pytest.mark.parametrize(
    "name", ["metadata.google.internal", "METADATA.google.internal.", "metadata", "metadata.goog", "instance-data"]
)
def test_metadata_names(name):
    assert refused(f"http://{name}/", EVERYTHING)
    assert not refused(f"http://{name}/", METADATA)


# S19
@pytest.mark.parametrize(
    ("rule", "url", "passes"),
    [
        ("allowed.com", "http://allowed.com/x", True),
        ("allowed.com", "http://ALLOWED.com./x", True),
        ("allowed.com", "http://allowed.com.evil.com/", False),
        ("allowed.com", "http://evil.com/allowed.com", False),
        ("allowed.com", "http://evil.com/?allowed.com", False),
        ("allowed.com", "http://notallowed.com/", False),
        ("allowed.com", "http://allowedxcom/", False),
        ("allowed.com", "http://www.allowed.com/", False),
        ("allowed.com", "http://allowed.com@evil.com/", False),
        ("*.allowed.com", "http://www.allowed.com/", True),
        ("*.allowed.com", "http://a.b.allowed.com/", True),
        ("*.allowed.com", "http://allowed.com/", False),
        ("*.allowed.com", "http://xallowed.com/", False),
        ("*.allowed.com", "http://www.allowed.com.evil/", False),
        ("allowed.com/pics", "http://allowed.com/pics", True),
        ("allowed.com/pics", "http://allowed.com/pics/1", True),
        ("allowed.com/pics", "http://allowed.com/pics?x", True),
        ("allowed.com/pics", "http://allowed.com/pics-evil/1", False),
        ("allowed.com/pics", "http://allowed.com/PICS/1", False),
        ("allowed.com/pics/", "http://allowed.com/pics/1..2", True),
        ("allowed.com/pics/", "http://allowed.com/pics/a%20b%2520c", True),
        ("allowed.com/pics/", "http://allowed.com/pics", False),
        ("allowed.com/pics/", "http://allowed.com/x/pics/", False),
        ("allowed.com/pics/", "http://allowed.com/?/pics/", False),
        ("allowed.com/pics/", "http://allowed.com/pics/../etc", False),
        ("allowed.com/pics/", "http://allowed.com/pics/..", False),
        ("allowed.com/pics/", "http://allowed.com/pics/%2e%2e/etc", False),
        ("allowed.com/pics/", "http://allowed.com/pics/.%2E/etc", False),
        ("allowed.com/pics/", "http://allowed.com/pics/..%2fetc", False),
        ("allowed.com/pics/", "http://allowed.com/pics/..%5cetc", False),
        ("allowed.com/pics/", "http://allowed.com/pics/%252e%252e/etc", False),
        ("allowed.com/pics/", "http://allowed.com/pics/%25252e%25252e%25252fetc", False),
        ("allowed.com/pics/", "http://allowed.com/pics/..;/etc", False),
        ("allowed.com/pics/", "http://allowed.com/pics/%" + "25" * 10 + "2e/", False),
        ("allowed.com/pics/", "http://allowed.com/pics/./1", False),
        ("allowed.com", "http://allowed.com/a/../b", True),
    ],
)
def test_allow_list(rule, url, passes):
    assert refused(url, Policy.of(Sources(allow=(rule,)))) is not passes


@pytest.mark.parametrize(
    "rule", ["", "*", "*.", "http://h/", "h:81/", "h/a?b", "h/../b", "*.1.2.3.4", "a b", "*.[::1]"]
)
def test_wrong_rules_stop_the_start(rule):
    with pytest.raises(SettingsError):
        Policy.of(Sources(allow=(rule,)))


def test_wrong_network_stops_the_start():
    with pytest.raises(SettingsError):
        Policy.of(Sources(allow_networks=("10.0.0.1/8",)))


def test_allow_list_opens_no_address():
    """Being listed does not make a blocked address reachable."""
    assert refused("http://127.0.0.1/", Policy.of(Sources(allow=("127.0.0.1",))))


def agree(target: Target) -> None:
    """The client's parser and a third one must see the host that was judged."""
    yarl = URL(target.url, encoded=True)
    split = urlsplit(target.url)
    default = {"http": 80, "https": 443}[target.scheme]

    assert (yarl.scheme, yarl.raw_host, yarl.port, yarl.raw_path_qs) == (
        target.scheme,
        target.host,
        target.port,
        target.path_and_query,
    )
    assert (split.scheme, split.hostname, split.port or default) == (target.scheme, target.host, target.port)
    assert yarl.user is None
    assert split.username is None
    assert parse(target.url) == target


SEEDS = [
    "http://example.com/a/b?c=d", "https://example.com:8443/x;y/@:z?u=http://h/%2f", "http://127.0.0.1:80/", "http://[::1]:8080/a",
    "http://[::ffff:1.2.3.4]/", "http://a.b.c.d.example./?q", "https://xn--bcher-kva.example/%7e", "http://0x7f.1/",
]  # fmt: skip
SPICE = [*"@:/\\?#[]%.;,!$&'()*+=~|^`{}<>\" \t\r\n\0", "//", "%2e", "%40", "%00", "..", "。", "．", "①", "\u00ad", "\u200b", "\u017f",
         "\u212a", "ß", "\ud800", "0x", "127.0.0.1", "localhost", "::1", "http://", "xn--", "é", "\u2028", ":80", ":0"]  # fmt: skip


def test_parsers_agree_on_mutations():
    """S13: over 5,000 mutated URLs, whatever we accept the other parsers read alike."""
    dice = random.Random(13)
    accepted = 0
    for _ in range(5000):
        url = dice.choice(SEEDS)
        for _ in range(dice.randint(1, 2)):
            at, to = sorted(dice.choices(range(len(url) + 1), k=2))
            piece = dice.choice(SPICE)
            url = dice.choice(
                [url[:at] + piece + url[at:], url[:at] + url[min(to, at + 2) :], url[:at] + piece + url[at + 1 :]]
            )
        try:
            target = parse(url)
        except BadRequest:
            continue
        accepted += 1
        agree(target)
    assert accepted > 400


@given(st.text() | st.text("htps:/@.#?[]%\\0127xn-aé\t ").map("http://".__add__))
def test_whatever_is_accepted_is_plain(url):
    """Any text is refused with `BadRequest`, or comes out canonical, visible ASCII, and alike for all parsers."""
    try:
        target = parse(url)
    except BadRequest:
        return
    assert all("!" <= c <= "~" for c in target.url)
    agree(target)


@given(st.integers(0, 2**32 - 1))
def test_embedding_never_opens(number):
    """No form of IPv6 makes reachable what its IPv4 address is not."""
    v4 = str(IPv4Address(number))
    if judge(v4, PUBLIC):
        for form, ip in inside(v4).items():
            assert judge(ip, PUBLIC), form


@pytest.mark.parametrize("entry", ["https://hooks.test/", "hooks.test:8443", "*.10.0.0.1", "hooks.test/a/../b", ""])
def test_bad_entries_of_callbacks(entry):
    """A wrong entry stops the start, and is looked for in the right table."""
    with pytest.raises(SettingsError, match=r"callbacks\.allow"):
        Policy.of_callbacks(Callbacks(allow=(entry,)))


def test_what_callbacks_open_of_themselves():
    """Https on 443; port 80 comes with http, and nothing opens a metadata address."""
    plain = Policy.of_callbacks(Callbacks(allow_http=True, allow_private_networks=True, allow_networks=("0.0.0.0/0",)))

    assert not refused("https://example.com/", Policy.of_callbacks(Callbacks()))
    assert refused("http://example.com/", Policy.of_callbacks(Callbacks()))
    assert refused("https://example.com:80/", Policy.of_callbacks(Callbacks()))
    assert not refused("http://example.com/", plain)
    assert not refused("http://10.0.0.1/", plain)
    assert refused("http://169.254.169.254/", plain)
