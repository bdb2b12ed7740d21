#!/bin/sh
# A channel without a platform in POSIX shell: what is sent comes back as a message. It reads JSON with sed, which is
# enough to show that a plugin is lines in and lines out; a real one takes a language that reads JSON.

began=$(date +%s)
count=0

# Value of a text field of $line as it is written, escapes and all, so that it can be written again.
field() {
  printf '%s' "$line" | sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\(\([^"\\]\|\\.\)*\)".*/\1/p'
}

say() {
  printf '%s\n' "$1"
}

ok() {
  say "{\"type\":\"command_ok\",\"request_id\":\"$request_id\"$1}"
}

# The type by itself: a text of the message may contain anything.
kind() {
  printf '%s' "$line" | sed 's/\\"//g; s/"content"[[:space:]]*:[[:space:]]*"[^"]*"//; s/"caption"[[:space:]]*:[[:space:]]*"[^"]*"//' |
    sed -n 's/.*"type"[[:space:]]*:[[:space:]]*"\([a-z_]*\)".*/\1/p'
}

say '{"type":"ready","gateway":"echo-sh","version":"v1alpha1","capabilities":["typing"]}'

# read -r ends with an error at the end of the input: the core is gone.
while IFS= read -r line; do
  request_id=$(field request_id)
  case $(kind) in
    shutdown) exit 0 ;;
    ping)
      uptime=$(($(date +%s) - began))
      say "{\"type\":\"pong\",\"request_id\":\"$request_id\",\"uptime_seconds\":$uptime,\"connected\":true}"
      ;;
    send_typing) ;;
    send_message)
      count=$((count + 1))
      chat_id=$(field chat_id)
      text=$(field content)
      ok ",\"message_id\":\"m$count\""
      # An answer has no echo, or agent and echo would talk for ever.
      [ -n "$(field reply_to)" ] ||
        say "{\"type\":\"message_received\",\"message_id\":\"echo-m$count\",\"chat_id\":\"$chat_id\",\"sender\":{\"id\":\"echo\"},\"content\":{\"type\":\"text\",\"text\":\"$text\"},\"routing\":{\"channel\":\"echo\",\"chat_type\":\"dm\",\"chat_id\":\"$chat_id\",\"sender_id\":\"echo\"},\"reply_to\":\"m$count\"}"
      ;;
    answer_callback_query) ok '' ;;
    *)
      if [ -n "$request_id" ]; then
        say "{\"type\":\"command_error\",\"request_id\":\"$request_id\",\"code\":\"invalid_request\",\"message\":\"this channel only sends texts\"}"
      fi
      ;;
  esac
done
