/** The task type `http`: one request, and what was expected of its answer. */
import { z } from "zod";
import { messageOf } from "../../errors.ts";
import {
  type AnyTaskHandler,
  retryAfter,
  type TaskContext,
  type TaskEvent,
  type TaskOutcome,
  taskHandler,
} from "../../index.ts";
import { RunFailed } from "./run-failed.ts";
import { Secrets } from "./secrets.ts";
import type { Surroundings } from "./surroundings.ts";

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
const status = z.int().min(200).max(599);

export const httpUrl = z
  .string()
  .refine(isUsableUrl, "it must be an http or https URL; a password belongs into a header")
  .meta({ description: 'Where to; "${env:NAME}" in it is looked up at run time.' });

export const httpPayload = z.strictObject({
  url: httpUrl,
  method: z.enum(methods).optional().meta({ description: "Default: GET." }),
  headers: z
    .record(z.string().regex(/^[!#$%&'*+.^_`|~\w-]+$/, "is no name of a header"), z.string())
    .optional()
    .meta({
      description: 'Headers. "env:NAME" and "Bearer ${env:NAME}" are looked up at run time, and stored as written.',
    }),
  body: z
    .union([z.string(), z.record(z.string(), z.json()), z.array(z.json())])
    .optional()
    .meta({ description: "A text as it is; an object or array is sent as JSON." }),
  expectStatus: z
    .union([status, z.array(status).min(1)])
    .optional()
    .meta({ description: "What counts as success. Default: 200 to 299." }),
  redirect: z
    .enum(["follow", "refuse"])
    .optional()
    .meta({ description: "Whether to go where the answer points, at most 20 times. Default: follow." }),
  maxBodyBytes: z
    .int()
    .min(0)
    .max(262_144)
    .optional()
    .meta({ description: "How much of the answer's beginning is kept. Default: 65536." }),
});

export type HttpPayload = z.infer<typeof httpPayload>;

const defaultMaxBodyBytes = 65_536;
const quotedBody = 500;
/** A server that says "in ten years" is not taken at its word. */
const longestRetryAfterMs = 86_400_000;

/** What an answer leaves in the log. */
export interface ResponseReceived {
  readonly status: number;
  readonly contentType: string | null;
  readonly body: string;
  /** True if the answer was longer. */
  readonly bodyCut?: true;
}

/** A reference stands for one character: what it is made of is seen at run time. */
function isUsableUrl(url: string): boolean {
  try {
    const { protocol, username, password } = new URL(url.replaceAll(/\$\{env:\w+\}/g, "x"));
    return /^https?:$/.test(protocol) && username === "" && password === "";
  } catch {
    return false;
  }
}

export function httpHandler(surroundings: Surroundings): AnyTaskHandler {
  return taskHandler({
    taskType: "http",
    payload: httpPayload,
    execute: (context, payload) => request(context, payload, surroundings),
  });
}

async function request(
  { signal, idempotencyKey, now }: TaskContext,
  payload: HttpPayload,
  { env }: Surroundings,
): Promise<TaskEvent<"response_received", ResponseReceived> | TaskOutcome> {
  const secrets = new Secrets(env);
  const { method = "GET", url, body, expectStatus, redirect = "follow", maxBodyBytes = defaultMaxBodyBytes } = payload;
  const isJson = typeof body === "object";
  const headers = new Headers(secrets.resolveAll(payload.headers ?? {}));
  if (isJson && !headers.has("content-type")) headers.set("content-type", "application/json");
  // A run may happen twice; whoever understands the header does its work once.
  if (!["GET", "HEAD", "OPTIONS"].includes(method) && !headers.has("idempotency-key")) {
    headers.set("idempotency-key", idempotencyKey);
  }
  const what = `${method} ${url}`;
  const sent =
    body === undefined ? {} : { body: isJson ? JSON.stringify(resolveIn(body, secrets)) : secrets.resolve(body) };
  let response: Response;
  try {
    const follow = redirect === "follow" ? "follow" : "manual";
    response = await fetch(secrets.resolve(url), { method, headers, ...sent, redirect: follow, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw new RunFailed("RequestFailed", secrets.hide(`${what} failed: ${causeOf(error)}.`));
  }
  const received = await beginningOf(response, maxBodyBytes);
  const text = secrets.hide(received.text);
  if (isExpected(response.status, expectStatus)) {
    const contentType = response.headers.get("content-type");
    const cut = received.isCut ? { bodyCut: true as const } : {};
    return { eventType: "response_received", payload: { status: response.status, contentType, body: text, ...cut } };
  }
  const shown = text.trim() === "" ? "" : `: ${text.trim().slice(0, quotedBody)}`;
  const message = `${what} was answered with ${response.status} ${response.statusText}`.trimEnd() + shown;
  const delayMs = retryAfterMs(response.headers.get("retry-after"), now().getTime());
  if (delayMs !== undefined) return retryAfter(delayMs, message);
  throw new RunFailed("RequestFailed", message);
}

/** References in the texts of a JSON body. */
function resolveIn(value: z.core.util.JSONType, secrets: Secrets): z.core.util.JSONType {
  if (typeof value === "string") return secrets.resolve(value);
  if (Array.isArray(value)) return value.map((item) => resolveIn(item, secrets));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveIn(item, secrets)]));
}

function isExpected(status: number, expected: HttpPayload["expectStatus"]): boolean {
  if (expected === undefined) return status >= 200 && status < 300;
  return typeof expected === "number" ? status === expected : expected.includes(status);
}

/** Seconds, or a date. Undefined if the server does not say, or nothing that can be understood. */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(longestRetryAfterMs, Math.max(0, Math.ceil(ms)));
}

async function beginningOf(response: Response, maxBytes: number): Promise<{ text: string; isCut: boolean }> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    length += chunk.length;
    // Leaving the loop ends the connection.
    if (length > maxBytes) break;
  }
  // In streaming mode the first half of a character at the end is left out.
  const text = new TextDecoder().decode(Buffer.concat(chunks).subarray(0, maxBytes), { stream: true });
  return { text, isCut: length > maxBytes };
}

/** fetch only says "fetch failed"; why is in the cause. */
function causeOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const why = cause === undefined ? error : cause;
  const { code } = why as NodeJS.ErrnoException;
  const message = messageOf(why);
  return message === "" && typeof code === "string" ? code : message;
}
