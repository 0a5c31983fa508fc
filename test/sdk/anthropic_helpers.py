"""Tools and schemas with the official Python client: anthropic_helpers.py BASE_URL MODEL."""

import sys
from typing import Literal

import anthropic
from pydantic import BaseModel

base_url, model = sys.argv[1:]
client = anthropic.Anthropic(base_url=base_url, api_key="EMPTY", max_retries=0)
messages = [{"role": "user", "content": "What is the weather in Rome?"}]


class Weather(BaseModel):
    city: Literal["Rome", "Oslo"]
    unit: Literal["celsius", "fahrenheit"]


class Forecast(BaseModel):
    city: Literal["Rome", "Oslo"]
    sunny: bool


def check_tools():
    tools = [{"name": "weather", "strict": True, "input_schema": Weather.model_json_schema()}]
    for streamed in [False, True]:
        history = list(messages)
        for choice in ["any", "any", "none"]:
            request = {"model": model, "messages": history, "tools": tools, "max_tokens": 200}
            request["tool_choice"] = {"type": choice}
            if choice == "any":
                request["tool_choice"]["disable_parallel_tool_use"] = True
            if streamed:
                with client.messages.stream(**request) as stream:
                    message = stream.get_final_message()
            else:
                message = client.messages.create(**request)
            uses = [block for block in message.content if block.type == "tool_use"]
            assert bool(uses) == (message.stop_reason == "tool_use") == (choice == "any")
            history.append({"role": "assistant", "content": message.content})
            for use in uses:
                Weather.model_validate(use.input)
            results = [
                {"type": "tool_result", "tool_use_id": use.id, "content": "21"} for use in uses
            ]
            history.append({"role": "user", "content": results})


def check_tool_runner():
    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    runner = client.beta.messages.tool_runner(
        model=model, max_tokens=100, messages=messages, tools=[weather]
    )
    assert runner.until_done().role == "assistant"


def check_parse():
    request = {"model": model, "messages": messages, "max_tokens": 100}
    assert client.messages.parse(**request, output_format=Forecast).parsed_output
    with client.messages.stream(**request, output_format=Forecast) as stream:
        assert stream.get_final_message().parsed_output


for name, check in list(globals().items()):
    if name.startswith("check_"):
        check()
        print("ok", name.removeprefix("check_"))
