"""The cache that processes share in Redis: signed, small, and never worth waiting for."""

import hashlib
import hmac
import pickle
import zlib

from django.conf import settings

SECONDS = 0.2  # to wait for Redis: a page without it takes less


def redis_caches(url: str) -> dict:
    """CACHES for this Redis. A lost connection is tried once more; then it is an error, at once."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options = {
        "serializer": "moonwalk.cache.SignedSerializer",
        "socket_connect_timeout": SECONDS,
        "socket_timeout": SECONDS,
        "retry": Retry(NoBackoff(), 1),
    }
    return {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": "moonwalk",
            "OPTIONS": options,
        }
    }


class NotOurs(ValueError):
    """What Redis holds was not written with this installation's SECRET_KEY."""


class SignedSerializer:
    """Pickles for Django's Redis cache, compressed and signed: unpickling runs what it is told, so who can write to
    Redis must not be able to tell. Plain integers stay as they are, for Redis to count with.

    loads() raises NotOurs for what has no good signature.
    """

    def dumps(self, value) -> bytes | int:
        if type(value) is int:
            return value
        body = zlib.compress(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), 1)
        return _signature(body) + body

    def loads(self, data: bytes):
        try:
            return int(data)
        except ValueError:
            pass
        signature, body = data[:32], data[32:]
        if not hmac.compare_digest(signature, _signature(body)):
            raise NotOurs("a cached value has no good signature")
        return pickle.loads(zlib.decompress(body))


def _signature(body: bytes) -> bytes:
    key = hashlib.sha256(b"moonwalk.cache" + settings.SECRET_KEY.encode()).digest()
    return hmac.digest(key, body, "sha256")
