"""Checks a server with the official Python client: anthropic_python.py BASE_URL MODEL. Prints one line per check."""

import sys

import anthropic

base_url, model = sys.argv[1:]
client = anthropic.Anthropic(base_url=base_url, api_key="EMPTY", max_retries=0)
messages = [{"role": "user", "content": "Count from one to five."}]
short = {"model": model, "messages": messages, "max_tokens": 8}


def check_message():
    message = client.messages.create(**{**short, "model": "default"})
    assert message.model == model and message.id.startswith("msg_")
    assert message.content[0].type == "text"
    assert 0 < message.usage.output_tokens <= 8
    assert message._request_id.startswith("req_")


def check_stream():
    whole = client.messages.create(**short).content[0].text
    with client.messages.stream(**short) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole == final.content[0].text
    assert final.stop_reason in ("end_turn", "max_tokens")


def check_raw_events():
    events = list(client.messages.create(**short, stream=True))
    assert events[0].type == "message_start" and events[-1].type == "message_stop"


def check_count_tokens():
    count = client.messages.count_tokens(model=model, messages=messages).input_tokens
    assert count == client.messages.create(**short).usage.input_tokens


def check_errors():
    for changes, kind in [
        ({"model": "claude-x"}, anthropic.NotFoundError),
        ({"max_tokens": 0}, anthropic.BadRequestError),
        ({"messages": []}, anthropic.BadRequestError),
    ]:
        try:
            client.messages.create(**{**short, **changes})
        except kind as error:
            assert error.body["type"] == "error", error.body
        else:
            raise AssertionError(f"{changes} was accepted")


for name, check in list(globals().items()):
    if name.startswith("check_"):
        check()
        print("ok", name.removeprefix("check_"))
