// What the client's retry handler survives.

import assert from "node:assert/strict";
import { test } from "node:test";

import { client, openReview, place, post, refusals, reviewer, root, staged } from "./service.js";

test("throttled requests are asked again", async () => {
  const throttled = client("carla", place.throttledUrl);
  // at once, so that they come within the quota's ten seconds however slow the machine is
  const many = Array.from({ length: place.throttledAfter + 3 }, () => throttled.api(`${root}/definitions`).get());
  for (const answer of await Promise.all(many)) {
    assert.ok(answer.value);
  }
  assert.ok((await refusals(place.throttledUrl, 429)) > 0, "nobody was throttled, so nothing was survived");
});

test("a busy database is waited for and the change made once", async () => {
  const { path } = await openReview(staged("busy"));
  const carla = client("carla");
  const stage = (await carla.api(`${path}/stages`).get()).value[0];
  // somebody holds the stage longer than the service waits for it
  const held = post(`${place.control}/hold`, { stage: stage.id });
  await post(`${place.control}/held`, { stage: stage.id });

  const answered = await carla
    .api(`${path}/stages/${stage.id}`)
    .update({ fallbackReviewers: [reviewer("sam"), reviewer("tom")] });

  assert.equal(answered.fallbackReviewers.length, 2);
  assert.equal(await held, "refused once");
});
