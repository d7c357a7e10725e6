"""What has to happen in Redis in one step: the scripts, and how they are run.

Keys     all keys of a script stand in one slot of a Cluster: they share what is in braces.
Units    milliseconds.
Errors   those of `redis_client.Client`.
Source   Redis 7.0: a script may PUBLISH to a whole Cluster; Lua compares strings by locale, so numbers are compared.
"""

from hashlib import sha1
from typing import Any

from msgspec import Struct
from redis.exceptions import NoScriptError

from imagemill.cache.frame import BORN, CHECKSUM, MAGIC
from imagemill.cache.redis_client import Client


class Script(Struct, frozen=True):
    """Lua, and the name that Redis knows it by once it has seen it."""

    text: str
    sha: str


def _script(text: str) -> Script:
    return Script(text, sha1(text.encode()).hexdigest())  # noqa: S324 - the name that Redis gives it


STORE = _script(f"""
local function born(frame)
  if type(frame) ~= 'string' or #frame < {BORN.stop} or string.sub(frame, 1, {len(MAGIC)}) ~= '{MAGIC.decode()}' then
    return -1
  end
  local ms = 0
  for at = {BORN.start + 1}, {BORN.stop} do ms = ms * 256 + string.byte(frame, at) end
  return ms
end
local holder = redis.call('GET', KEYS[2])
local mine = ARGV[1] ~= '' and holder == ARGV[1]
if not mine then
  if holder or born(redis.pcall('GETRANGE', KEYS[1], 0, {BORN.stop - 1})) >= born(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if mine then redis.call('DEL', KEYS[2]) end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
""")
"""KEYS value, lease; ARGV token or '', frame, life, channel, key: store, end the lease, tell; 0 = fenced off."""

RELEASE = _script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
""")
"""KEYS lease; ARGV token, channel, key: end the lease where it is ours, and tell."""

RENEW = _script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")
"""KEYS lease; ARGV token, life: keep the lease up where it is ours."""

EXTEND = _script(f"""
if redis.pcall('GETRANGE', KEYS[1], {CHECKSUM.start}, {CHECKSUM.stop - 1}) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""")
"""KEYS value; ARGV checksum, frame, life: store where the value still has that checksum."""

DISCARD = _script("""
local head = redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if type(head) == 'table' or (#head > 0 and head == ARGV[1]) then return redis.call('UNLINK', KEYS[1]) end
return 0
""")
"""KEYS value; ARGV head: delete a value that still begins so, or is no string at all."""


async def run(client: Client, script: Script, keys: tuple[str, ...], *arguments: Any) -> Any:
    """Run *script* by its name, or in full where Redis has not seen it."""
    try:
        return await client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return await client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)
