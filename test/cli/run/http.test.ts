/** The task type `http` against a server of the test's own: what is sent, what counts as success, and when it is tried again. */
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { AzothDb, immediate, type RecordedEvent, Scheduler } from "azoth-scheduler";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type HttpPayload, httpHandler, httpPayload, retryAfterMs } from "../../../src/cli/handlers/http.ts";

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let server: Server;
let base: string;
let received: Received[] = [];
let aborted = false;

const answers: Record<string, RequestListener> = {
  "/ok": (_, response) => response.setHeader("content-type", "text/plain").end("fine"),
  "/long": (_, response) => response.end("é".repeat(100_000)),
  "/made": (_, response) => response.writeHead(201).end(),
  "/broken": (_, response) => response.writeHead(500).end("no\u001b[2J luck, s3cr3t-value"),
  "/busy": (_, response) => response.writeHead(503, { "retry-after": "120" }).end("later"),
  "/moved": (_, response) => response.writeHead(302, { location: "/ok" }).end(),
  "/round": (_, response) => response.writeHead(302, { location: "/round" }).end(),
  "/slow": (request) => void request.once("close", () => (aborted = true)),
};

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      received.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      answers[url?.split("?")[0] ?? ""]?.(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let db: AzothDb;
let scheduler: Scheduler;
let seenTo = 0;
beforeEach(async () => {
  received = [];
  seenTo = 0;
  db = await AzothDb.open(":memory:");
  const env = { TOKEN: "s3cr3t-value" };
  scheduler = new Scheduler(db, {
    handlers: [httpHandler({ clock: db.clock, env, cwd: "/", identityOf: () => undefined })],
  });
  await scheduler.start();
});
afterEach(async () => {
  await scheduler.stop({ gracePeriod: 0 });
  await db.close();
});

async function request(
  payload: Omit<HttpPayload, "url"> & { readonly path: string },
  options: { readonly timeout?: string } = {},
) {
  const { path, ...rest } = payload;
  const task = {
    taskType: "http",
    schedule: immediate(),
    payload: { url: base + path, ...rest },
    maxRetries: 3,
    ...options,
  };
  await scheduler.scheduleTask(task);
  const events: RecordedEvent[] = [];
  for await (const event of db.subscribe({ after: seenTo })) {
    events.push(event);
    seenTo = event.position;
    if (event.eventType === "TaskExecuted") break;
  }
  const { recordedAt, payload: end } = events.at(-1) as RecordedEvent<{
    error?: { code: string; message: string };
    retryAtMs?: number;
  }>;
  const retryInMs = end.retryAtMs === undefined ? undefined : end.retryAtMs - recordedAt.getTime();
  const answer = events.find(({ eventType }) => eventType === "response_received")?.payload;
  return { answer, message: end.error?.message, code: end.error?.code, retryInMs };
}

describe("a request", () => {
  test("leaves the answer in the log", async () => {
    expect((await request({ path: "/ok" })).answer).toEqual({ status: 200, contentType: "text/plain", body: "fine" });
    expect(received).toMatchObject([{ method: "GET", body: "" }]);
    expect(received[0]?.headers).not.toHaveProperty("idempotency-key");
  });

  test("sends what it was given, and a key for who would do the work twice", async () => {
    const payload = { path: "/ok", method: "POST" as const, headers: { "X-A": "1" }, body: { a: [1, "zwei"] } };
    await request(payload);
    await request({ ...payload, method: "PUT", body: "plain", headers: { "Idempotency-Key": "mine" } });
    expect(received).toMatchObject([
      { method: "POST", headers: { "content-type": "application/json", "x-a": "1" }, body: '{"a":[1,"zwei"]}' },
      { method: "PUT", headers: { "idempotency-key": "mine" }, body: "plain" },
    ]);
    expect(received[0]?.headers["idempotency-key"]).toMatch(/^.+\/1\/\d{4}-/);
  });

  test("looks up secrets when it runs, and leaves none behind", async () => {
    const { message } = await request({
      path: "/broken?key=${env:TOKEN}",
      method: "POST",
      headers: { Authorization: "Bearer ${env:TOKEN}", "X-Key": "env:TOKEN" },
      body: { token: "env:TOKEN" },
    });
    expect(received).toMatchObject([
      {
        url: "/broken?key=s3cr3t-value",
        headers: { authorization: "Bearer s3cr3t-value", "x-key": "s3cr3t-value" },
        body: '{"token":"s3cr3t-value"}',
      },
    ]);
    expect(message).toContain("luck, [env:TOKEN]");
    for await (const event of db.readLog()) expect(JSON.stringify(event.payload)).not.toContain("s3cr3t");
  });

  test("keeps the beginning of a long answer", async () => {
    const { answer } = await request({ path: "/long", maxBodyBytes: 5 });
    expect(answer).toEqual({ status: 200, contentType: null, body: "éé", bodyCut: true });
  });
});

describe("an answer", () => {
  test("that was not expected fails the run, which is tried again as the task says", async () => {
    expect(await request({ path: "/broken" })).toMatchObject({
      code: "HANDLER_FAILED",
      message: expect.stringMatching(/^GET http:.*\/broken was answered with 500 Internal Server Error: no/) as string,
      retryInMs: 60_000,
    });
    expect((await request({ path: "/ok", expectStatus: [201, 204] })).message).toContain("answered with 200 OK: fine");
    expect((await request({ path: "/made", expectStatus: [201, 204] })).answer).toMatchObject({ status: 201 });
    expect((await request({ path: "/broken", expectStatus: 500 })).answer).toMatchObject({ status: 500 });
  });

  test("that says when to come again is heeded", async () => {
    expect(await request({ path: "/busy" })).toMatchObject({
      retryInMs: 120_000,
      message: expect.stringContaining("503") as string,
    });
    const now = Date.parse("2026-01-01T00:00:00Z");
    const cases = ["30", "Thu, 01 Jan 2026 00:01:00 GMT", "Wed, 31 Dec 2025 00:00:00 GMT", "99999999999", "soon", null];
    expect(cases.map((header) => retryAfterMs(header, now))).toEqual([
      30_000,
      60_000,
      0,
      86_400_000,
      undefined,
      undefined,
    ]);
  });

  test("that points elsewhere is followed, unless that is refused, and not for ever", async () => {
    expect((await request({ path: "/moved" })).answer).toMatchObject({ body: "fine" });
    expect((await request({ path: "/moved", redirect: "refuse" })).message).toContain("302");
    expect((await request({ path: "/round" })).message).toMatch(/redirect count exceeded/);
  });

  test("that never comes ends with the task's time, and the connection with it", async () => {
    expect((await request({ path: "/slow" }, { timeout: "300ms" })).code).toBe("TASK_TIMED_OUT");
    await expect.poll(() => aborted).toBe(true);
  });

  test("of nobody is a failure with its cause", async () => {
    const port = (server.address() as AddressInfo).port;
    // A port at which nobody may be asked.
    base = "http://127.0.0.1:1";
    const { message } = await request({ path: "/" });
    base = `http://127.0.0.1:${port}`;
    expect(message).toMatch(/^GET http:\/\/127\.0\.0\.1:1\/ failed: .+/);
    expect(message).not.toContain("fetch failed");
  });
});

test.each(["ftp://x/", "http://", "x", "http://me:secret@x/", "file:///etc/passwd"])(
  "%s is refused at the door",
  (url) => {
    expect(httpPayload.safeParse({ url }).success).toBe(false);
  },
);
