// Every operation through the official client.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PageIterator } from "@microsoft/microsoft-graph-client";

import { client, definition, eventually, openReview, place, refused, reviewer, root, staged } from "./service.js";

const carla = client("carla");
const mia = client("mia");
const mine = "filterByCurrentUser(on='reviewer')";
const definitions = `${root}/definitions`;

test("definitions are created, read, changed, listed and deleted", async () => {
  const body = definition("javascript");
  body.settings.recurrence = {
    pattern: { type: "weekly", interval: 1 },
    range: { type: "numbered", numberOfOccurrences: 4, startDate: "2031-01-02T00:00:00.000Z" },
  };
  const made = await carla.api(definitions).post(body);
  assert.equal(made.status, "NotStarted");
  assert.equal(made.settings.recurrence.range.startDate, "2031-01-02");

  const at = `${definitions}/${made.id}`;
  assert.equal((await carla.api(at).get()).displayName, "javascript");
  assert.equal(await carla.api(at).put({ ...(await carla.api(at).get()), displayName: "put" }), undefined);
  assert.equal(await carla.api(at).update({ displayName: "patched" }), undefined);
  assert.equal((await carla.api(at).select("id,displayName").get()).displayName, "patched");
  assert.equal((await carla.api(at).expand("instances").get()).instances.length, 1);
  const found = await carla.api(definitions).filter("displayName eq 'patched'").count(true).get();
  assert.equal(found["@odata.count"], 1);
  assert.equal(Number(await carla.api(`${definitions}/$count`).filter("displayName eq 'patched'").get()), 1);
  assert.equal(await carla.api(`${at}/stop`).post({}), undefined);
  assert.equal(await carla.api(at).delete(), undefined);
  await refused(404, carla.api(at).get());
});

test("the page iterator reaches every definition", async () => {
  for (let number = 0; number < 7; number += 1) await carla.api(definitions).post(definition(`iterated ${number}`));
  const first = await carla
    .api(definitions)
    .filter("startswith(displayName,'iterated ')")
    .orderby("displayName desc")
    .top(2)
    .get();
  assert.ok(first["@odata.nextLink"].startsWith(`${place.url}/v1.0/`), first["@odata.nextLink"]);
  const seen = [];
  await new PageIterator(carla, first, (found) => seen.push(found.displayName) > 0).iterate();
  assert.deepEqual(seen, [6, 5, 4, 3, 2, 1, 0].map((number) => `iterated ${number}`));
});

test("an instance is reviewed, changed, reminded of, stopped and applied", async () => {
  const { made, instance, path } = await openReview(definition("one instance"));
  assert.equal((await carla.api(path).expand("stages").get()).stages.length, 0);
  assert.equal(Number(await carla.api(`${definitions}/${made.id}/instances/$count`).get()), 1);
  assert.equal((await mia.api(`${definitions}/${mine}`).get()).value.some((one) => one.id === made.id), true);
  assert.equal((await mia.api(`${definitions}/${made.id}/instances/${mine}`).get()).value[0].id, instance.id);

  const contacted = await carla.api(`${path}/contactedReviewers`).get();
  assert.equal(contacted.value.length, 3);
  assert.equal(Number(await carla.api(`${path}/contactedReviewers/$count`).get()), 3);
  assert.equal((await carla.api(`${path}/contactedReviewers/${place.ids.mia}`).get()).id, place.ids.mia);

  const items = await mia.api(`${path}/decisions/${mine}`).get();
  assert.equal(items.value.length, 4);
  const item = `${path}/decisions/${items.value[0].id}`;
  assert.equal(await mia.api(item).update({ decision: "Approve", justification: "stays" }), undefined);
  assert.equal((await carla.api(item).expand("insights").get()).decision, "Approve");
  const listed = await carla.api(`${item}/insights`).get();
  assert.equal(Number(await carla.api(`${item}/insights/$count`).get()), listed.value.length);
  assert.ok((await carla.api(`${item}/insights/${listed.value[0].id}`).get()).id);
  assert.equal(Number(await carla.api(`${path}/decisions/$count`).filter("decision eq 'Approve'").get()), 1);
  assert.equal((await carla.api(`${path}/decisions`).filter("decision eq 'Approve'").get()).value.length, 1);

  assert.equal(await mia.api(`${path}/batchRecordDecisions`).post({ decision: "DontKnow" }), undefined);
  assert.equal(await carla.api(`${path}/resetDecisions`).post({}), undefined);
  assert.equal(await mia.api(`${path}/acceptRecommendations`).post({}), undefined);
  assert.equal(Number(await carla.api(`${path}/decisions/$count`).filter("decision eq 'Deny'").get()), 1);
  // nobody is to lose anything when this is applied: the other tests count on the group as it is
  assert.equal(await carla.api(`${path}/resetDecisions`).post({}), undefined);
  assert.equal(await carla.api(`${path}/sendReminder`).post({}), undefined);

  const scope = (await carla.api(path).get()).scope;
  const grown = { scope, fallbackReviewers: [reviewer("sam"), reviewer("tom")] };
  assert.equal((await carla.api(path).put(grown)).fallbackReviewers.length, 2);
  assert.equal((await carla.api(path).update(grown)).fallbackReviewers.length, 2);
  await refused(409, carla.api(path).update({ fallbackReviewers: [reviewer("tom")] }));

  assert.equal(await carla.api(`${path}/stop`).post({}), undefined);
  assert.equal(await carla.api(`${path}/applyDecisions`).post({}), undefined);
  await eventually("the decisions are applied", async () => (await carla.api(path).get()).status === "Applied");
});

test("a stage is reviewed, changed and stopped", async () => {
  const { path } = await openReview(staged("two stages"));
  const stages = await carla.api(`${path}/stages`).get();
  const stage = `${path}/stages/${stages.value[0].id}`;
  assert.equal(Number(await carla.api(`${path}/stages/$count`).get()), 1);
  assert.equal((await mia.api(`${path}/stages/${mine}`).get()).value.length, 1);

  const grown = { fallbackReviewers: [reviewer("sam"), reviewer("tom")] };
  assert.equal((await carla.api(stage).update(grown)).fallbackReviewers.length, 2);
  assert.equal((await refused(409, carla.api(stage).update({ fallbackReviewers: [] }))).code, "Conflict");

  const items = (await mia.api(`${stage}/decisions/${mine}`).get()).value;
  const item = `${stage}/decisions/${items[0].id}`;
  assert.equal(await mia.api(item).update({ decision: "Deny", justification: "gone" }), undefined);
  assert.equal((await carla.api(item).get()).decision, "Deny");
  assert.equal((await carla.api(`${stage}/decisions`).get()).value.length, 6);
  assert.equal(Number(await carla.api(`${stage}/decisions/$count`).get()), 6);
  const listed = (await carla.api(`${item}/insights`).get()).value;
  assert.equal(Number(await carla.api(`${item}/insights/$count`).get()), listed.length);
  assert.ok((await carla.api(`${item}/insights/${listed[0].id}`).get()).id);
  assert.equal(await mia.api(`${stage}/batchRecordDecisions`).post({ decision: "Approve" }), undefined);
  assert.equal(await mia.api(`${stage}/acceptRecommendations`).post({}), undefined);
  assert.equal(await carla.api(`${stage}/stop`).post({}), undefined);
  assert.equal((await carla.api(`${path}/stages`).get()).value.length, 2);
});

test("a report is made, linked and downloaded as a stream", async () => {
  const histories = `${root}/historyDefinitions`;
  const now = Date.now();
  const made = await carla.api(histories).post({
    displayName: "history",
    reviewHistoryPeriodStartDateTime: new Date(now - 86_400_000).toISOString(),
    reviewHistoryPeriodEndDateTime: new Date(now + 365 * 86_400_000).toISOString(),
    scopes: [
      {
        "@odata.type": "#microsoft.graph.accessReviewQueryScope",
        query: `/identityGovernance/accessReviews/definitions?$filter=contains(scope/query, '/groups')`,
        queryType: "MicrosoftGraph",
      },
    ],
  });
  const at = `${histories}/${made.id}`;
  await eventually("the report is made", async () => (await carla.api(at).get()).status === "done");
  const runs = (await carla.api(`${at}/instances`).get()).value;
  assert.equal(Number(await carla.api(`${at}/instances/$count`).get()), 1);
  assert.equal((await carla.api(`${at}/instances/${runs[0].id}`).get()).status, "done");
  const linked = await carla.api(`${at}/instances/${runs[0].id}/generateDownloadUri`).post({});
  const text = await (await fetch(linked.downloadUri)).text();
  assert.equal(text.split("\r\n")[0].replace(/^\ufeff/, "").split(",").length, 30);

  assert.equal((await carla.api(histories).expand("instances").get()).value.some((one) => one.instances.length === 1), true);
  assert.ok(Number(await carla.api(`${histories}/$count`).get()) >= 1);
  assert.equal((await carla.api(at).update({ displayName: "renamed" })).displayName, "renamed");
  assert.equal(await carla.api(at).delete(), undefined);
  await refused(404, carla.api(at).get());
});

test("what is not offered is refused with a typed error", async () => {
  const { path } = await openReview(definition("refusals"));
  await refused(405, carla.api(`${path}/decisions`).post({}));
  await refused(405, carla.api(path).delete());
  await refused(404, carla.api(`${root}/unified/definitions`).get());
  await refused(400, carla.api(definitions).post({ displayName: "nothing else" }));
  await refused(400, carla.api(definitions).search("anything").get());
  await refused(401, client("no token of ours").api(definitions).get());
  await refused(403, client("tom").api(definitions).get());
  assert.ok((await carla.api(root).get()).id);
});
