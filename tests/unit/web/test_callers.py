"""J08: who may call, judged from the head alone."""

import pytest

from imagemill.jobs.tokens import Register
from imagemill.model.errors import OriginRefused, ScopeMissing, Unauthorized
from imagemill.model.token import Scope, make
from imagemill.web.callers import judge
from imagemill.web.request import Call

NOW_S = 1_800_000_000
TEXT, TOKEN = make(lambda size: b"s" * size, "shop", "acme", [Scope.SUBMIT], NOW_S, 60)
OTHER = make(lambda size: b"t" * size, "other", "other", [Scope.ADMIN], NOW_S)[0]
SOME = Register((TOKEN,))
HOST = (b"host", b"localhost:8080")


def call(*headers, client="127.0.0.1"):
    return Call("GET", "/jobs", b"", list(headers), "r", client)


def bearer(text, scheme=b"Bearer"):
    return b"authorization", scheme + b" " + text.encode()


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
def test_a_token_says_who_it_is(scheme):
    """From anywhere, under any name."""
    caller = judge(
        call((b"host", b"jobs.example"), bearer(TEXT, scheme), client="203.0.113.9"), SOME, Scope.SUBMIT, NOW_S
    )

    assert (caller.tenant, caller.scopes, caller.name, caller.admin) == ("acme", {Scope.SUBMIT}, TOKEN.id, False)


def test_a_token_that_may_not_is_told_what_it_lacks():
    with pytest.raises(ScopeMissing, match="read"):
        judge(call(HOST, bearer(TEXT)), SOME, Scope.READ, NOW_S)


@pytest.mark.parametrize(
    ("headers", "now_s"),
    [
        ([], NOW_S),
        ([bearer(OTHER)], NOW_S),
        ([bearer(TEXT)], NOW_S + 60),
        ([bearer(TEXT), bearer(TEXT)], NOW_S),
        ([bearer(TEXT, b"Basic")], NOW_S),
        ([(b"authorization", TEXT.encode())], NOW_S),
        ([(b"authorization", b"")], NOW_S),
        ([(b"authorization", b"Bearer")], NOW_S),
        ([(b"authorization", b"Bearer \xff\xfe")], NOW_S),
        ([(b"x-token", TEXT.encode())], NOW_S),
    ],
)
def test_all_else_is_unauthorised_in_the_same_words(headers, now_s):
    """Also on loopback, once there is any token."""
    with pytest.raises(Unauthorized) as told:
        judge(call(HOST, *headers), SOME, Scope.SUBMIT, now_s)

    assert str(told.value) == "a bearer token is needed"


@pytest.mark.parametrize("headers", [[HOST], [HOST, bearer(TEXT)]])
def test_where_tokens_cannot_be_read_nobody_is_let_in(headers):
    with pytest.raises(Unauthorized):
        judge(call(*headers), Register(readable=False), Scope.READ, NOW_S)


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", [b"localhost", b"LocalHost:8080", b"127.0.0.1:80", b"[::1]:8080"])
def test_without_tokens_this_machine_may_everything(client, host):
    caller = judge(call((b"host", host), client=client), Register(), Scope.ADMIN, NOW_S)

    assert (caller.tenant, caller.admin, caller.name) == ("default", True, "local")


@pytest.mark.parametrize("client", ["", "192.168.0.7", "203.0.113.9", "::ffff:203.0.113.9", "fe80::1%eth0", "nonsense"])
def test_without_tokens_no_other_machine_may_anything(client):
    with pytest.raises(Unauthorized):
        judge(call(HOST, client=client), Register(), Scope.READ, NOW_S)


@pytest.mark.parametrize(
    "host",
    [b"", b"evil.example", b"localhost.evil.example", b"127.0.0.1.evil.example", b"localhost:8080.", b"127.0.0.1:",
     b"localhost:123456", b"127.0.0.1\n", b"10.0.0.1", b"user@localhost"],
)  # fmt: skip
def test_without_tokens_no_name_that_was_made_to_point_here(host):
    """DNS rebinding: the address is ours, and the name is not."""
    with pytest.raises(Unauthorized):
        judge(call((b"host", host)), Register(), Scope.READ, NOW_S)


@pytest.mark.parametrize("headers", [[], [HOST, HOST]])
def test_without_tokens_exactly_one_host(headers):
    with pytest.raises(Unauthorized):
        judge(call(*headers), Register(), Scope.READ, NOW_S)


@pytest.mark.parametrize(
    "name",
    [b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"via", b"x-real-ip", b"x-client-ip",
     b"x-envoy-external-address"],
)  # fmt: skip
def test_without_tokens_nothing_that_came_through_a_proxy(name):
    """Its address says where the proxy is, not who asks."""
    with pytest.raises(Unauthorized):
        judge(call(HOST, (name, b"x")), Register(), Scope.READ, NOW_S)


def test_without_tokens_nothing_below_http_1_1():
    """nginx as it comes: 1.0, the address of what is behind it as Host, and no word of who asks."""
    asked = call((b"host", b"127.0.0.1:8080"), (b"connection", b"close"))
    asked.version = "1.0"

    with pytest.raises(Unauthorized):
        judge(asked, Register(), Scope.READ, NOW_S)
    asked.headers.append(bearer(TEXT))
    assert judge(asked, SOME, Scope.SUBMIT, NOW_S).tenant == "acme"


@pytest.mark.parametrize("header", [(b"origin", b"http://localhost:8080"), (b"sec-fetch-site", b"cross-site")])
def test_without_tokens_no_page_in_a_browser(header):
    with pytest.raises(OriginRefused):
        judge(call(HOST, header), Register(), Scope.READ, NOW_S)


def test_a_token_where_there_is_none_is_still_judged():
    """Who shows one expects it to be looked at."""
    with pytest.raises(Unauthorized):
        judge(call(HOST, bearer(TEXT)), Register(), Scope.READ, NOW_S)
