#!/usr/bin/env python3
"""A channel without a platform, in Python and its standard library only: what is sent comes back as a message."""

import json
import sys
import time

BEGAN = time.monotonic()
messages = {}


def say(kind, **fields):
    """One record on one line. Everything else, such as a print for yourself, belongs on stderr."""
    sys.stdout.write(json.dumps({"type": kind, **fields}) + "\n")
    sys.stdout.flush()


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def echo(chat_id, content, reply_to):
    say(
        "message_received",
        message_id=f"echo-{reply_to}",
        chat_id=chat_id,
        sender={"id": "echo", "display_name": "Echo"},
        content=content,
        # Every value in here must be text.
        routing={"channel": "echo", "chat_type": "dm", "chat_id": chat_id, "sender_id": "echo"},
        reply_to=reply_to,
    )


def remember(text):
    message_id = f"m{len(messages) + 1}"
    messages[message_id] = text
    return message_id


def known(message_id):
    if message_id not in messages:
        raise Refused("message_not_found", f"There is no message {message_id}")
    return message_id


def send_message(command):
    message_id = remember(command["content"])
    if not command.get("reply_to"):  # Or agent and echo would talk for ever.
        echo(command["chat_id"], {"type": "text", "text": command["content"]}, message_id)
    return message_id


def send_media(command):
    message_id = remember(command.get("caption") or "")
    content = {"type": "media", "media_type": "document", "caption": command.get("caption")}
    echo(command["chat_id"], content, message_id)
    return message_id


def edit_message(command):
    messages[known(command["message_id"])] = command["content"]
    return command["message_id"]


def delete_message(command):
    del messages[known(command["message_id"])]


def answer_callback_query(command):
    print("callback answered:", command["callback_query_id"], file=sys.stderr)


COMMANDS = {
    "send_message": send_message,
    "send_media": send_media,
    "edit_message": edit_message,
    "delete_message": delete_message,
    "answer_callback_query": answer_callback_query,
}


def handle(command):
    kind = command.get("type")
    if kind == "ping":
        uptime = int(time.monotonic() - BEGAN)
        return say("pong", request_id=command["request_id"], uptime_seconds=uptime, connected=True)
    if kind == "send_typing":
        return None  # It has no request_id, and is never answered.
    request_id = command.get("request_id")
    if kind not in COMMANDS:
        # A newer core may say more than is known here.
        if request_id:
            say("command_error", request_id=request_id, code="invalid_request", message=f"unknown command {kind}")
        return None
    try:
        message_id = COMMANDS[kind](command)
    except Refused as refused:
        return say("command_error", request_id=request_id, code=refused.code, message=str(refused))
    except KeyError as missing:
        return say("command_error", request_id=request_id, code="invalid_request", message=f"{missing} is missing")
    return say("command_ok", request_id=request_id, **({"message_id": message_id} if message_id else {}))


def main():
    capabilities = ["edit", "delete", "media", "typing", "reply"]
    say("ready", gateway="echo-python", version="v1alpha1", capabilities=capabilities)
    # The end of the input means that the core is gone.
    for line in sys.stdin.buffer:
        try:
            command = json.loads(line.decode("utf-8", "replace"))
        except ValueError as error:
            print("no JSON:", error, file=sys.stderr)
            continue
        if not isinstance(command, dict):
            continue
        if command.get("type") == "shutdown":
            break
        handle(command)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        pass
