"""Verifies access tokens with PyJWT against a key set it fetches and caches, one a line.

Arguments: the key set's URL, the issuer, the audience, how many seconds the key set is kept. Says "ok" to each token, or
why not.
"""

import sys

import jwt

url, issuer, audience, kept = sys.argv[1:]
keys = jwt.PyJWKClient(url, cache_jwk_set=True, lifespan=int(kept))
for line in sys.stdin:
    token = line.strip()
    try:
        key = keys.get_signing_key_from_jwt(token)
        jwt.decode(token, key, algorithms=["EdDSA"], issuer=issuer, audience=audience)
        print("ok", flush=True)
    except jwt.PyJWTError as error:
        print(repr(error), flush=True)
