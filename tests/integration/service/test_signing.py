"""Signed URLs on a real node, signed by the command line and by attackers."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from imagemill.model.signing import sign as our_sign
from support.mill import until
from support.node import Node, serving

ONE, TWO = "first-key-of-thirty-two-bytes-or-more", "second-key-of-thirty-two-bytes-or-more"
TARGET = "/image?source=local:sample/dandelion.jpg&width=60&format=webp"


def sign(target: str, key_id: str = "k1", key: str = ONE) -> str:
    return our_sign(target.encode(), key_id, key.encode()).decode()


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    keys = {"k1": ONE, "k2": TWO}
    with serving(tmp_path_factory.mktemp("signed"), signing={"mode": "required", "keys": keys}) as running:
        yield running


def test_signed_urls_are_served(signed: Node) -> None:
    """R06: both keys are accepted, and give the same rendition."""
    one, two = signed.get(sign(TARGET)), signed.get(sign(TARGET, "k2", TWO))

    assert (one.status, two.status) == (200, 200)
    assert one.body == two.body
    assert two.headers["x-cache"] == "L1"


def test_every_other_signature_is_refused_in_the_same_words(signed: Node) -> None:
    """R01: missing, empty, truncated, other key, unknown key, other target, padded, moved: one answer, cached or not."""
    signed.get(sign(TARGET))
    good = sign(TARGET)
    tag = good.rpartition(".")[2]
    wrong = [
        TARGET, f"{TARGET}&signature=", f"{TARGET}&signature=k1", f"{TARGET}&signature=k1.", good[:-1], f"{good}A", f"{good}=",
        f"{TARGET}&signature=k2.{tag}", f"{TARGET}&signature=k3.{tag}", f"{TARGET}&signature=.{tag}", sign(TARGET, "k1", TWO),
        f"{good}&width=61", good.replace("width=60", "width=61"), good.replace("width=60", "WIDTH=60"),
        good.replace("local:", "local%3A"), good.replace("/image?", "/image?&"), f"{good}&signature=k1.{tag}",
        "/image", "/image?", f"/image?signature=k1.{tag}", "/image?x=1",
    ]  # fmt: skip
    bodies = set()
    for target in wrong:
        answer = signed.get(target)
        assert answer.status == 403, target
        bodies.add(answer.body.decode().replace(answer.problem["request_id"], ""))

    assert len(bodies) == 1
    assert "signature_invalid" in bodies.pop()


def test_mutated_urls_are_refused_or_identical(signed: Node) -> None:
    """R03: 600 mutations of a valid URL (the unit tests do thousands): refused, or the very same image."""
    good, draw = sign(TARGET), random.Random(3)
    body = signed.get(good).body
    spellings = ["//", "/./", "/../", "%2F", "%252F", ";", "+", "%20", "%2f", "/", "%00", "%c0%af", "\\", "&", "="]
    for _ in range(600):
        at = draw.randrange(len(good))
        mutant = good[:at] + draw.choice([*spellings, good[at].swapcase(), ""]) + good[at + draw.randint(0, 1) :]
        if not mutant.startswith("/") or " " in mutant:
            continue
        answer = signed.get(mutant)
        assert answer.status in {400, 403, 404} or answer.body == body, mutant


def test_unsigned_additions_are_refused(signed: Node) -> None:
    """R04: any known option added without a signature over it is refused."""
    for option in ("w=1", "quality=1", "blur=5", "ttl=1", "format=png", "expires=9999999999", "x=1"):
        assert signed.get(f"{sign(TARGET)}&{option}").status == 403
        assert signed.get(sign(TARGET).replace("&signature", f"&{option}&signature")).status == 403


def test_expiry_is_judged_for_what_is_cached_too(signed: Node) -> None:
    """R05: past is 410, ill-formed 400, far future fine; an expired URL is not saved by the cache."""
    now = int(time.time())
    soon = sign(f"{TARGET}&expires={now + 5}")
    assert signed.get(soon).status == 200
    assert signed.get(sign(f"{TARGET}&expires={now - 1}")).problem["code"] == "url_expired"
    assert signed.get(sign(f"{TARGET}&expires=9999999999")).status == 200
    for wrong in ("x", "-1", "1e9", "99999999999", "", "%31"):
        status = signed.get(sign(f"{TARGET}&expires={wrong}")).status
        assert status == (410 if wrong == "%31" else 400), wrong
    time.sleep(max(0, now + 5.1 - time.time()))

    assert signed.get(soon).status == 410
    assert signed.get(sign(TARGET)).headers["x-cache"] == "L1"


def test_explain_needs_the_admin_port(signed: Node) -> None:
    """The public port explains nothing where URLs are signed."""
    assert signed.get(TARGET.replace("/image", "/explain")).status == 404
    assert signed.admin(TARGET.replace("/image", "/explain")).status == 200


def test_a_removed_key_is_refused_at_once(tmp_path: Path) -> None:
    """R06: after rotation the old key's URLs are refused, whatever has been cached for the new one's."""
    with serving(tmp_path, signing={"mode": "required", "keys": {"k2": TWO}}) as node:
        assert node.get(sign(TARGET, "k2", TWO)).status == 200
        assert node.get(sign(TARGET)).status == 403


def test_no_key_is_ever_shown(signed: Node) -> None:
    """O02: canaries in no log line, metric, answer or explanation."""
    before = len(signed.log.read_text())
    encoded = quote(f"https://user:{TWO}@example.com/a.jpg?sig={TWO}", safe="")
    asked = [
        sign(f"{TARGET}&quality=33"),
        sign(f"/image?source=https://user:{TWO}@example.com/a.jpg&width=1"),
        sign(f"/image?source=http://127.0.0.1:1/a.jpg%3Ftoken={TWO}&width=1"),
        sign(f"/image?source={encoded}&width=1"),
        sign(f"/image?source=http%3A%2F%2F127.0.0.1%3A1%2Fa.jpg%3F{TWO}&width=1"),
        f"/image?source={encoded}&width=1&signature=k1.{TWO}",
        f"/nothing?token={TWO}",
    ]
    answers = [signed.get(target, {"Authorization": f"Bearer {TWO}", "Cookie": TWO}) for target in asked]
    until(lambda: '"/nothing' in signed.log.read_text()[before:], "the log of the last of them")
    shown = [signed.log.read_text()[before:]]
    shown += [signed.admin(p).body.decode() for p in ("/metrics", "/version", "/readyz", f"/explain?{TARGET[7:]}")]
    shown += [f"{answer.pairs} {answer.body!r}" for answer in answers]

    assert not [text for text in shown if TWO in text or sign(f"{TARGET}&quality=33").rpartition(".")[2] in text]
    assert TWO not in signed.log.read_text()
    assert ONE not in signed.log.read_text()


def test_the_command_line_signs(signed: Node) -> None:
    """`imagemill sign` makes what the port accepts."""
    config = next(signed.log.parent.glob("node-*.toml"))
    made = subprocess.run(
        [sys.executable, "-m", "imagemill", "sign", "--config", config, "--key-id", "k2", "--expires-in", "60", TARGET],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert signed.get(made.stdout.strip()).status == 200


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("[signing]\nmode = 'required'\n", "signing.keys is empty"),
        ("[signing.keys]\nk1 = ''\n", "0 bytes"),
        ("[signing.keys]\nk1 = 'short'\n", "5 bytes"),
        ("[server]\nport = 0\n", "signing.keys is empty"),
        ("[server]\nprot = 0\n", "did you mean port?"),
        ("[storage.x]\nkind = 'file'\nroot = '/none/there'\n[signing]\nmode = 'unsigned'\n", "storage.x"),
        ("[storage.x]\nkind = 'tape'\n[signing]\nmode = 'unsigned'\n", "storage.x.kind"),
        ("[cache]\nl1_bytes = 999999999999\n[signing]\nmode = 'unsigned'\n", "cache.l1_bytes"),
    ],
)
def test_wrong_settings_stop_the_start(tmp_path: Path, settings: str, words: str) -> None:
    """R01, O04: an empty or short key, or any other wrong setting, and nothing starts; `--check` says the same."""
    config = tmp_path / "c.toml"
    config.write_text(settings)
    for more in ([], ["--check"]):
        made = subprocess.run(
            [sys.executable, "-m", "imagemill", "serve", "--config", config, *more],
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert made.returncode == 2
        assert words in made.stderr
        assert "Traceback" not in made.stderr


def test_unsigned_mode_says_so(tmp_path: Path) -> None:
    """Unsigned mode must be chosen, and is announced."""
    with serving(tmp_path) as node:
        until(node.lines, "the log")
        events = [line["event"] for line in node.lines()]

    assert any(event.startswith("unsigned mode") for event in events)
