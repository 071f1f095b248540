"""Users who refresh at whichever replica their client picks, by the service config that is published, until stdin closes.
Says on stdout that they began, and in the end how many calls there were and which failed.

Usage: roll.py PROTO_FOLDER SERVICE_CONFIG TARGET
"""

import json
import sys
import threading
import time
import uuid

import grpc

proto, config, target = sys.argv[1:]
sys.path.insert(0, proto)
messages, services = grpc.protos_and_services("symbolon/auth/v1/auth_service.proto")

over = threading.Event()
counted = threading.Lock()
calls, failed = 0, []


def call(method, request):
    global calls
    try:
        return method(request)
    except grpc.RpcError as error:
        with counted:
            failed.append(f"{error.code()}: {error.details()}")
        return None
    finally:
        with counted:
            calls += 1


def user(auth, name):
    issued = call(auth.IssueTokens, messages.IssueTokensRequest(subject=name, request_id=str(uuid.uuid4())))
    if issued is None:
        return
    tokens, generation = issued.tokens, 1
    while not over.is_set():
        answer = call(auth.RefreshTokens, messages.RefreshTokensRequest(refresh_token=tokens.refresh_token))
        if answer is None:
            return
        tokens, generation = answer.tokens, generation + 1
        # A retry is answered as the call it retries was: no generation is skipped, and none comes twice.
        if answer.session.generation != generation:
            with counted:
                failed.append(f"generation {answer.session.generation} where {generation} is next")
            return
        time.sleep(0.01)


# A list of addresses is no authority, and HTTP/2 servers refuse it as one.
OPTIONS = [("grpc.service_config", open(config).read()), ("grpc.default_authority", "localhost")]

with grpc.insecure_channel(target, OPTIONS) as channel:
    auth = services.AuthServiceStub(channel)
    users = [threading.Thread(target=user, args=(auth, f"user-{number}")) for number in range(8)]
    for thread in users:
        thread.start()
    print("began", flush=True)
    sys.stdin.read()
    over.set()
    for thread in users:
        thread.join()
    print(json.dumps({"calls": calls, "failed": failed}), flush=True)
