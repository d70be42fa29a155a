/** Schedulers over tuples of handlers, and as the general Scheduler that helper functions take. Nothing here runs. */
import {
  type AnyEventHandler,
  type AnyTaskHandler,
  type AzothDb,
  eventHandler,
  immediate,
  type RequestFor,
  type ScheduledTask,
  type ScheduleTaskRequest,
  Scheduler,
  type SchedulerOptions,
  type TaskHandler,
  type TaskInfo,
  taskHandler,
} from "azoth-scheduler";
import { createTestScheduler, type TestInstance, type TestScheduler } from "azoth-scheduler/testing";
import { expectTypeOf } from "vitest";
import * as z from "zod";

declare const db: AzothDb;
const schedule = immediate();
const mail = taskHandler({ taskType: "mail", execute: (_, payload: { to: string }) => void payload.to });
const report = taskHandler({
  taskType: "report",
  payload: z.object({ region: z.string() }),
  execute: (_, { region }) => ({ eventType: "reported", payload: region }),
});
const sweep = taskHandler({ taskType: "sweep", execute: () => {} });
const scheduler = new Scheduler(db, { handlers: [mail, report, sweep] });

/** What a user writes for a function that takes any scheduler. */
async function overdue(any: Scheduler): Promise<readonly TaskInfo[]> {
  return (await any.listTasks({ state: "waiting", dueUntil: new Date() })).tasks;
}

async function scheduleAnything(any: Scheduler): Promise<ScheduledTask> {
  return await any.scheduleTask({ taskType: "whatever", schedule, payload: { any: "thing" } });
}

/** ... or one that has at least these handlers. */
async function remind(some: Scheduler<readonly [typeof mail]>): Promise<void> {
  await some.scheduleTask({ taskType: "mail", schedule, payload: { to: "me" } });
  // @ts-expect-error it may know nothing else
  await some.scheduleTask({ taskType: "report", schedule, payload: { region: "eu" } });
}

export async function helpers(): Promise<void> {
  await overdue(scheduler);
  await overdue(new Scheduler(db));
  await overdue(new Scheduler(db, { handlers: [sweep] }));
  await scheduleAnything(scheduler);
  const all: Scheduler[] = [scheduler, new Scheduler(db), new Scheduler(db, { handlers: [mail] })];
  expectTypeOf(all).toEqualTypeOf<Scheduler[]>();

  await remind(new Scheduler(db, { handlers: [mail] }));
  // @ts-expect-error this one sends no mail
  await remind(new Scheduler(db, { handlers: [sweep] }));
  const general: Scheduler = scheduler;
  // @ts-expect-error nobody knows what this one does
  await remind(general);
}

export async function withoutHandlers(): Promise<void> {
  const any = new Scheduler(db);
  expectTypeOf(any).toEqualTypeOf<Scheduler>();
  expectTypeOf<RequestFor<readonly AnyTaskHandler[]>>().toEqualTypeOf<ScheduleTaskRequest>();
  await any.scheduleTask({ taskType: "any", schedule });
  await any.scheduleTask({ taskType: "any", schedule, payload: new Date() });
  const external = new Scheduler(db, { externalTaskTypes: ["elsewhere"] });
  await external.scheduleTask({ taskType: "elsewhere", schedule, payload: 5 });

  // Beside typed handlers, types that other processes handle go through the general type.
  const mixed = new Scheduler(db, { handlers: [mail], externalTaskTypes: ["elsewhere"] });
  // @ts-expect-error among the handlers there is no such type
  await mixed.scheduleTask({ taskType: "elsewhere", schedule });
  const general: Scheduler = mixed;
  await general.scheduleTask({ taskType: "elsewhere", schedule });
}

export async function tuplesAndArrays(): Promise<void> {
  expectTypeOf<RequestFor<readonly [typeof mail, typeof sweep]>>().toEqualTypeOf<
    | (ScheduleTaskRequest<"mail", { to: string }> & { readonly payload: { to: string } })
    | ScheduleTaskRequest<"sweep", unknown>
  >();
  const array = [mail, report];
  const tuple = [mail, report] as const;
  for (const each of [new Scheduler(db, { handlers: array }), new Scheduler(db, { handlers: [...tuple, sweep] })]) {
    await each.scheduleTask({ taskType: "mail", schedule, payload: { to: "me" } });
    // @ts-expect-error the payload of another type
    await each.scheduleTask({ taskType: "mail", schedule, payload: { region: "eu" } });
    // @ts-expect-error there is no such type
    await each.scheduleTask({ taskType: "fax", schedule });
  }
  // One that is known only in general lets every type pass: the door still looks.
  const loaded: AnyTaskHandler = mail;
  const loose = new Scheduler(db, { handlers: [report, loaded] });
  await loose.scheduleTask({ taskType: "plug-in", schedule });
  // @ts-expect-error without handlers there is nothing to schedule
  await new Scheduler(db, { handlers: [] }).scheduleTask({ taskType: "any", schedule });
}

export function options(): void {
  const totals = eventHandler<string>({ name: "totals", eventType: "reported", handle: () => {} });
  const given = {
    handlers: [mail, report, sweep],
    eventHandlers: [totals],
    pollInterval: "1s",
  } satisfies SchedulerOptions;
  expectTypeOf(new Scheduler(db, given)).toExtend<Scheduler>();
  const general: SchedulerOptions = given;
  expectTypeOf(general.handlers).toEqualTypeOf<readonly AnyTaskHandler[] | undefined>();
  expectTypeOf(general.eventHandlers).toEqualTypeOf<readonly AnyEventHandler[] | undefined>();
  expectTypeOf(new Scheduler(db, general)).toEqualTypeOf<Scheduler>();
  expectTypeOf(mail).toExtend<AnyTaskHandler>();
  expectTypeOf<TaskHandler<"a", string, Date, { eventType: "b" }>>().toExtend<AnyTaskHandler>();
  // @ts-expect-error a misspelt option
  void new Scheduler(db, { handler: [mail] });
  // @ts-expect-error an option of another type
  void new Scheduler(db, { handlers: [mail], maxConcurrentTasks: "10" });
  // @ts-expect-error a handler that runs nothing
  void new Scheduler(db, { handlers: [{ taskType: "a" }] });
  // @ts-expect-error a store is no location
  void new Scheduler("./data");
}

export async function testKits(): Promise<void> {
  const kit = await createTestScheduler({ handlers: [mail, sweep] });
  const log = async (any: TestScheduler) => (await any.log()).length;
  await log(kit);
  await overdue(kit.scheduler);
  await kit.scheduler.scheduleTask({ taskType: "mail", schedule, payload: { to: "me" } });
  // @ts-expect-error there is no such type
  await kit.scheduler.scheduleTask({ taskType: "fax", schedule });
  const instance: TestInstance = await kit.addScheduler({ handlers: [sweep] });
  await overdue(instance.scheduler);
  // @ts-expect-error without a payload nobody knows whom to mail
  await kit.scheduler.scheduleTask({ taskType: "mail", schedule });
}
