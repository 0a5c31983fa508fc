"""Checks a server with the official Python client: openai_python.py BASE_URL MODEL. Prints one line per check."""

import sys
import time

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


def check_responses():
    response = client.responses.create(model=model, input="Once upon", max_output_tokens=5, temperature=0)
    assert response.status == "incomplete" and response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 5 and response.error is None and response.metadata == {}
    assert client.responses.retrieve(response.id) == response
    (item,) = client.responses.input_items.list(response.id)
    assert item.content[0].text == "Once upon"
    more = client.responses.create(
        model=model, input="More", previous_response_id=response.id, max_output_tokens=5
    )
    assert more.usage.input_tokens > response.usage.input_tokens
    client.responses.delete(response.id)
    try:
        client.responses.retrieve(response.id)
    except openai.NotFoundError:
        pass
    else:
        raise AssertionError("a deleted response is still there")


def check_responses_stream():
    request = {"model": model, "input": "Once upon", "max_output_tokens": 5, "temperature": 0}
    whole = client.responses.create(**request)
    with client.responses.stream(**request) as stream:
        events = list(stream)
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == events[-1].response.output_text == whole.output_text
    numbers = [e.sequence_number for e in client.responses.create(**request, stream=True)]
    assert numbers == list(range(len(numbers)))


def check_responses_background():
    request = {"model": model, "input": "Once upon", "max_output_tokens": 5, "background": True}
    response = client.responses.create(**request)
    while response.status in ("queued", "in_progress"):
        time.sleep(0.02)
        response = client.responses.retrieve(response.id)
    assert response.status == "incomplete", response
    rest = list(client.responses.retrieve(response.id, stream=True, starting_after=3))
    assert rest[0].sequence_number == 4 and rest[-1].response == response
    assert client.responses.create(**request, stream=False).status in ("queued", "in_progress")


def check_break():
    stream = client.chat.completions.create(**{**short, "max_tokens": 500}, stream=True)
    next(iter(stream))
    stream.close()
    client.chat.completions.create(**short)


for name, check in list(globals().items()):
    if name.startswith("check_"):
        check()
        print(f"ok {name}", flush=True)
