import assert from "node:assert/strict";
import type { State } from "../../lib/contract.ts";
import {
  isPasswordEntity,
  isSecretAttribute,
  jsonWithoutSecrets,
  stateWithoutSecret,
  withoutSecret,
} from "../../lib/enrich/never_stored.ts";

function stateOf(attributes: State["attributes"]): State {
  return { entity_id: "text.any", state: "hunter2", attributes };
}

Deno.test("isSecretAttribute names access tokens and URLs that carry one", () => {
  assert.ok(isSecretAttribute("access_token", "abc"));
  assert.ok(isSecretAttribute("entity_picture", "/api/camera_proxy/camera.x?token=abc"));
  assert.ok(isSecretAttribute("next", "/login?next=%2Fa%3Ftoken%3Dabc"));
  assert.ok(!isSecretAttribute("error_code", 12));
  assert.ok(!isSecretAttribute("entity_picture", "/local/token.png"));
});

Deno.test("withoutSecret hides the values of keys that are, or end in _ and, a secret's name", () => {
  for (const key of ["password", "passcode", "pin", "token", "secret", "api_key"]) {
    assert.equal(withoutSecret(key, "1234"), "***", key);
    assert.equal(withoutSecret(`user_${key}`, 1234), "***", key);
    assert.equal(withoutSecret(key.toUpperCase(), { deep: 1 }), "***", key);
    assert.equal(withoutSecret(`${key}_length`, "4"), "4", key);
  }
  for (
    const key of [
      "code",
      "Code",
      "alarm_code",
      "home_alarm_code",
      "PIN_CODE",
      "user_code",
      "usercode",
    ]
  ) {
    assert.equal(withoutSecret(key, "1234"), "***", key);
  }
  for (const key of ["access_code", "security_code"]) {
    assert.equal(withoutSecret(key, 1234), "***", key);
  }
  const data = "weather_code zip_code error_code status_code alarm_codes nonuser_code code_format";
  for (const key of data.split(" ")) assert.equal(withoutSecret(key, "1234"), "1234", key);
  assert.equal(withoutSecret("spin", "1"), "1");
  assert.equal(withoutSecret("keycode", "1"), "1");
  assert.equal(withoutSecret("url", "http://cam/?a=1&token=abc"), "***");
});

Deno.test("jsonWithoutSecrets hides secrets at any depth and keeps all the rest", () => {
  const data = JSON.parse(
    '{"a":[{"b":{"user_code":1234}},"/x?token=abc"],"__proto__":{"pin":"9","x":1},"code":[1],"zip_code":1}',
  );
  assert.equal(
    jsonWithoutSecrets(data),
    '{"a":[{"b":{"user_code":"***"}},"***"],"__proto__":{"pin":"***","x":1},"code":"***","zip_code":1}',
  );
  assert.equal(jsonWithoutSecrets([1, null, "pin"]), '[1,null,"pin"]');
});

Deno.test("jsonWithoutSecrets gives up where a secret is nested too deep to take it out", () => {
  const depth = 100_000;
  const deep: unknown = JSON.parse(`${"[".repeat(depth)}{"pin":1}${"]".repeat(depth)}`);
  assert.ok(jsonWithoutSecrets(deep) === undefined);
  const text = `${"[".repeat(depth)}9007199254740993${"]".repeat(depth)}`;
  assert.ok(jsonWithoutSecrets(JSON.parse(text), text) === undefined);
});

Deno.test("isPasswordEntity holds for text entities whose mode is password, or is not said", () => {
  for (const domain of ["text", "input_text"]) {
    assert.ok(isPasswordEntity(domain, [stateOf({ mode: "password" })]));
    assert.ok(isPasswordEntity(domain, [stateOf({ mode: "text" }), stateOf({ mode: "password" })]));
    assert.ok(isPasswordEntity(domain, [stateOf({})]), "a row of the recorder has no mode");
    assert.ok(!isPasswordEntity(domain, [stateOf({ mode: "text" }), stateOf({})]));
  }
  assert.ok(!isPasswordEntity("sensor", [stateOf({ mode: "password" })]));
});

Deno.test("stateWithoutSecret hides passwords and URLs with a token, not that there is no state", () => {
  assert.equal(stateWithoutSecret("hunter2", true), "***");
  assert.equal(stateWithoutSecret("1234", true), "***");
  assert.equal(stateWithoutSecret("unavailable", true), "unavailable");
  assert.equal(stateWithoutSecret("hunter2", false), "hunter2");
  assert.equal(stateWithoutSecret("http://cam/?token=abc", false), "***");
});
