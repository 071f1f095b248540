"""Exchanges refresh tokens of a table of one's own for those of Symbolon, one at a time, when they are used.

The table: refresh_tokens(hash, subject, signed_in_at, methods, expires_at, exchanged_at), times in seconds.
"""

import hashlib
import sqlite3
import sys
import time
import uuid

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from symbolon.auth.v1 import auth_service_pb2 as pb
from symbolon.auth.v1 import auth_service_pb2_grpc

# How long IssueTokens gives the same answer to the same request_id.
RETRIES = 600


class SignInAgain(Exception):
    """The old token is no good."""


class KeepWhatYouHave(Exception):
    """The old token was exchanged, and its successor is in use: the browser has a newer cookie by now."""


def exchange(table, symbolon, metadata, old):
    """Symbolon's tokens for an old one: for a retry or a second tab the same ones."""
    digest = hashlib.sha256(old.encode()).digest()
    row = table.execute(
        "SELECT subject, signed_in_at, methods, expires_at, exchanged_at FROM refresh_tokens WHERE hash = ?", [digest]
    ).fetchone()
    now = time.time()
    if row is None:
        raise SignInAgain
    subject, signed_in_at, methods, expires_at, exchanged_at = row
    if expires_at < now or (exchanged_at is not None and exchanged_at + RETRIES < now):
        raise SignInAgain
    # Nothing in it may depend on now: another request under the same id would be refused.
    request = pb.IssueTokensRequest(
        subject=subject,
        authentication=pb.Authentication(auth_time=Timestamp(seconds=signed_in_at), amr=methods.split()),
        request_id=str(uuid.UUID(bytes=digest[:16])),
    )
    try:
        tokens = symbolon.IssueTokens(request, metadata=metadata).tokens
    except grpc.RpcError as refused:
        if refused.code() == grpc.StatusCode.ALREADY_EXISTS:
            raise KeepWhatYouHave from refused
        raise
    # Afterwards: whoever gets no answer asks again, and is given the same.
    with table:
        table.execute(
            "UPDATE refresh_tokens SET exchanged_at = COALESCE(exchanged_at, ?) WHERE hash = ?", [int(now), digest]
        )
    return tokens


if __name__ == "__main__":
    database, address, token_file, old = sys.argv[1:]
    with open(token_file) as file:
        secret = file.readline().strip()
    stub = auth_service_pb2_grpc.AuthServiceStub(grpc.insecure_channel(address))
    try:
        print(exchange(sqlite3.connect(database), stub, [("authorization", f"Bearer {secret}")], old).refresh_token)
    except (SignInAgain, KeepWhatYouHave) as refused:
        sys.exit(type(refused).__name__)
