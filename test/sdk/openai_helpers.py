"""Tools, schemas, Responses and embeddings with the official Python client: openai_helpers.py BASE_URL MODEL EMBEDDING_MODEL."""

import sys
from typing import Literal

import openai
from pydantic import BaseModel

base_url, model, embedding_model = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key="EMPTY", max_retries=0)
question = "What is the weather in Rome?"
messages = [{"role": "user", "content": question}]


class Weather(BaseModel):
    city: Literal["Rome", "Oslo"]
    unit: Literal["celsius", "fahrenheit"]


class Forecast(BaseModel):
    city: Literal["Rome", "Oslo"]
    sunny: bool


def check_tools():
    tools = [openai.pydantic_function_tool(Weather, name="weather")]
    for streamed in [False, True]:
        history = list(messages)
        for tool_choice in ["required", "required", "none"]:
            request = {"model": model, "messages": history, "tools": tools, "max_tokens": 200}
            request["parallel_tool_calls"] = False
            if tool_choice == "none":
                message = client.chat.completions.create(**request, tool_choice="none")
                message = message.choices[0].message
            elif streamed:
                with client.chat.completions.stream(**request, tool_choice=tool_choice) as stream:
                    message = stream.get_final_completion().choices[0].message
            else:
                completion = client.chat.completions.parse(**request, tool_choice=tool_choice)
                message = completion.choices[0].message
            calls = message.tool_calls or []
            assert bool(calls) == (tool_choice == "required")
            history.append(message)
            for call in calls:
                assert isinstance(call.function.parsed_arguments, Weather)
                history.append({"role": "tool", "tool_call_id": call.id, "content": "21"})


def check_parse():
    request = {"model": model, "messages": messages, "response_format": Forecast, "max_tokens": 100}
    assert client.chat.completions.parse(**request).choices[0].message.parsed
    with client.chat.completions.stream(**request) as stream:
        assert stream.get_final_completion().choices[0].message.parsed


def check_responses_tools():
    tools = [openai.pydantic_function_tool(Weather, name="weather")["function"]]
    tools = [{"type": "function", **tool} for tool in tools]
    history = list(messages)
    for tool_choice in ["required", "required", "none"]:
        request = {"model": model, "input": history, "tools": tools, "store": False}
        request |= {"parallel_tool_calls": False, "max_output_tokens": 200}
        if tool_choice == "none":
            output = client.responses.create(**request, tool_choice="none").output
        else:
            with client.responses.stream(**request, tool_choice=tool_choice) as stream:
                output = stream.get_final_response().output
        calls = [item for item in output if item.type == "function_call"]
        assert bool(calls) == (tool_choice == "required")
        history += output
        for call in calls:
            Weather.model_validate_json(call.arguments)
            history.append(
                {"type": "function_call_output", "call_id": call.call_id, "output": "21"}
            )


def check_responses_parse():
    request = {"model": model, "input": question, "max_output_tokens": 100}
    assert client.responses.parse(**request, text_format=Forecast).output_parsed
    with client.responses.stream(**request, text_format=Forecast) as stream:
        assert stream.get_final_response().output_parsed


def check_embeddings():
    request = {"model": embedding_model, "input": [question, "Hello"]}
    first, second = client.embeddings.create(**request).data
    floats = client.embeddings.create(**request, encoding_format="float").data
    assert first.embedding == floats[0].embedding and second.embedding == floats[1].embedding


for name, check in list(globals().items()):
    if name.startswith("check_"):
        if name == "check_embeddings" and not embedding_model:
            continue
        check()
        print(f"ok {name}", flush=True)
