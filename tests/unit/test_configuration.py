"""O04: a wrong setting stops the start with words that help; a right one is read from file and environment."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.configuration import as_bytes, data_directory, load, masked, of_bytes, tokens_file
from imagemill.model.errors import SettingsError
from imagemill.settings import Jobs, Secret, Server, Settings, Signing

KEY = "k" * 32
UNSIGNED = {"IMAGEMILL_SIGNING__MODE": "unsigned"}


def write(tmp_path, text):
    path = tmp_path / "imagemill.toml"
    path.write_text(text)
    return path


def test_file_then_environment_then_flags(tmp_path):
    """The environment lies over the file, a flag over both."""
    path = write(tmp_path, "[server]\nport = 1\nadmin_port = 2\nkeep_alive_s = 3\n")
    environ = UNSIGNED | {"IMAGEMILL_SERVER__PORT": "10", "IMAGEMILL_SERVER__ADMIN_PORT": "20"}

    settings = load(path, environ, {"server": {"port": 100}})

    assert (settings.server.port, settings.server.admin_port, settings.server.keep_alive_s) == (100, 20, 3)


def test_environment_values_are_toml():
    environ = UNSIGNED | {
        "IMAGEMILL_SOURCES__PORTS": "[80, 8000]",
        "IMAGEMILL_SOURCES__ALLOW_PRIVATE_NETWORKS": "true",
        "IMAGEMILL_SOURCES__USER_AGENT": "robot",
        "IMAGEMILL_STORAGE__PHOTOS__KIND": "file",
    }

    settings = load(None, environ)

    assert settings.sources.ports == (80, 8000)
    assert settings.sources.allow_private_networks
    assert settings.sources.user_agent == "robot"
    assert settings.storage == {"photos": {"kind": "file"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1", "unknown setting server.prot; did you mean port?"),
        ("prot = 1", "unknown setting prot; did you mean server.port?"),
        ("[sever]\nport = 1", "unknown setting sever; did you mean server?"),
        ("[limits]\nxyzzy = 1", "unknown setting limits.xyzzy"),
        ("[server]\nport = 'a'", "server.port"),
        ("[server]\nport = -1", "server.port"),
        ("[server]\nport = 70000", "server.port"),
        ("[limits]\npixels = 0", "limits.pixels"),
        ("[limits]\npixels = 1.5", "limits.pixels"),
        ("[fetch]\ntotal_s = 0", "fetch.total_s"),
        ("[cache]\nl1_ttl_s = 301", "cache.l1_ttl_s"),
        ("[cache]\nsource_ttl_s = 61", "cache.source_ttl_s"),
        ("[cache]\npolicy = 'lfu'", "cache.policy"),
        ("[sources]\nallow_networks = ['10.0.0.1/8']", "sources.allow_networks"),
        ("[sources]\nallow_networks = ['ten']", "sources.allow_networks"),
        ("[callbacks]\nallow_networks = ['ten']", "callbacks.allow_networks"),
        ("[server]\ntrusted_proxies = ['ten']", "server.trusted_proxies"),
        ("[server]\ntrusted_proxies = ['10.0.0.1/8']", "server.trusted_proxies"),
        ("[server]\ntrusted_proxies = '10.0.0.0/8'", "trusted_proxies"),
        ("[server]\ncors_origins = '*'", "cors_origins"),
        *(
            (f"[server]\ncors_origins = ['{origin}']", f"server.cors_origins: {origin}:")
            for origin in (
                "",
                "null",
                "shop.example",
                "https://",
                "https:shop.example",
                "https://shop.example/",
                "https://shop.example/a",
                "https://shop.example?",
                "https://shop.example#",
                "https://Shop.example",
                "HTTPS://shop.example",
                "https://*.shop.example",
                "https://user@shop.example",
                "https://shop.example:",
                "https://shop.example:0",
                "https://shop.example:080",
                "https://shop.example:65536",
                "https://shop.example:443",
                "http://shop.example:80",
                "https://münchen.example",
                "https://shop.example https://a.example",
                "https://a..example",
                "https://.example",
                "**",
            )
        ),
        ("[server]\ncors_origins = ['*', 'https://shop.example']", "stands alone"),
        ('[server]\ncors_origins = ["https://shop.example\\r"]', "server.cors_origins"),
        ("[sources]\nschemes = ['file']", "sources.schemes"),
        ("[server]\nport = 8081", "admin_port must differ"),
        ("[engine]\ndeadline_s = 60", "engine.deadline_s must not exceed server.request_timeout_s"),
        ("[server]\nmax_head_bytes = 4096", "server.max_target_bytes must not exceed server.max_head_bytes"),
        ("[limits]\npixels = 200_000_000", "limits.pixels must not exceed limits.total_pixels"),
        ("[limits]\noutput_bytes = 2000000000", "address_space_bytes"),
        ("[signing]\nmode = 'off'", "signing.mode"),
        ("[limits]\npixels = 99999999999999999999", "limits.pixels"),
        ("[fetch]\ntotal_s = inf", "fetch.total_s"),
        ("[fetch]\ntotal_s = nan", "fetch.total_s"),
        ("[server]\ndrain_s = inf", "server.drain_s"),
        ("[server]\nhost = ''", "server.host"),
        ("[server]\nadmin_host = ''", "server.admin_host"),
        ("[engine]\nworkers = 100000", "engine.workers"),
        ('[sources]\nuser_agent = "a\\r\\nx: y"', "sources.user_agent"),
        ("[signing.keys]\nk1 = 5", "Expected `str`, got `int` - at `$.signing.keys"),
        ("server = 1", "server is a table"),
        ("= 1", "Invalid"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, text, words):
    path = write(tmp_path, text)

    with pytest.raises(SettingsError) as e:
        load(path, {} if "signing" in text else UNSIGNED)

    assert words in str(e.value)


@pytest.mark.parametrize(
    "origins",
    [
        (), ("*",), ("https://shop.example",), ("https://shop.example:8443", "http://localhost:3000", "http://127.0.0.1"), ("http://[::1]:3000",),
        ("https://xn--mnchen-3ya.example",), ("capacitor://localhost",), ("chrome-extension://abcdefgh",), ("http://shop.example:443",),
    ],
)  # fmt: skip
def test_origins_as_browsers_send_them(origins):
    assert Settings(signing=Signing("unsigned"), server=Server(cors_origins=origins)).server.cors_origins == origins


@pytest.mark.parametrize(
    ("signing", "words"),
    [
        ("", 'signing.mode is "required" and signing.keys is empty'),
        ("[signing.keys]\nk1 = ''", "0 bytes; at least 32"),
        (f"[signing.keys]\nk1 = '{KEY[:-1]}'", "31 bytes; at least 32"),
        (f"[signing.keys]\n'a.b' = '{KEY}'", "a key id is"),
        (f"[signing.keys]\n'' = '{KEY}'", "a key id is"),
    ],
)
def test_signing_with_no_or_short_keys_is_refused(tmp_path, signing, words):
    """R01: empty or short keys never start a service that believes itself signed."""
    with pytest.raises(SettingsError, match=words):
        load(write(tmp_path, signing), {})


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "none.toml", UNSIGNED)


@given(st.text("abcdefghij_", min_size=1, max_size=12))
def test_no_unknown_name_is_accepted(name):
    """Property: a name that is not a setting is never read in silence."""
    known = set(Settings.__struct_fields__)
    if name not in known:
        with pytest.raises(SettingsError):
            load(None, UNSIGNED, {name: {}})


def test_secrets_are_masked(tmp_path):
    """O02: no key in the printed configuration, in repr, or in an error."""
    path = write(tmp_path, f"[signing.keys]\nk1 = '{KEY}'\n")

    settings = load(path, {})

    shown = json.dumps(masked(settings)) + repr(settings.signing) + str([settings.signing.keys["k1"]])
    assert KEY not in shown
    assert masked(settings)["signing"]["keys"] == {"k1": "***"}
    assert settings.signing.keys["k1"].encode() == KEY.encode()
    assert repr(Secret("")) == "''"


@pytest.mark.parametrize(
    "line",
    [
        "secret_key = 'hush'", "Password = 'hush'", "passwd = 'hush'", "session_token = 'hush'", "api_key = 'hush'",
        "apikey = 'hush'", "access_key_id = 'hush'", "credentials = ['hush']", "url = 'redis://me:hush@host:6379/0'",
        "urls = ['https://hush@host/']", "keys = {a = 'hush'}", "auth = {token = ['hush']}",
    ],
)  # fmt: skip
def test_secrets_of_plugins_are_masked(tmp_path, line):
    """O02: by name and by form, where no type says what is secret."""
    settings = load(write(tmp_path, f"[storage.monkey]\nroot = '/srv'\n{line}\n"), UNSIGNED)

    shown = masked(settings)["storage"]["monkey"]

    assert "hush" not in json.dumps(shown)
    assert shown["root"] == "/srv"


def test_the_printed_configuration_is_complete():
    """Every table and every field is shown."""
    shown = masked(load(None, UNSIGNED))

    assert set(shown) == set(Settings.__struct_fields__)
    assert shown["sources"]["ports"] == (80, 443)


@pytest.mark.parametrize("text", ["12345678901234567890123456789012", "1e99", "true", "[1]", '"quoted"', "2026-11-26"])
def test_secrets_are_taken_as_they_are(text):
    """A secret in the environment that looks like a number, a date or a table is a string all the same."""
    long = text.ljust(32, "0")
    made = load(None, {"IMAGEMILL_L2__SECRET": long, "IMAGEMILL_SIGNING__KEYS__k1": long})

    assert (made.l2.secret, made.signing.keys["k1"]) == (long, long)


@pytest.mark.parametrize(
    ("data", "environ", "directory"),
    [
        ("/srv/mill", {"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/srv/mill"),
        ("", {"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/imagemill"),
        ("", {"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/imagemill"),
        ("", {"XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.local/state/imagemill"),
    ],
)
def test_where_jobs_and_tokens_are_kept(data, environ, directory):
    assert data_directory(Jobs(data=data), environ) == Path(directory)
    assert tokens_file(Jobs(data=data), environ) == Path(directory) / "tokens.json"
    assert tokens_file(Jobs(data=data, tokens="/etc/mill/tokens.json"), environ) == Path("/etc/mill/tokens.json")


def test_nowhere_to_keep_them_is_said():
    with pytest.raises(SettingsError, match=r"jobs\.data"):
        data_directory(Jobs(), {"HOME": "relative"})


def test_settings_reach_a_process_of_ours_whole():
    """Every value, secrets too, as they were; what is no settings is refused without a word of it."""
    settings = load(
        None, UNSIGNED, {"l2": {"url": "redis://u:p@h"}, "callbacks": {"secrets": {"a": ["whsec_1", "whsec_2"]}}}
    )  # fmt: skip

    handed = of_bytes(as_bytes(settings))

    assert handed == settings
    assert repr(handed.callbacks.secrets["a"][0]) == "'***'"
    with pytest.raises(SettingsError):
        of_bytes(b'{"server": 1}')


def test_whom_a_client_calls_is_no_setting():
    assert load(None, UNSIGNED | {"IMAGEMILL_URL": "http://h", "IMAGEMILL_TOKEN": "t"}) == load(None, UNSIGNED)
