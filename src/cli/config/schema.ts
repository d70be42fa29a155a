/**
 * The shape of a configuration file. One schema says it all: it checks the file, gives the types of `defineConfig`, and is
 * published as JSON Schema for editors.
 */
import { z } from "zod";
import type { AnyEventHandler, AnyTaskHandler, PayloadCodec } from "../../index.ts";
import { duration } from "../handlers/duration-field.ts";
import { httpPayload, httpUrl } from "../handlers/http.ts";
import { shellPayload } from "../handlers/shell.ts";

const name = z.string().min(1).max(255);
const positive = z.int().min(1);

const retry = z
  .strictObject({
    base: duration().optional().meta({ description: "The delay after the first failure. Default: 1m." }),
    factor: z
      .number()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: "What each further delay is multiplied by. Default: 2." }),
    cap: duration().optional().meta({ description: "The longest delay. Default: 1d." }),
    jitter: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .meta({ description: "The part of each delay that is random. Default: 0." }),
  })
  .meta({ description: "The delays between the attempts at one occurrence." });

/** Exactly one of these says when, and one of `whats` what. */
const whens = ["cron", "every", "at", "atStart"] as const;
const whats = ["shell", "http", "taskType"] as const;

const task = z
  .strictObject({
    cron: z.string().optional().meta({ description: 'When: a cron expression, such as "30 2 * * *" or "@daily".' }),
    timeZone: z
      .string()
      .optional()
      .meta({ description: "The IANA zone of cron. Default: that of the file, then UTC." }),
    every: duration({ minMs: 1 })
      .optional()
      .meta({ description: 'When: each time that this has passed, such as "5m".' }),
    at: z.string().optional().meta({ description: 'When: once, such as "2026-12-31T23:00:00Z".' }),
    atStart: z.literal(true).optional().meta({ description: "When: once at each start of the daemon." }),
    shell: z
      .union([z.string().min(1), shellPayload])
      .optional()
      .meta({ description: "What: a command line, or a command with its settings." }),
    http: z
      .union([httpUrl, httpPayload])
      .optional()
      .meta({ description: "What: a URL to get, or a request with its settings." }),
    taskType: name.optional().meta({ description: "What: the task type of one of the file's handlers." }),
    payload: z.unknown().optional().meta({ description: "What that handler is given." }),
    priority: z.int().optional().meta({ description: "Higher runs first among tasks due at one instant. Default: 0." }),
    maxRetries: z.int().min(0).optional().meta({
      description: "How many attempts an occurrence gets. Default: the handler's, then that of the settings, then 3.",
    }),
    retry: retry.optional(),
    timeout: duration({ minMs: 1 }).optional().meta({ description: "How long an attempt may take. Default: 5m." }),
    disableAfterRetries: z.boolean().optional().meta({
      description: "Whether it stops when its attempts are used up, until somebody resumes it. Default: false.",
    }),
  })
  .check((context) => {
    for (const [keys, what] of [
      [whens, "when it runs"],
      [whats, "what it does"],
    ] as const) {
      const given = keys.filter((key) => context.value[key] !== undefined);
      if (given.length === 1) continue;
      const problem = given.length === 0 ? "nothing says" : `${given.join(" and ")} both say`;
      context.issues.push({
        code: "custom",
        message: `${problem} ${what}: give one of ${keys.join(", ")}`,
        input: context.value,
      });
    }
  });

const settings = z.strictObject({
  maxConcurrentTasks: positive.optional().meta({ description: "The most tasks that run at one time. Default: 10." }),
  defaultMaxRetries: z.int().min(0).optional().meta({ description: "Attempts at an occurrence. Default: 3." }),
  defaultRetry: retry.optional(),
  defaultTimeout: duration({ minMs: 1 }).optional().meta({ description: "How long an attempt may take. Default: 5m." }),
  drainTime: duration()
    .optional()
    .meta({ description: "How long running tasks are waited for at the first signal. Default: 1m." }),
  claimDuration: duration({ minMs: 30 })
    .optional()
    .meta({ description: "After so long without a sign of life a daemon's tasks run elsewhere. Default: 15s." }),
  pollInterval: duration({ minMs: 1 })
    .optional()
    .meta({ description: "The longest time without a look. Default: 1s." }),
  externalTaskTypes: z.array(name).optional().meta({ description: "Task types that other processes handle." }),
  name: name.optional().meta({ description: "The daemon's name in the log. Default: host name and process id." }),
});

const store = z.strictObject({
  durability: z
    .enum(["full", "normal"])
    .optional()
    .meta({ description: "Whether each commit waits for the disk. Default: full." }),
  hashChain: z
    .boolean()
    .optional()
    .meta({ description: "Whether the log is sealed with a hash chain. Default: false." }),
});

/** What JSON can say. */
const plain = {
  timeZone: z
    .string()
    .optional()
    .meta({ description: 'The IANA zone of cron expressions, such as "Europe/Rome". Default: UTC.' }),
  tasks: z.record(name, task).optional().meta({ description: "The tasks by their ids." }),
  settings: settings.optional(),
};

export const jsonConfigSchema = z.strictObject({ $schema: z.string().optional(), ...plain, store: store.optional() });

const handler = z.custom<AnyTaskHandler>((value) => typeof value === "object" && value !== null, "is no task handler");
const eventHandler = z.custom<AnyEventHandler>(
  (value) => typeof value === "object" && value !== null,
  "is no event handler",
);
const codec = z.custom<PayloadCodec>((value) => typeof value === "object" && value !== null, "is no payload codec");

export const configSchema = z.strictObject({
  ...plain,
  $schema: z.string().optional(),
  handlers: z.array(handler).optional(),
  eventHandlers: z.array(eventHandler).optional(),
  store: z.strictObject({ ...store.shape, payloadCodec: codec.optional() }).optional(),
});

export type ConfigTask = z.output<typeof task>;
export type ParsedConfig = z.output<typeof configSchema>;
