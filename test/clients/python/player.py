"""The client of the official Python SDK: plays the scripts that come in as JSON, one run a line, and answers each with
one line. See ../script.ts for what a script and an observation are."""

import asyncio
import json
import os
import sys
import warnings

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
import mcp_types as types

# The methods that 2026-07-28 has no more are what half of the runs are about.
warnings.simplefilter("ignore")


def dump(value):
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


class Run:
    def __init__(self, request):
        self.endpoint = request["endpoint"]
        self.script = request["script"]
        self.mode = request["mode"]
        self.answers = request["answers"]
        self.until_timeout = request["untilTimeoutMs"] / 1000
        self.heard = []
        self.asked = []
       

    def answer(self, method, params, model):
        given = {} if params is None else dump(params)
        self.asked.append({"method": method, **({"params": given} if given else {})})
        key = f"{method} url" if given.get("mode") == "url" else method
        return model.model_validate(self.answers[key])

    async def on_sampling(self, _context, params):
        return self.answer("sampling/createMessage", params, types.CreateMessageResult)

    async def on_elicitation(self, _context, params):
        return self.answer("elicitation/create", params, types.ElicitResult)

    async def on_roots(self, _context):
        return self.answer("roots/list", None, types.ListRootsResult)

    async def on_message(self, message):
        if isinstance(message, types.ProgressNotification) or isinstance(message, Exception):
            return
        self.heard.append(dump(message))

    def transport(self, http):
        if self.endpoint["kind"] == "http":
            return streamable_http_client(self.endpoint["url"], http_client=http)
        parameters = StdioServerParameters(
            command=self.endpoint["command"], args=self.endpoint["args"], env=self.endpoint["env"]
        )
        return stdio_client(parameters, errlog=self.nowhere)

    async def play(self):
        headers = self.endpoint.get("headers") or None
        with open(os.devnull, "w") as self.nowhere:
            async with create_mcp_http_client(headers) as http:
                client = Client(
                    self.transport(http),
                    mode=self.mode,
                    sampling_callback=self.on_sampling,
                    elicitation_callback=self.on_elicitation,
                    list_roots_callback=self.on_roots,
                    message_handler=self.on_message,
                )
                async with client:
                    self.listening = []
                    steps = {step["title"]: await self.take(client, step) for step in self.script}
                    for task in self.listening:
                        task.cancel()
                    if self.listening:
                        await asyncio.wait(self.listening)
                    info = client.server_info
                    server = {
                        "version": client.protocol_version,
                        "info": None if info is None else dump(info),
                        "capabilities": dump(client.server_capabilities),
                        "instructions": client.instructions,
                    }
        return {"server": server, "steps": steps, "heard": self.heard, "asked": self.asked}

    async def take(self, client, step):
        seen = await self.request(client, step)
        with anyio.fail_after(self.until_timeout):
            while not all(any(part in json.dumps(said) for said in self.heard) for part in step.get("until", [])):
                await anyio.sleep(0.01)
        return seen

    async def request(self, client, step):
        progress = []
        with anyio.CancelScope() as scope:

            async def on_progress(done, total, message):
                told = {"progress": done, "total": total, "message": message}
                progress.append({key: value for key, value in told.items() if value is not None})
                if step.get("cancel"):
                    scope.cancel()

            told = on_progress if step.get("progress") or step.get("cancel") else None
            try:
                result = await self.send(client, step["method"], step.get("params", {}), told)
            except MCPError as error:
                return {"error": {"code": error.code, "message": error.message, "data": error.data}}
            return {"result": result, **({"progress": progress} if step.get("progress") else {})}
        return {"cancelled": True}

    async def send(self, client, method, params, on_progress):
        if method == "subscriptions/listen":
            return await self.listen(client, params)
        return dump(await SENDS[method](client, params, on_progress))

    async def listen(self, client, params):
        acknowledged = asyncio.get_running_loop().create_future()
        wanted = {
            "tools_list_changed": params.get("toolsListChanged", False),
            "prompts_list_changed": params.get("promptsListChanged", False),
        }

        async def follow():
            try:
                async with client.listen(**wanted) as subscription:
                    acknowledged.set_result(dump(subscription.honored))
                    async for _ in subscription:
                        pass
            except MCPError as error:
                if acknowledged.done():
                    raise
                acknowledged.set_exception(error)

        self.listening.append(asyncio.create_task(follow()))
        return await acknowledged


SENDS = {
    "tools/list": lambda client, params, _: client.list_tools(),
    "prompts/list": lambda client, params, _: client.list_prompts(),
    "resources/list": lambda client, params, _: client.list_resources(),
    "resources/templates/list": lambda client, params, _: client.list_resource_templates(),
    "tools/call": lambda client, params, on_progress: client.call_tool(
        params["name"], params["arguments"], progress_callback=on_progress
    ),
    "prompts/get": lambda client, params, _: client.get_prompt(params["name"], params["arguments"]),
    "resources/read": lambda client, params, _: client.read_resource(params["uri"]),
    "completion/complete": lambda client, params, _: client.complete(
        types.PromptReference.model_validate(params["ref"])
        if params["ref"]["type"] == "ref/prompt"
        else types.ResourceTemplateReference.model_validate(params["ref"]),
        params["argument"],
        params.get("context", {}).get("arguments"),
    ),
    "resources/subscribe": lambda client, params, _: client.subscribe_resource(params["uri"]),
    "resources/unsubscribe": lambda client, params, _: client.unsubscribe_resource(params["uri"]),
    "logging/setLevel": lambda client, params, _: client.set_logging_level(params["level"]),
    "ping": lambda client, params, _: client.send_ping(),
}


async def serve_one(line):
    request = json.loads(line)
    try:
        answer = {"observation": await Run(request).play()}
    except BaseException as error:  # told to whoever waits; the next run is another matter
        answer = {"failure": repr(error)}
    print(json.dumps({"id": request["id"], **answer}), flush=True)


async def main():
    runs = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        run = asyncio.create_task(serve_one(line))
        runs.add(run)
        run.add_done_callback(runs.discard)


asyncio.run(main())
