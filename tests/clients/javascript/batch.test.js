// The client's batch helpers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BatchRequestContent, BatchResponseContent } from "@microsoft/microsoft-graph-client";

import { client, definition, place, root } from "./service.js";

const carla = client("carla");

test("requests of a batch depend on one another and answer by themselves", async () => {
  const address = (path) => `${place.url}/v1.0${root}${path}`;
  const absent = "/definitions/11111111-2222-4333-8444-555555555555";
  const content = new BatchRequestContent([
    {
      id: "create",
      request: new Request(address("/definitions"), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(definition("batched")),
      }),
    },
    {
      id: "list",
      request: new Request(address("/definitions?$filter=displayName eq 'batched'&$select=id"), { method: "GET" }),
      dependsOn: ["create"],
    },
    { id: "missed", request: new Request(address(absent), { method: "GET" }), dependsOn: ["list"] },
  ]);
  const answer = new BatchResponseContent(await carla.api("/$batch").post(await content.getContent()));

  assert.equal(answer.getResponseById("create").status, 201);
  const listed = answer.getResponseById("list");
  assert.equal(listed.status, 200);
  assert.equal((await listed.json()).value[0].id, (await answer.getResponseById("create").json()).id);
  const missed = answer.getResponseById("missed");
  assert.equal(missed.status, 404);
  assert.equal((await missed.json()).error.code, "ResourceNotFound");
});
