"""Verifies an access token with PyJWT, as its documentation says.

Reads {"jwks", "token", "issuer", "audience"} from stdin; prints the claims, or fails.
"""

import json
import sys

import jwt

asked = json.load(sys.stdin)
keys = jwt.PyJWKSet.from_dict(asked["jwks"])
header = jwt.get_unverified_header(asked["token"])
if header["typ"] != "at+jwt":
    sys.exit("typ is not at+jwt")
claims = jwt.decode(
    asked["token"],
    keys[header["kid"]],
    algorithms=["EdDSA"],
    issuer=asked["issuer"],
    audience=asked["audience"],
    options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
)
print(json.dumps(claims))
