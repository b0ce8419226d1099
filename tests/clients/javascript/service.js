// What the tests start from: the unmodified client pointed at the service, and reviews to try it on.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { Client, GraphError } from "@microsoft/microsoft-graph-client";

/** Written by the test that starts this: `url`, `throttledUrl`, `control`, `tokens` and `ids` by name. */
export const place = JSON.parse(process.env.ATTESTRY_CLIENT_TESTS);

export const root = "/identityGovernance/accessReviews";

const PATIENCE_MILLISECONDS = 60_000;

/** The client as `person`, with nothing changed but address and token. */
export function client(person, url = place.url) {
  return Client.initWithMiddleware({
    authProvider: { getAccessToken: async () => place.tokens[person] ?? person },
    baseUrl: `${url}/`,
    defaultVersion: "v1.0",
    customHosts: new Set([new URL(url).hostname]),
  });
}

export const reviewer = (name) => ({ query: `/users/${place.ids[name]}`, queryType: "MicrosoftGraph" });

export const managers = { query: "./manager", queryType: "MicrosoftGraph", queryRoot: "decisions" };

export function definition(displayName, changes = {}) {
  return {
    displayName,
    descriptionForAdmins: "made by a test",
    descriptionForReviewers: "keep who needs it",
    scope: {
      "@odata.type": "#microsoft.graph.accessReviewQueryScope",
      query: `/groups/${place.ids.finance}/transitiveMembers`,
      queryType: "MicrosoftGraph",
    },
    reviewers: [managers],
    fallbackReviewers: [reviewer("sam")],
    settings: {
      mailNotificationsEnabled: false,
      reminderNotificationsEnabled: false,
      justificationRequiredOnApproval: false,
      defaultDecisionEnabled: false,
      defaultDecision: "None",
      instanceDurationInDays: 7,
      autoApplyDecisionsEnabled: false,
      recommendationsEnabled: true,
      recommendationLookBackDuration: "P30D",
    },
    ...changes,
  };
}

export function staged(displayName) {
  const stage = (stageId, changes) => ({
    stageId,
    dependsOn: [],
    durationInDays: 3,
    recommendationsEnabled: true,
    decisionsThatWillMoveToNextStage: ["Approve", "NotReviewed"],
    reviewers: [managers],
    fallbackReviewers: [reviewer("sam")],
    ...changes,
  });
  return definition(displayName, {
    stageSettings: [stage("1"), stage("2", { dependsOn: ["1"], reviewers: [reviewer("olga")] })],
  });
}

/** What `attempt` answers, once it answers something true. */
export async function eventually(what, attempt) {
  const until = Date.now() + PATIENCE_MILLISECONDS;
  for (;;) {
    const found = await attempt();
    if (found) return found;
    assert.ok(Date.now() < until, `it never came true that ${what}`);
    await pause(50);
  }
}

/** Creates the definition and answers the path of its instance, once that takes decisions. */
export async function openReview(body) {
  const made = await client("carla").api(`${root}/definitions`).post(body);
  const instances = `${root}/definitions/${made.id}/instances`;
  const running = await eventually("the instance runs", async () => {
    const page = await client("carla").api(instances).get();
    return page.value.find((instance) => instance.status === "InProgress");
  });
  return { made, instance: running, path: `${instances}/${running.id}` };
}

/** The typed error of a refusal, complete as the client reads it. */
export async function refused(status, call) {
  let error;
  await assert.rejects(call, (thrown) => {
    error = thrown;
    return true;
  });
  assert.ok(error instanceof GraphError, String(error));
  assert.equal(error.statusCode, status, error.message);
  assert.ok(error.code && error.message && error.requestId && error.date instanceof Date, error.body);
  assert.ok(!Number.isNaN(error.date.getTime()), "the date of the error is a date");
  return error;
}

export async function post(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200);
  return answer.text();
}

/** How many requests the service at `url` has answered with `status`, by its own metrics. */
export async function refusals(url, status) {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n");
  return lines
    .filter((line) => line.startsWith("attestry_http_requests_total") && line.includes(`status="${status}"`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
