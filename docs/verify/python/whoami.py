"""A service that verifies Symbolon's access tokens and asks the issuer whether they were revoked.

What it checks and why is in ../README.md.
"""

import os
from functools import wraps
from urllib.parse import urlsplit

import grpc
import jwt
from flask import Flask, Response, current_app, g, request
from symbolon.auth.v1 import auth_service_pb2 as pb
from symbolon.auth.v1 import auth_service_pb2_grpc
from werkzeug.serving import make_server

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
SYMBOLON = urlsplit(os.environ["SYMBOLON_URL"])
CALLER_TOKEN = os.environ.get("SYMBOLON_CALLER_TOKEN", "")

# A new key is published a day before it signs, and one that is not known is looked for, at most every 5 s. A key that was
# taken out is caught by asking, so that the set may be kept for long while the issuer is away.
keys = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json", lifespan=86_400, cooldown_duration=5, timeout=5)

options = [("grpc.max_reconnect_backoff_ms", 5_000)]
if SYMBOLON.scheme == "https":
    channel = grpc.secure_channel(SYMBOLON.netloc, grpc.ssl_channel_credentials(), options)
else:  # on this machine only: the secret must not cross a network in plaintext
    channel = grpc.insecure_channel(SYMBOLON.netloc, options)
issuer = auth_service_pb2_grpc.AuthServiceStub(channel)
caller = [("authorization", f"Bearer {CALLER_TOKEN}")] if CALLER_TOKEN else []

# What cannot be told now is not the user's fault: 503, never 401, which would sign people out.
UNDECIDED = (jwt.PyJWKClientConnectionError, OSError, grpc.RpcError)


def verify(token: str) -> dict:
    """The claims of a good token. Raises a PyJWTError if it is not, one of UNDECIDED if that cannot be told now."""
    # The library does not look at it: another kind of token of this issuer is no access token.
    if jwt.get_unverified_header(token).get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")
    claims = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["EdDSA"],
        issuer=ISSUER,
        audience=AUDIENCE,
        options={"require": ["exp", "iss", "aud", "sub", "sid"]},
        leeway=5,  # for clocks that differ
    )
    # Last, so that a forged token is not worth a call.
    if not issuer.IntrospectToken(pb.IntrospectTokenRequest(token=token), metadata=caller, timeout=2).active:
        raise jwt.InvalidTokenError("revoked")
    return claims


def guard(scope: str = ""):
    """Lets through whom a good token with this scope names; the claims are in `g.claims`."""

    def decorate(view):
        @wraps(view)
        def guarded(*args, **kwargs):
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            try:
                g.claims = verify(token if scheme.lower() == "bearer" else "")
            except UNDECIDED:  # first: PyJWKClientConnectionError is a PyJWTError too
                current_app.logger.exception("a token could not be judged")
                why = "it cannot be told now whether this token is good\n"
                return Response(why, 503, {"Retry-After": "1"}, mimetype="text/plain")
            except jwt.PyJWTError:
                why = "a good access token is needed\n"
                return Response(why, 401, {"WWW-Authenticate": "Bearer"}, mimetype="text/plain")
            if scope and scope not in g.claims.get("scope", "").split(" "):
                challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
                return Response("the token does not allow this\n", 403, challenge, mimetype="text/plain")
            return view(*args, **kwargs)

        return guarded

    return decorate


app = Flask(__name__)


@app.get("/whoami")
@guard()
def whoami():
    return g.claims


@app.get("/orders")
@guard(scope="orders:read")
def orders():
    return g.claims


if __name__ == "__main__":  # in production: gunicorn whoami:app, with a channel made in each worker
    server = make_server("localhost", int(os.environ["PORT"]), app, threaded=True)
    print(f"listening on localhost:{server.port}", flush=True)
    server.serve_forever()
