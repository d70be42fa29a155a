/** The handlers of a scheduler, and the door that its tasks pass: known type, sound definition, valid payload. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { decodeJson, type PayloadRules } from "../codec.ts";
import { AzothError, messageOf, oneLine, quote, within } from "../errors.ts";
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
  readonly payloads: PayloadRules;
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
  admit(request: ScheduleTaskRequest): AdmittedTask | Promise<AdmittedTask> {
    const { payloads } = this.#options;
    const admitted = resolveRequest(request, { payloads, defaultsOf: (type) => this.#defaultsOf(type) });
    const handler = this.handlerOf(admitted.taskType);
    // What will be handed to the handler is what was stored: so that is what is checked.
    if (handler === undefined || !checksPayload(handler)) return admitted;
    return validatePayload(handler, decodeJson(admitted.payload), payloads).then(() => admitted);
  }

  /** @throws AzothError UNKNOWN_TASK_TYPE */
  #defaultsOf(taskType: string): TaskDefaults {
    const { defaults, externalTaskTypes } = this.#options;
    const registered = this.#registered.get(taskType);
    if (registered === undefined && !externalTaskTypes.includes(taskType)) throw this.#unknownType(taskType);
    return registered?.defaults ?? defaults;
  }

  #unknownType(taskType: string): AzothError {
    const known = this.taskTypes.slice(0, 10).map(quote).join(", ");
    const message = `No handler takes the task type ${quote(taskType)}. Registered: ${known || "none"}. Register a handler, or name the type in externalTaskTypes if another process handles it.`;
    return new AzothError("UNKNOWN_TASK_TYPE", message, { details: { taskType } });
  }
}

/** @throws AzothError INVALID_HANDLER */
function handlerDefaults(handler: AnyTaskHandler, defaults: TaskDefaults): TaskDefaults {
  try {
    const { maxRetries = defaults.maxRetries, retry, timeout } = handler;
    return {
      maxRetries: parseInteger(maxRetries, "maxRetries", 0, 1_000_000_000),
      retry: resolveRetryPolicy(retry, defaults.retry),
      timeoutMs: timeout === undefined ? defaults.timeoutMs : parseTimeout(timeout, "timeout"),
    };
  } catch (error) {
    throw within(`The handler of ${quote(handler.taskType)}`, error, "INVALID_HANDLER");
  }
}

/** True if the handler has a schema or a validate function. */
export function checksPayload(handler: AnyTaskHandler): boolean {
  return handler.payload !== undefined || handler.validate !== undefined;
}

/** Returns what the handler is to be given: the schema's output, or the payload itself. @throws AzothError INVALID_PAYLOAD */
export async function validatePayload(
  handler: AnyTaskHandler,
  payload: unknown,
  { secret = false }: Pick<PayloadRules, "secret"> = {},
): Promise<unknown> {
  const { payload: schema, taskType } = handler;
  if (handler.validate !== undefined) {
    try {
      const verdict: unknown = await handler.validate(payload);
      if (verdict === false) throw new Error("validate returned false");
    } catch (cause) {
      throw secret ? refusedSecretly(taskType) : refusedPayload(taskType, messageOf(cause), { cause });
    }
  }
  if (schema === undefined) return payload;
  const result = await checkBySchema(schema, payload, { taskType, secret });
  if (result.issues === undefined) return result.value;
  // Nothing is stored as null, but for a schema with an optional or a default the two differ.
  const ofNothing = payload === null ? await checkBySchema(schema, undefined, { taskType, secret }) : result;
  if (ofNothing.issues === undefined) return ofNothing.value;
  if (secret) throw refusedSecretly(taskType, result.issues);
  const texts = result.issues.slice(0, 20).map(issueText);
  throw refusedPayload(taskType, texts.slice(0, 5).join("; "), { details: { issues: texts } });
}

async function checkBySchema(
  schema: StandardSchemaV1,
  payload: unknown,
  { taskType, secret }: { readonly taskType: string; readonly secret: boolean },
): Promise<StandardSchemaV1.Result<unknown>> {
  try {
    const result = await schema["~standard"].validate(payload);
    if (typeof result === "object" && result !== null && (result.issues === undefined || Array.isArray(result.issues)))
      return result;
  } catch (cause) {
    const what = `The schema of ${quote(taskType)} threw while it checked the payload`;
    if (secret) throw new AzothError("INVALID_PAYLOAD", `${what}.`);
    throw new AzothError("INVALID_PAYLOAD", `${what}: ${oneLine(messageOf(cause), 300)}.`, { cause });
  }
  throw new AzothError("INVALID_PAYLOAD", `The schema of ${quote(taskType)} gave no result of a Standard Schema.`);
}

function refusedPayload(taskType: string, words: string, options: ConstructorParameters<typeof AzothError>[2]) {
  const message = `The payload for ${quote(taskType)} was refused: ${oneLine(words, 500)}.`;
  return new AzothError("INVALID_PAYLOAD", message, options);
}

/** Where, and not why: the words of a schema or of `validate` may repeat the payload. */
function refusedSecretly(taskType: string, issues: readonly StandardSchemaV1.Issue[] = []): AzothError {
  const paths = issues.slice(0, 20).map((issue) => oneLine(pathOf(issue), 300));
  const where = paths.slice(0, 5).filter((path) => path !== "");
  const at = where.length === 0 ? "" : ` at ${oneLine(where.join(", "), 500)}`;
  const message = `The payload for ${quote(taskType)} was refused${at}. Why is not said, because payloads are sealed.`;
  return new AzothError("INVALID_PAYLOAD", message, { details: { issues: paths } });
}

function pathOf({ path = [] }: StandardSchemaV1.Issue): string {
  return path.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
}

function issueText(issue: StandardSchemaV1.Issue): string {
  const path = pathOf(issue);
  return oneLine(path === "" ? issue.message : `${path}: ${issue.message}`, 300);
}
