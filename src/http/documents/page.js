// Reads /openapi.json and makes a page of it on which every operation can be tried. Needs nothing from elsewhere.
"use strict";

const VERBS = ["get", "post", "put", "patch", "delete"];

/** An element with attributes and children; text is never read as HTML. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** An example of what a schema describes, as far as it can be told. */
function example(api, schema, depth = 0) {
  if (!schema || depth > 6) return undefined;
  if (schema.$ref) return example(api, api.components.schemas[schema.$ref.split("/").pop()], depth + 1);
  if (schema.example !== undefined) return schema.example;
  if (schema.enum) return schema.enum[0];
  const choice = (schema.oneOf || schema.anyOf || schema.allOf || []).find((one) => one.type !== "null");
  if (choice) return example(api, choice, depth + 1);
  const type = [].concat(schema.type).find((one) => one !== "null");
  if (type === "object" || schema.properties) {
    const made = {};
    for (const [name, property] of Object.entries(schema.properties || {})) {
      const value = example(api, property, depth + 1);
      if (value !== undefined && (depth < 2 || (schema.required || []).includes(name))) made[name] = value;
    }
    return made;
  }
  if (type === "array") {
    const item = example(api, schema.items, depth + 1);
    return item === undefined ? [] : [item];
  }
  return { string: "", integer: 1, number: 1, boolean: true }[type];
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.items) return `list of ${typeOf(schema.items)}`;
  return [].concat(schema.type || "").join(" or ") + (schema.format ? ` (${schema.format})` : "");
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** One operation: what it takes, what it answers, and a form to try it. */
function operation(api, path, verb, told) {
  const fields = (told.parameters || []).map((parameter) => {
    const input = element("input", { "aria-label": parameter.name, placeholder: typeOf(parameter.schema) });
    return { parameter, input };
  });
  const content = told.requestBody?.content?.["application/json"];
  const body = content && element("textarea", { rows: 10, spellcheck: "false", "aria-label": "body" });
  if (body) body.value = JSON.stringify(example(api, content.schema) ?? {}, null, 2);
  const result = element("pre", { hidden: "" });

  const request = () => {
    let target = path;
    const query = [];
    const headers = {};
    for (const { parameter, input } of fields) {
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value === "") continue;
      else if (parameter.in === "query") query.push(`${parameter.name}=${encodeURIComponent(input.value)}`);
      else if (parameter.in === "header") headers[parameter.name] = input.value;
    }
    const token = document.getElementById("token").value.trim();
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body) headers["Content-Type"] = "application/json";
    return { url: target + (query.length ? `?${query.join("&")}` : ""), headers };
  };
  const show = (text) => {
    result.hidden = false;
    result.textContent = text;
  };
  const send = element("button", { type: "button" }, "Send");
  send.addEventListener("click", async () => {
    const { url, headers } = request();
    show("…");
    try {
      const answer = await fetch(url, { method: verb.toUpperCase(), headers, body: body?.value });
      const text = await answer.text();
      let shown = text;
      try {
        shown = JSON.stringify(JSON.parse(text), null, 2);
      } catch {
        // No JSON: shown as it came.
      }
      const lines = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      show(`${answer.status} ${answer.statusText}\n${lines}\n\n${shown}`);
    } catch (error) {
      show(`No answer: ${error.message}`);
    }
  });
  const curl = element("button", { type: "button", class: "quiet" }, "As curl");
  curl.addEventListener("click", () => {
    const { url, headers } = request();
    const lines = [`curl -i -X ${verb.toUpperCase()} ${quoted(location.origin + url)}`];
    for (const [name, value] of Object.entries(headers)) lines.push(`  -H ${quoted(`${name}: ${value}`)}`);
    if (body) lines.push(`  --data ${quoted(body.value)}`);
    show(lines.join(" \\\n"));
  });

  const rows = fields.map(({ parameter, input }) =>
    element("tr", {}, element("td", {}, element("code", {}, parameter.name), ` ${parameter.in}`),
      element("td", {}, input, element("div", { class: "told" }, parameter.description || ""))));
  const answers = Object.entries(told.responses || {}).map(([status, response]) =>
    element("tr", {}, element("td", {}, status),
      element("td", {}, response.description || "", " ",
        element("span", { class: "told" }, typeOf(Object.values(response.content || {})[0]?.schema)))));
  const details = element("details", {},
    element("summary", {}, element("span", { class: "verb" }, verb.toUpperCase()), element("span", { class: "path" }, path),
      element("div", { class: "told" }, told.summary || "")),
    element("p", {}, told.description || ""),
    element("h3", {}, "Parameters"), element("table", {}, ...rows));
  if (body) details.append(element("h3", {}, "Body"), body);
  details.append(send, curl, result, element("h3", {}, "Answers"), element("table", {}, ...answers));
  details.dataset.text = `${verb} ${path} ${told.summary || ""} ${told.operationId || ""}`.toLowerCase();
  return details;
}

async function start() {
  const main = document.getElementById("operations");
  const about = document.getElementById("about");
  let api;
  try {
    api = await (await fetch("/openapi.json")).json();
  } catch (error) {
    about.textContent = `The API document cannot be read: ${error.message}`;
    return;
  }
  about.textContent = `${api.info.description} Version ${api.info.version}.`;
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const verb of VERBS.filter((verb) => item[verb])) {
      const tag = item[verb].tags?.[0] || "other";
      if (!groups.has(tag)) groups.set(tag, element("section", {}, element("h2", {}, tag)));
      groups.get(tag).append(operation(api, path, verb, item[verb]));
    }
  }
  main.append(...groups.values());
  document.getElementById("search").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const section of groups.values()) {
      const all = [...section.querySelectorAll("details")];
      for (const one of all) one.hidden = !words.every((word) => one.dataset.text.includes(word));
      section.hidden = all.every((one) => one.hidden);
    }
  });
}

start();
