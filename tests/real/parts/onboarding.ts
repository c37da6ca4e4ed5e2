/** The first user of a new Home Assistant. */
import { z } from "zod";
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
  const client_id = `${url}/`;
  const { auth_code } = z.looseObject({ auth_code: z.string() }).parse(
    await postJson(`${url}/api/onboarding/users`, {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        client_id,
        name: "Test",
        username: "test",
        password: "test-password",
        language: "en",
      }),
    }),
  );
  const { access_token } = z.looseObject({ access_token: z.string() }).parse(
    await postJson(`${url}/auth/token`, {
      body: new URLSearchParams({
        client_id,
        grant_type: "authorization_code",
        code: auth_code,
      }),
    }),
  );
  using socket = await HassSocket.open(url, access_token);
  return z.string().parse(
    await socket.command({
      type: "auth/long_lived_access_token",
      client_name: "test",
      lifespan: 1,
    }),
  );
}
