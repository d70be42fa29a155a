/**
 * The boundary at which what is the user's is sealed and opened: payloads, events, errors and reasons.
 *
 * Behind it, in states, rows and the log, a sealed text is a JSON value like any other, `{"$sealed":"…"}`; folding,
 * comparing and copying know nothing of it, and need no key. (A user's own object of that shape is stored as
 * `{"$object":{"$sealed":…}}`, see codec.ts.) Ids, types, schedules, instants, numbers and codes stay as they are.
 */
import { isPromise } from "node:util/types";
import { decodeJson } from "../codec.ts";
import { AzothError, isAzothError } from "../errors.ts";
import { type PayloadCodec, Sealed } from "../payload-codec.ts";
import { decodeLifecycleData } from "../tasks/event-codec.ts";
import type { LifecycleData, LifecycleType } from "../tasks/events.ts";
import { isReservedEventType } from "../tasks/task-event.ts";
import type { TaskState } from "../tasks/task-state.ts";
import type { NewEvent, StoredEvent } from "./engine.ts";
import type { SystemEventData } from "./system-events.ts";

/** The one field that holds a user's words, in the events that have one. The payload of TaskScheduled is sealed before it is decided on. */
const wordsIn: Readonly<Partial<Record<string, string>>> = {
  TaskExecuted: "error",
  TaskSnoozed: "reason",
  TaskCancelled: "reason",
  TaskPaused: "reason",
  EventHandlerStopped: "error",
  EventSkipped: "error",
  EventDeadLettered: "error",
  DeadLetterDropped: "reason",
} satisfies { readonly [Type in keyof (LifecycleData & SystemEventData)]?: "error" | "reason" };

/** What becomes of a text that cannot be opened: it is returned in the place of the value, or thrown. */
export type WhenSealed = (sealed: Sealed) => unknown;

/** For readers, who see the rest. */
export const show: WhenSealed = (sealed) => sealed;

/** For handlers, which are given all or nothing. @throws AzothError PAYLOAD_SEALED */
export const refuse: WhenSealed = ({ error }) => {
  throw error;
};

export class Sealing {
  readonly #codec: PayloadCodec | undefined;

  /** @param codec without one everything is stored as it is, and what is sealed stays so */
  constructor(codec: PayloadCodec | undefined) {
    this.#codec = codec;
  }

  /** True if payloads are sealed: no message may repeat a part of one then. */
  get isOn(): boolean {
    return this.#codec !== undefined;
  }

  /**
   * A task's payload as it is to be stored.
   * @param stored what the task has by now; it comes back as `alike` if it says the same in another way
   */
  sealPayload(taskId: string, text: string, stored: string | undefined): { payload: string; alike?: string } {
    if (this.#codec === undefined) return { payload: text };
    const context = contextOfPayload(taskId);
    const payload = this.#seal(text, context);
    if (stored === undefined || stored === payload) return { payload };
    const sealed = sealedIn(stored);
    // What cannot be opened is not known to be the same.
    const before = sealed === undefined ? stored : this.#open(sealed, context);
    return before === text ? { payload, alike: stored } : { payload };
  }

  /** A task's payload as a value. */
  payloadOf({ taskId, payload }: Pick<TaskState, "taskId" | "payload">, whenSealed: WhenSealed = show): unknown {
    return this.#read(payload, contextOfPayload(taskId), whenSealed);
  }

  /** An event as it is to be stored. */
  sealEvent(event: NewEvent): NewEvent {
    if (this.#codec === undefined) return event;
    const { type, data } = event;
    if (!isReservedEventType(type)) return { ...event, data: this.#seal(data, contextOfEvent(event)) };
    const field = wordsIn[type];
    if (field === undefined || !data.includes(`"${field}":`)) return event;
    const stored = JSON.parse(data) as Record<string, unknown>;
    const words = this.#sealWords(stored[field], contextOfEvent(event));
    return { ...event, data: JSON.stringify({ ...stored, [field]: words }) };
  }

  /** The data of an event that is not of a task's lifecycle, as a value. */
  dataOf(event: StoredEvent, whenSealed: WhenSealed): unknown {
    if (!isReservedEventType(event.type)) return this.#read(event.data, contextOfEvent(event), whenSealed);
    return this.#openWords(event, decodeJson(event.data) as object, whenSealed);
  }

  /** The data of a lifecycle event. Where words cannot be opened, words say so. */
  lifecycleDataOf<Type extends LifecycleType>(
    event: StoredEvent & { readonly type: Type },
    whenSealed: WhenSealed = show,
  ): LifecycleData[Type] {
    return this.#openWords(event, decodeLifecycleData(event.type, event.data, event.atMs), whenSealed);
  }

  /** What an event handler threw, as its checkpoint and its dead letters keep it. */
  sealError(handler: string, error: string): string {
    return this.#codec === undefined ? error : this.#seal(JSON.stringify(error), contextOfErrors(handler));
  }

  /** What {@link sealError} was given; where it cannot be opened, words that say so. */
  errorOf(handler: string, stored: string): string {
    const sealed = sealedIn(stored);
    if (sealed === undefined) return stored;
    const opened = this.#open(sealed, contextOfErrors(handler));
    return typeof opened === "string" ? String(JSON.parse(opened)) : opened.message;
  }

  #sealWords(words: unknown, context: string): object {
    if (typeof words === "string") return { $sealed: this.#sealText(JSON.stringify(words), context) };
    const { code, ...rest } = words as { readonly code: string };
    return { code, $sealed: this.#sealText(JSON.stringify(rest), context) };
  }

  #openWords<Data extends object>(event: StoredEvent, data: Data, whenSealed: WhenSealed): Data {
    const field = wordsIn[event.type];
    const words = field === undefined ? undefined : (data as Record<string, unknown> | null)?.[field];
    if (field === undefined || typeof words !== "object" || words === null) return data;
    const { $sealed, ...clear } = words as { readonly $sealed?: string; readonly code?: string };
    if ($sealed === undefined) return data;
    const opened = this.#open($sealed, contextOfEvent(event));
    let value: unknown;
    if (typeof opened === "string") value = JSON.parse(opened);
    else {
      whenSealed(new Sealed($sealed, opened));
      value = clear.code === undefined ? opened.message : { message: opened.message };
    }
    return { ...data, [field]: typeof value === "string" ? value : { ...clear, ...(value as object) } };
  }

  /** The JSON that stands for a text where it is stored. */
  #seal(text: string, context: string): string {
    return JSON.stringify({ $sealed: this.#sealText(text, context) });
  }

  /** @throws AzothError CODEC_FAILED */
  #sealText(text: string, context: string): string {
    let sealed: unknown;
    try {
      sealed = this.#codec?.seal(text, context);
    } catch (cause) {
      throw new AzothError("CODEC_FAILED", "The payload codec's seal threw.", { cause });
    }
    if (typeof sealed === "string") return sealed;
    const what = isPromise(sealed) ? "a promise" : `of type ${typeof sealed}`;
    throw new AzothError(
      "CODEC_FAILED",
      `The payload codec's seal must return a string, and what it returned is ${what}.`,
    );
  }

  /** Gives JSON, or why it cannot. */
  #open(sealed: string, context: string): string | AzothError {
    if (this.#codec === undefined) {
      return new AzothError(
        "PAYLOAD_SEALED",
        "What is sealed cannot be opened: the store was opened without a payloadCodec.",
      );
    }
    let cause: unknown;
    try {
      const text: unknown = this.#codec.open(sealed, context);
      if (typeof text === "string") {
        JSON.parse(text);
        return text;
      }
    } catch (thrown) {
      if (isAzothError(thrown, "PAYLOAD_SEALED")) return thrown;
      // Not a SyntaxError of what was opened: it quotes that.
      cause = thrown instanceof SyntaxError ? undefined : thrown;
    }
    const message =
      "What is sealed cannot be opened: the payload codec's open threw, or returned something that was never sealed.";
    return new AzothError("PAYLOAD_SEALED", message, { cause });
  }

  #read(text: string, context: string, whenSealed: WhenSealed): unknown {
    const sealed = sealedIn(text);
    if (sealed === undefined) return decodeJson(text);
    const opened = this.#open(sealed, context);
    return typeof opened === "string" ? decodeJson(opened) : whenSealed(new Sealed(sealed, opened));
  }
}

/** What a codec made of a text, or undefined if it is not sealed. */
function sealedIn(text: string): string | undefined {
  if (!text.startsWith('{"$sealed":"')) return undefined;
  try {
    const value = JSON.parse(text) as { readonly $sealed: unknown };
    // An object of the user's may have such a key beside others.
    return typeof value.$sealed === "string" && Object.keys(value).length === 1 ? value.$sealed : undefined;
  } catch {
    return undefined;
  }
}

// What texts are bound to: texts that were sealed before can be opened only as long as these stay what they are.

function contextOfPayload(taskId: string): string {
  return JSON.stringify(["payload", taskId]);
}

function contextOfEvent({ type, task, run, atMs }: NewEvent): string {
  return JSON.stringify(["event", type, task, run, atMs]);
}

function contextOfErrors(handler: string): string {
  return JSON.stringify(["errors", handler]);
}
