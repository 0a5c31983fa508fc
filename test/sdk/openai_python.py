"""Checks a server with the official Python client: openai_python.py BASE_URL MODEL. Prints one line per check."""

import sys

import openai

base_url, model = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key="EMPTY", max_retries=0)
messages = [{"role": "user", "content": "Count from one to five."}]
short = {"model": model, "messages": messages, "max_tokens": 8, "temperature": 0, "seed": 1}


def check_models():
    ids = [m.id for m in client.models.list()]
    assert ids[0] == "default" and model in ids, ids
    assert client.models.retrieve(model).id == model


def check_chat():
    completion = client.chat.completions.create(**{**short, "model": "default"})
    assert completion.model == model
    assert completion._request_id.startswith("req_")
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens >= 0
    assert completion.choices[0].message.role == "assistant"


def check_stream():
    whole = client.chat.completions.create(**short).choices[0].message.content
    chunks = list(client.chat.completions.create(**short, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole
    assert len({(c.id, c.created, c.model, c.system_fingerprint) for c in chunks}) == 1


def check_stream_usage():
    options = {"include_usage": True}
    *chunks, last = client.chat.completions.create(**short, stream=True, stream_options=options)
    assert last.choices == [] and last.usage.completion_tokens > 0
    assert all(c.usage is None for c in chunks)


def check_accumulator():
    with client.chat.completions.stream(**short, logprobs=True, top_logprobs=2) as stream:
        stream.until_done()
        choice = stream.current_completion_snapshot.choices[0]
    assert len(choice.logprobs.content[0].top_logprobs) == 2
    assert bytes(choice.logprobs.content[0].bytes)


def check_choices():
    choices = client.chat.completions.create(**short, n=3).choices
    assert [c.index for c in choices] == [0, 1, 2]


def check_completions():
    request = {"model": model, "max_tokens": 5, "temperature": 0}
    whole = client.completions.create(**request, prompt=["Once upon", "One"]).choices
    assert [c.index for c in whole] == [0, 1]
    chunks = client.completions.create(**request, prompt="Once upon", stream=True)
    assert "".join(c.choices[0].text for c in chunks) == whole[0].text
    echo = {**request, "max_tokens": 0, "echo": True, "logprobs": 2}
    scored = client.completions.create(**echo, prompt="Once upon").choices[0]
    assert scored.text == "Once upon" and scored.logprobs.token_logprobs[0] is None


def check_errors():
    for changes, kind, code, param in [
        ({"model": "no/such"}, openai.NotFoundError, "model_not_found", "model"),
        ({"temperature": 9}, openai.BadRequestError, "invalid_value", "temperature"),
        ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
    ]:
        for stream in [False, True]:
            try:
                client.chat.completions.create(**{**short, **changes}, stream=stream)
            except kind as error:
                assert (error.code, error.param) == (code, param), error
            else:
                raise AssertionError(f"{changes} was accepted")


def check_break():
    stream = client.chat.completions.create(**{**short, "max_tokens": 500}, stream=True)
    next(iter(stream))
    stream.close()
    client.chat.completions.create(**short)


for name, check in list(globals().items()):
    if name.startswith("check_"):
        check()
        print(f"ok {name}", flush=True)
