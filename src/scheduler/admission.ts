/** The handlers of a scheduler, and the door that its tasks pass: known type, sound definition, valid payload. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { decodeJson, encodeJson } from "../codec.ts";
import { AzothError, quote } from "../errors.ts";
import { boundedText } from "../limits.ts";
import {
  type Admission,
  type AdmittedTask,
  parseInteger,
  parseTimeout,
  resolveRequest,
  type ScheduleTaskRequest,
  type TaskDefaults,
} from "../tasks/request.ts";
import { resolveRetryPolicy } from "../tasks/retry-policy.ts";
import { type AnyTaskHandler, checkTaskHandler } from "./task-handler.ts";

export interface AdmissionOptions {
  readonly handlers: readonly AnyTaskHandler[];
  readonly externalTaskTypes: readonly string[];
  readonly defaults: TaskDefaults;
  readonly maxPayloadBytes: number;
}

interface Registered {
  readonly handler: AnyTaskHandler;
  readonly defaults: TaskDefaults;
}

export class HandlerAdmission implements Admission {
  readonly #registered = new Map<string, Registered>();
  readonly #options: AdmissionOptions;

  /** @throws AzothError INVALID_HANDLER, DUPLICATE_HANDLER */
  constructor(options: AdmissionOptions) {
    this.#options = options;
    for (const handler of options.handlers) {
      checkTaskHandler(handler);
      const { taskType } = handler;
      if (this.#registered.has(taskType)) {
        throw new AzothError(
          "DUPLICATE_HANDLER",
          `Two handlers have the task type ${quote(taskType)}. Keep one of them.`,
        );
      }
      this.#registered.set(taskType, { handler, defaults: handlerDefaults(handler, options.defaults) });
    }
  }

  get taskTypes(): string[] {
    return [...this.#registered.keys()];
  }

  handlerOf(taskType: string): AnyTaskHandler | undefined {
    return this.#registered.get(taskType)?.handler;
  }

  /** @throws AzothError INVALID_TASK, UNKNOWN_TASK_TYPE, INVALID_PAYLOAD, PAYLOAD_NOT_JSON, PAYLOAD_TOO_LARGE, … */
  async admit(request: ScheduleTaskRequest): Promise<AdmittedTask> {
    const { defaults, maxPayloadBytes, externalTaskTypes } = this.#options;
    const resolved = resolveRequest(request, (type) => this.#registered.get(type)?.defaults ?? defaults);
    const { taskType } = resolved;
    const handler = this.handlerOf(taskType);
    if (handler === undefined && !externalTaskTypes.includes(taskType)) throw this.#unknownType(taskType);
    const payload = encodeJson(request.payload, { what: "payload", maxBytes: maxPayloadBytes });
    // What will be handed to the handler is what was stored: so that is what is checked.
    if (handler !== undefined && checksPayload(handler)) await validatePayload(handler, decodeJson(payload));
    return { ...resolved, payload };
  }

  #unknownType(taskType: string): AzothError {
    const known = this.taskTypes.slice(0, 10).map(quote).join(", ");
    const message = `No handler takes the task type ${quote(taskType)}. Registered: ${known || "none"}. Register a handler, or name the type in externalTaskTypes if another process handles it.`;
    return new AzothError("UNKNOWN_TASK_TYPE", message, { details: { taskType } });
  }
}

function handlerDefaults(handler: AnyTaskHandler, defaults: TaskDefaults): TaskDefaults {
  const { maxRetries, retry, timeout } = handler;
  return {
    maxRetries:
      maxRetries === undefined ? defaults.maxRetries : parseInteger(maxRetries, "maxRetries", 0, 1_000_000_000),
    retry: resolveRetryPolicy(retry, defaults.retry),
    timeoutMs: timeout === undefined ? defaults.timeoutMs : parseTimeout(timeout, "timeout"),
  };
}

/** True if the handler has a schema or a validate function. */
export function checksPayload(handler: AnyTaskHandler): boolean {
  return handler.payload !== undefined || handler.validate !== undefined;
}

/** Returns what the handler is to be given: the schema's output, or the payload itself. @throws AzothError INVALID_PAYLOAD */
export async function validatePayload(handler: AnyTaskHandler, payload: unknown): Promise<unknown> {
  const type = quote(handler.taskType);
  if (handler.validate !== undefined) {
    try {
      const verdict: unknown = await handler.validate(payload);
      if (verdict === false) throw new Error("validate returned false");
    } catch (cause) {
      const words = cause instanceof Error ? cause.message : quote(cause);
      throw new AzothError("INVALID_PAYLOAD", `The payload for ${type} was refused: ${boundedText(words, 500)}.`, {
        cause,
      });
    }
  }
  if (handler.payload === undefined) return payload;
  let result: StandardSchemaV1.Result<unknown>;
  try {
    result = await handler.payload["~standard"].validate(payload);
  } catch (cause) {
    throw new AzothError("INVALID_PAYLOAD", `The schema of ${type} threw while it checked the payload.`, { cause });
  }
  if (result.issues === undefined) return result.value;
  const shown = result.issues.slice(0, 5).map(issueText).join("; ");
  throw new AzothError("INVALID_PAYLOAD", `The payload for ${type} was refused: ${boundedText(shown, 500)}.`, {
    details: { issues: result.issues.slice(0, 20).map(issueText) },
  });
}

function issueText(issue: StandardSchemaV1.Issue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  return path === "" ? issue.message : `${path}: ${issue.message}`;
}
