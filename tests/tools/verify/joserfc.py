"""Verifies an access token with joserfc, as its documentation says.

Reads {"jwks", "token", "issuer", "audience"} from stdin; prints the claims, or fails.
"""

import json
import sys

# This file bears the library's name: it shall not be taken for it.
sys.path.pop(0)

from joserfc import jwt
from joserfc.jwk import KeySet

asked = json.load(sys.stdin)
keys = KeySet.import_key_set(asked["jwks"])
token = jwt.decode(asked["token"], keys, algorithms=["EdDSA"])
if token.header["typ"] != "at+jwt":
    sys.exit("typ is not at+jwt")
jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": asked["issuer"]},
    aud={"essential": True, "value": asked["audience"]},
    exp={"essential": True},
    iat={"essential": True},
).validate(token.claims)
print(json.dumps(token.claims))
