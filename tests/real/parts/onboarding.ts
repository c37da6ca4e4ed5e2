/** The users of a new Home Assistant. */
import * as z from "zod";
import { until } from "../../until.ts";
import { HassSocket } from "./hass_socket.ts";

async function postJson(url: string, init: RequestInit): Promise<unknown> {
  const response = await fetch(url, { method: "POST", ...init });
  const text = await response.text();
  if (!response.ok) throw new Error(`POST ${url}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/**
 * Waits for a new Home Assistant, takes the onboarding's first step without a browser (a
 * user), and returns a long-lived token for it. Throws where it ends or does not answer.
 */
export async function onboard(
  url: string,
  isRunning: () => boolean,
  limitMs: number,
): Promise<string> {
  await until(
    async () => {
      if (!isRunning()) return true;
      const response = await fetch(`${url}/api/onboarding`);
      await response.body?.cancel();
      return response.ok;
    },
    "Home Assistant asks for its first user",
    { limitMs },
  );
  const { auth_code } = z.looseObject({ auth_code: z.string() }).parse(
    await postJson(`${url}/api/onboarding/users`, {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        client_id: clientId(url),
        name: "Test",
        username: "test",
        password: "test-password",
        language: "en",
      }),
    }),
  );
  using socket = await HassSocket.open(url, await accessToken(url, auth_code));
  return z.string().parse(
    await socket.command({
      type: "auth/long_lived_access_token",
      client_name: "test",
      lifespan: 1,
    }),
  );
}

/**
 * Keeps what `http:` in configuration.yaml says. Since 2026.11 it holds on trial: unless it is
 * confirmed, core restarts itself five minutes later and listens on 0.0.0.0:8123.
 */
export async function keepHttpOptions(url: string, token: string): Promise<void> {
  using socket = await HassSocket.open(url, token);
  // older versions do not know the command, and a newer one refuses where nothing is on trial
  await socket.command({ type: "http/config/promote" }).catch(() => undefined);
}

/** Makes a user who is no administrator, and returns a token for it that holds for half an hour. */
export async function ordinaryUser(url: string, adminToken: string): Promise<string> {
  using socket = await HassSocket.open(url, adminToken);
  const { user } = z.looseObject({ user: z.looseObject({ id: z.string() }) }).parse(
    await socket.command({
      type: "config/auth/create",
      name: "Ordinary",
      group_ids: ["system-users"],
    }),
  );
  const login = { username: "ordinary", password: "test-password" };
  await socket.command({
    type: "config/auth_provider/homeassistant/create",
    user_id: user.id,
    ...login,
  });
  const client_id = clientId(url);
  const { flow_id } = z.looseObject({ flow_id: z.string() }).parse(
    await postJson(`${url}/auth/login_flow`, {
      body: JSON.stringify({
        client_id,
        handler: ["homeassistant", null],
        redirect_uri: client_id,
      }),
    }),
  );
  const { result } = z.looseObject({ result: z.string() }).parse(
    await postJson(`${url}/auth/login_flow/${flow_id}`, {
      body: JSON.stringify({ client_id, ...login }),
    }),
  );
  return await accessToken(url, result);
}

function clientId(url: string): string {
  return `${url}/`;
}

async function accessToken(url: string, code: string): Promise<string> {
  const body = new URLSearchParams({
    client_id: clientId(url),
    grant_type: "authorization_code",
    code,
  });
  return z.looseObject({ access_token: z.string() })
    .parse(await postJson(`${url}/auth/token`, { body })).access_token;
}
